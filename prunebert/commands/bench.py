"""`prunebert bench RUN`: time the exported model, dense and with its zeros used as stock PyTorch can."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts, files, inputs, reading
from prunebert.system import table
from prunebert.system.console import arguments, counted, out_file, say
from prunebert.system.table import Column

if TYPE_CHECKING:
    from torch import nn

    from prunebert.runs.load import Loaded

DESCRIPTION = """Time the exported model on random tokens without padding, in float32:

  dense          the same weights, none removed
  zeros          removed weights are zeros in dense matrices
  csr            every matrix that contains zeros is a sparse CSR matrix
  removed        attention heads and feed-forward neurons without remaining weights are removed
  removed+csr    both

The variants take turns, so a busy machine slows all of them alike. The last column compares each variant with dense:
the median, over the repetitions, of its time divided by dense's time. The 95 % interval comes from resampling the
repetitions. A variant is called faster or slower only if its whole interval differs from dense by more than 5 %."""
TOLERANCE = 0.05  # a smaller difference from dense is called none
MIN_REPETITIONS = 5  # also after --seconds have passed


def main(argv: list[str]) -> None:
    """Time a run's variants in every requested shape, print the tables, and write --out."""
    parser = arguments("bench", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("--batch", default="1,32", help="texts of a batch, default 1,32")
    parser.add_argument("--length", default="128", help="tokens of a text, default 128; both take several numbers")
    parser.add_argument("--repeats", type=int, default=50, help="repetitions of each batch and length, default 50")
    parser.add_argument("--seconds", type=float, default=60, help="time limit of each batch and length, default 60")
    parser.add_argument("--threads", type=int, help="torch's threads on the CPU, default all cores")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda, default auto")
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    table.add_wide(parser)
    options = parser.parse_args(argv)
    shapes = [(b, n) for b in _numbers("--batch", options.batch) for n in _numbers("--length", options.length)]
    if options.repeats < MIN_REPETITIONS:
        raise BadInput(f"--repeats={options.repeats}: must be at least {MIN_REPETITIONS}")
    out = out_file(options.out, '{\n "run": ')
    artifacts.result(artifacts.resolve_pointer(reading.home(options.run)))  # before the slow imports
    if options.model:
        inputs.require_model(options.model)
    from prunebert.runs.load import load
    from prunebert.system.impl import Impl

    impl = Impl(device=options.device, precision="fp32", compile=False, threads=options.threads)
    impl.start()
    run = load(options.run, model=options.model)
    for _, length in shapes:
        if length > run.net.model.positions:
            raise BadInput(f"--length={length}: {run.net.model.name} reads at most {run.net.model.positions} tokens")
    device = impl.torch_device
    models, removed = variants(run)
    models = {name: model.to(device) for name, model in models.items()}
    row: dict[str, Any] = {"run": options.run, "hardware": hardware(impl.describe()), "load_before": os.getloadavg()[0]}
    say(row["hardware"])
    say(f"{timed_part(run)}; {removed}")
    row |= {"part": timed_part(run), "removed": removed, "cells": []}
    for batch, length in shapes:
        timing = measure(models, batch, length, options.repeats, options.seconds)
        row["cells"].append(timing)
        _print_table(timing, options.wide)
    row["load_after"] = os.getloadavg()[0]
    load_average, cores = max(row["load_before"], row["load_after"]), os.cpu_count() or 1
    if load_average > cores + 1:
        say(f"the machine was busy (load {load_average:.1f} on {cores} cores), so these times are only rough")
    if out:
        files.write(out.parent, out.name, (json.dumps(row, indent=1) + "\n").encode())


def variants(run: Loaded) -> tuple[dict[str, nn.Module], str]:
    """Return the models to time, by name, and a sentence about the heads, neurons and matrices that changed."""
    import copy

    from transformers.activations import ACT2FN

    from prunebert.commands import bench_models
    from prunebert.commands.export_model import stock
    from prunebert.network import fused

    family, config = run.net.model.family, run.net.model.config
    keys = ("hidden_act", "activation", "hidden_activation")
    activation = ACT2FN[next(word for key in keys if (word := getattr(config, key, None)))]
    whole = (stock(run, masked=False), stock(run))
    dense, zeros = (model.base_model for model in whole) if _bare(run) else whole
    stock_names = dict.fromkeys(fused.stock_name(n, family) for n in run.masks)
    names = [n.removeprefix(run.net.prefix) if _bare(run) else n for n in stock_names]
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
    return {"dense": dense, "zeros": zeros, "csr": csr, "removed": removed, "removed+csr": removed_csr}, summary


def _bare(run: Loaded) -> bool:
    """Return whether the encoder is timed without its head.

    The stock class of the other heads is a masked-LM model. It computes the whole vocabulary at every token, and that
    would dominate the time.
    """
    return run.net.kind_of(run.head) != "linear"


def timed_part(run: Loaded) -> str:
    """Return the name of the class that is timed."""
    from prunebert.commands.export_model import auto_class

    return f"{auto_class(run)}'s encoder without its head" if _bare(run) else auto_class(run)


def measure(models: dict[str, nn.Module], batch: int, length: int, repeats: int, seconds: float) -> dict[str, Any]:
    """Time every model on the same batch.

    Args:
        models: the variants by name. "dense" and "zeros" must be among them.
        batch: number of texts.
        length: tokens of every text.
        repeats: repetitions.
        seconds: time limit. At least MIN_REPETITIONS are done in any case.

    Returns:
        Percentiles of the time in milliseconds, the factor to dense, the bytes of the weights, and the largest
        difference of the output from that of "zeros", for every model.
    """
    import numpy as np
    import torch

    from prunebert.commands import bench_models

    dense = models["dense"]
    device = next(dense.parameters()).device
    config: Any = dense.config
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, config.vocab_size, (batch, length), generator=generator).to(device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    times: dict[str, list[float]] = {name: [] for name in models}
    outputs = {}
    with torch.no_grad():
        for name, model in models.items():
            model(**inputs)
            outputs[name] = model(**inputs)[0].float()  # the first call only warmed up
        start, order = time.perf_counter(), list(models)
        while len(times["dense"]) < repeats:
            if len(times["dense"]) >= MIN_REPETITIONS and time.perf_counter() - start > seconds:
                break
            for name in order:
                times[name].append(_time(models[name], inputs, device.type))
            order = order[1:] + order[:1]  # otherwise each model would always follow the same one
    rows = {}
    for name, seconds_each in times.items():
        p50, p90, p99 = (float(x) * 1e3 for x in np.percentile(seconds_each, [50, 90, 99]))
        rows[name] = {
            "p50_ms": p50,
            "p90_ms": p90,
            "p99_ms": p99,
            "texts_per_second": batch / p50 * 1e3,
            "times_dense": _median_interval(np.array(seconds_each) / np.array(times["dense"])),
            "bytes": bench_models.size(models[name]),
            "output_differs_by": float((outputs[name] - outputs["zeros"]).abs().max()),
        }
    return {"batch": batch, "length": length, "repetitions": len(times["dense"]), "variants": rows}


def _median_interval(ratios: Any) -> list[float]:
    """Return the median of [repetitions], and the 2.5th and 97.5th percentile of the medians of 2,000 resamplings."""
    import numpy as np

    medians = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    return [float(x) for x in (np.median(ratios), *np.percentile(medians, [2.5, 97.5]))]


def _time(model: nn.Module, inputs: dict[str, Any], device: str) -> float:
    import torch

    start = time.perf_counter()
    model(**inputs)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def verdict(times_dense: list[float]) -> str:
    """Put a factor to dense's time, [median, low, high], into words."""
    median, low, high = times_dense
    if high < 1 - TOLERANCE:
        return f"{1 / median:.2f} times faster ({1 / high:.2f} to {1 / low:.2f})"
    if low > 1 + TOLERANCE:
        return f"{median:.2f} times SLOWER ({low:.2f} to {high:.2f})"
    if low >= 1 - TOLERANCE and high <= 1 + TOLERANCE:
        return "no difference"
    return f"uncertain ({low:.2f} to {high:.2f} of its time)"


def hardware(device: str) -> str:
    """Return processor, device and library versions in one line."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor() or platform.machine()
    return f"{cpu}, {os.cpu_count()} cores; {device}; torch {torch.__version__}, Python {platform.python_version()}"


def _print_table(timing: dict[str, Any], wide: bool) -> None:
    texts = f"{counted(timing['batch'], 'text')} of {counted(timing['length'], 'token')}"
    say(f"{texts}, {counted(timing['repetitions'], 'repetition')}")
    rows = timing["variants"].values()
    verdicts = ["" if name == "dense" else verdict(row["times_dense"]) for name, row in timing["variants"].items()]

    def number(title: str, values: list[str], rank: int = 0) -> Column:
        return Column(title, values, number=True, rank=rank)

    columns = [
        Column("variant", list(timing["variants"])),
        number("p50 ms", [f"{row['p50_ms']:.2f}" for row in rows]),
        number("p90 ms", [f"{row['p90_ms']:.2f}" for row in rows], 3),
        number("p99 ms", [f"{row['p99_ms']:.2f}" for row in rows], 4),
        number("texts/s", [f"{row['texts_per_second']:,.1f}" for row in rows], 2),
        number("MB", [f"{row['bytes'] / 1e6:,.1f}" for row in rows], 1),
        Column("against dense", verdicts),
    ]
    table.show(columns, wide=wide, more="--wide and --out show all")


def _numbers(key: str, text: str) -> list[int]:
    try:
        numbers = [int(x) for x in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise BadInput(f"{key}={text}: must be whole numbers of at least 1, separated by commas")
    return numbers
