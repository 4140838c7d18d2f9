"""Prepare a run's variants, and time them for one shape and number of threads."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from prunebert.commands import bench_models, bench_runtimes
from prunebert.commands.bench_measure import Labels, measure
from prunebert.commands.bench_verdicts import DENSE, VARIANTS
from prunebert.commands.export_model import auto_class, stock
from prunebert.network import fused
from prunebert.runs.load import Loaded


@dataclass
class Bench:
    """The variants of one run.

    Attributes:
        models: the variants in torch that serve every shape, by name.
        builders: those that are built for each shape and number of threads.
        absent: why variants are not timed, by name.
        part: the name of the class that is timed.
        removed: a sentence about what the variants change.
        labels: makes an output into predicted labels; None if the timed part predicts none.
    """

    models: dict[str, nn.Module]
    builders: dict[str, bench_runtimes.Build]
    part: str
    removed: str
    labels: Labels | None
    absent: dict[str, str] = field(default_factory=dict)

    def time(self, batch: int, length: int, repeats: int, seconds: float) -> dict[str, Any]:
        """Time every variant on random tokens, with torch's present number of threads; see `measure`."""
        dense = self.models["dense"]
        config: Any = dense.config
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(5, config.vocab_size, (batch, length), generator=generator)
        ids, threads = ids.to(next(dense.parameters()).device), torch.get_num_threads()
        built, failed = bench_runtimes.build(self.builders, ids, threads)
        self.absent |= failed
        models = self.models | built
        models = {name: models[name] for name in VARIANTS if name in models}
        shape = {"batch": batch, "length": length, "threads": threads}
        return shape | measure(models, ids, repeats, seconds, self.labels, DENSE)


@contextlib.contextmanager
def prepared(run: Loaded, wanted: list[str], device: torch.device) -> Iterator[Bench]:
    """Yield the variants of a run whose names are in `wanted`, on a device."""
    models, counts, removed = variants(run)
    models = {name: model.to(device) for name, model in models.items()}
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    names = masked_layers(run)
    why = bench_runtimes.why_not_2_4([models["zeros"].get_parameter(name) for name in names], capability)
    absent = {name: reason for name in wanted if (reason := bench_runtimes.unavailable(name, device.type))}
    if why and "GPU" in why:  # of other masks nobody expects it
        absent |= {"2:4": why} if "2:4" in wanted else {}
    with tempfile.TemporaryDirectory(prefix="prunebert-bench-") as folder:
        builders = bench_runtimes.builders(models, bool(counts.heads + counts.neurons), Path(folder))
        if not why:
            builders["2:4"] = lambda ids, threads: bench_runtimes.to_2_4(models["zeros"], names)
        chosen = {name: make for name, make in builders.items() if name in wanted and name not in absent}
        yield Bench({n: m for n, m in models.items() if n in wanted}, chosen, part(run), removed, labels(run), absent)


def variants(run: Loaded) -> tuple[dict[str, nn.Module], bench_models.Removed, str]:
    """Return the models in float32 by name, how many heads and neurons were removed, and a sentence about both."""
    family, config = run.net.model.family, run.net.model.config
    keys = ("hidden_act", "activation", "hidden_activation")
    activation = ACT2FN[next(word for key in keys if (word := getattr(config, key, None)))]
    whole = (stock(run, masked=False), stock(run))
    dense, zeros = (model.base_model for model in whole) if _bare(run) else whole
    names = masked_layers(run)
    csr, removed = copy.deepcopy(zeros), copy.deepcopy(zeros)
    matrices = bench_models.to_csr(csr, names)
    counts = bench_models.remove_dead(removed, family, run.net.model.heads, activation)
    removed_csr = copy.deepcopy(removed)
    bench_models.to_csr(removed_csr, names)
    summary = (
        f"{counts.heads} of {counts.all_heads} heads and {counts.neurons:,} of {counts.all_neurons:,} neurons are dead "
        f"and removed, {matrices} matrices are CSR"
    )
    summary += f"; heads stay, because {counts.heads_stay}" if counts.heads_stay else ""
    models = {"dense": dense, "zeros": zeros, "csr": csr, "removed": removed, "removed+csr": removed_csr}
    return models, counts, summary


def masked_layers(run: Loaded) -> list[str]:
    """Return the weights in the timed model that have a mask, by their names there."""
    names = dict.fromkeys(fused.stock_name(n, run.net.model.family) for n in run.masks)
    return [n.removeprefix(run.net.prefix) if _bare(run) else n for n in names]


def _bare(run: Loaded) -> bool:
    """Return whether the encoder is timed without its head.

    The stock class of the other heads is a masked-LM model. It computes the whole vocabulary at every token, and that
    would dominate the time. A class for multiple choice reads texts in groups.
    """
    return run.net.kind_of(run.head) != "linear" or auto_class(run) == "AutoModelForMultipleChoice"


def part(run: Loaded) -> str:
    """Return the name of the class that is timed."""
    return f"{auto_class(run)}'s encoder without its head" if _bare(run) else auto_class(run)


def labels(run: Loaded) -> Labels | None:
    """Return the function from the timed part's output to labels; None if the part predicts none."""
    form, head = run.form, run.net.heads[run.head]
    if form.regression or form.choices or form.masked_lm or run.net.kind_of(run.head) == "layer_mix":
        return None
    if form.multilabel:
        return lambda output: output > 0
    if not _bare(run):
        return lambda output: output.argmax(-1)  # of spans the first output is the logit of each token as the start

    def of_words(output: Tensor) -> Tensor:
        device = next(head.parameters()).device
        logits: Tensor = head(SimpleNamespace(last_hidden_state=output.to(device)), None)
        return logits.argmax(1)

    return of_words
