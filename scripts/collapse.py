"""Measure whether a sub-network still distinguishes texts: scripts/collapse.py TEXTS.tsv COLUMN RUN…

For each run, on the first 96 texts:
- The mean cosine of two texts' first tokens, after the embeddings and after each layer. It is computed with the run's
  weights and masks ("as trained"), with the checkpoint's weights and the run's masks ("the masks alone"), and with the
  run's weights without masks ("the weights alone").
- The same for the masks alone, with the mean output of every matrix over all tokens restored to its value in the dense
  checkpoint.
- By kind of matrix, |mean (W ⊙ M)x| ÷ |mean W x| over all tokens, where x is the matrix's input in the dense
  checkpoint. The mean is what all texts share. A second ratio compares what remains of both after their means are
  subtracted. Both are medians over layers.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import prunebert
from prunebert.masks.top_v import Masks, sparsity
from prunebert.network.interface import Batch
from prunebert.runs.load import Loaded
from prunebert.tasks.batching import padding_of

MAX_TEXTS = 96


def main() -> None:
    """Print all measurements of each run as a table."""
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    file, column, *runs = sys.argv[1:]
    texts = pd.read_csv(file, sep="\t", quoting=3)[column].tolist()[:MAX_TEXTS]
    table = Table("run", "measurement", "values by layer")
    for run in runs:
        loaded = prunebert.load(run)
        inputs = tokenize(loaded, texts)
        name = f"{loaded.facts['method']} {sparsity(loaded.masks):.2f}, {loaded.facts['score']:.3f}"
        dense = {n: w.detach() for n, w in loaded.net.parameters_of().items()}
        trained = dense | loaded.theta
        for state, theta, masks in (
            ("as trained", trained, loaded.masks),
            ("the masks alone", dense, loaded.masks),
            ("the weights alone", trained, {}),
        ):
            table.add_row(name, f"cosines, {state}", _format(cosines(loaded, inputs, theta, masks)))
            name = ""
        table.add_row("", "cosines, the masks alone, means restored", _format(recentred(loaded, inputs, dense)))
        for kind, (mean, deviation) in mean_ratios(loaded, inputs).items():
            table.add_row("", f"{kind}: mean, rest", f"{mean:.2f} {deviation:.2f}")
    Console(width=120).print(table)


def _format(values: list[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def tokenize(loaded: Loaded, texts: list[str]) -> dict[str, Tensor]:
    """Return the encoder's inputs, each [texts, length]."""
    tokenizer = loaded.net.model.tokenizer
    inputs = tokenizer(texts, truncation=True, max_length=loaded.form.max_length, padding=True, return_tensors="pt")
    return {c: inputs[c] for c in padding_of(tokenizer) if c in inputs}


@torch.no_grad()
def cosines(loaded: Loaded, inputs: dict[str, Tensor], theta: dict[str, Tensor], masks: Masks) -> list[float]:
    """Return the mean cosine of two texts' first tokens under θ ⊙ M, after the embeddings and after each layer."""
    no_labels = torch.zeros(len(inputs["input_ids"]), dtype=torch.long)
    means = []
    batch = Batch(inputs, no_labels, no_labels)
    for h in loaded.net(batch, loaded.head, masks, theta=theta, needs=("hidden",)).hidden:
        rows = torch.nn.functional.normalize(h[:, 0], dim=-1)
        n = len(rows)
        means.append(float((rows @ rows.T).sum() - n) / (n * n - n))
    return means


def matrices(loaded: Loaded) -> dict[str, nn.Module]:
    """Return the modules of the encoder's prunable matrices, by the matrices' names."""
    net, modules = loaded.net, dict(loaded.net.encoder.named_modules())
    return {n: modules[n.removeprefix(net.prefix).removesuffix(".weight")] for n in net.prunable()}


def recentred(loaded: Loaded, inputs: dict[str, Tensor], dense: dict[str, Tensor]) -> list[float]:
    """Return `cosines` of the masks alone, with each matrix's mean output shifted to that of the dense network."""
    is_token = inputs["attention_mask"].bool()
    means: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, __, y, n=n: means.__setitem__(n, y[is_token].mean(0)))
        for n, module in matrices(loaded).items()
    ]
    cosines(loaded, inputs, dense, {})
    for handle in handles:
        handle.remove()
    handles = [
        module.register_forward_hook(lambda _, __, y, n=n: y - y[is_token].mean(0) + means[n])
        for n, module in matrices(loaded).items()
    ]
    values = cosines(loaded, inputs, dense, loaded.masks)
    for handle in handles:
        handle.remove()
    return values


@torch.no_grad()
def mean_ratios(loaded: Loaded, inputs: dict[str, Tensor]) -> dict[str, tuple[float, float]]:
    """Return two ratios by kind of matrix: |mean (W ⊙ M)x| ÷ |mean W x|, and that of the deviations from the means.

    x is the matrix's input in the dense checkpoint.
    """
    net, is_token = loaded.net, inputs["attention_mask"].bool()
    x: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, args, __, n=n: x.__setitem__(n, args[0][is_token]))
        for n, module in matrices(loaded).items()
    ]
    net.encoder(**inputs)
    for handle in handles:
        handle.remove()
    ratios = defaultdict(list)
    for n, theta in net.prunable().items():
        dense, masked = x[n] @ theta.T, x[n] @ (theta * loaded.masks.get(n, torch.ones(()))).T
        mean_ratio = masked.mean(0).norm() / dense.mean(0).norm()
        deviation_ratio = (masked - masked.mean(0)).norm() / (dense - dense.mean(0)).norm()
        ratios[net.place(n)[1]].append((float(mean_ratio), float(deviation_ratio)))
    return {kind: tuple(statistics.median(x) for x in zip(*pairs, strict=True)) for kind, pairs in ratios.items()}


if __name__ == "__main__":
    main()
