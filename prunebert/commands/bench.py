"""`prunebert bench RUN`: how fast the exported model is, dense and with what stock PyTorch can make of its zeros."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.system.console import arguments, out_file, say, table_console

if TYPE_CHECKING:
    from torch import nn

    from prunebert.runs.load import Loaded

DOES = """Time the exported model on random tokens without padding, in float32:

  dense          the same weights, none removed
  zeros          removed weights are zeros, in dense matrices
  csr            every matrix that holds zeros as a sparse CSR matrix
  removed        attention heads and feed-forward neurons with nothing left are taken out
  removed+csr    both

Repetitions are interleaved, so that a busy machine is busy for all alike. The factor is the median over repetitions of
this variant's time over dense's, with a 95 % interval from resampling the repetitions: faster or slower is said only
where the whole interval is beyond 5 %."""
SAME = 0.05
AT_LEAST = 5  # repetitions, whatever --seconds says
Forward = Callable[[], Any]


def main(words: list[str]) -> None:
    """Time a run's variants in every shape asked for; print the tables, and write --out."""
    parser = arguments("bench", DOES)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("--batch", default="1,32", help="texts at a time, default 1,32")
    parser.add_argument("--length", default="128", help="tokens of a text, default 128")
    parser.add_argument("--repeats", type=int, default=50, help="default 50")
    parser.add_argument("--seconds", type=float, default=60, help="a batch and length ends after that, default 60")
    parser.add_argument("--threads", type=int, help="of torch on the CPU, default all cores")
    parser.add_argument("--device", default="auto", help="auto (the default), cpu or cuda")
    parser.add_argument("--out", help="write what is found into this JSON file")
    parser.add_argument("--model", help="where the model's checkpoint is now: a folder or hub id")
    asked = parser.parse_args(words)
    shapes = [(b, n) for b in _numbers("--batch", asked.batch) for n in _numbers("--length", asked.length)]
    if asked.repeats < AT_LEAST:
        raise BadInput(f"--repeats={asked.repeats}: at least {AT_LEAST}")
    out = out_file(asked.out)
    artifacts.result(artifacts.resolve_pointer(Path(asked.run).expanduser()))
    from prunebert.runs.load import load
    from prunebert.system.impl import Impl

    impl = Impl(device=asked.device, precision="fp32", compile=False, threads=asked.threads)
    impl.start()
    run = load(asked.run, model=asked.model)
    for _, length in shapes:
        if length > run.net.model.positions:
            raise BadInput(f"--length={length}: {run.net.model.name} reads at most {run.net.model.positions} tokens")
    device = impl.torch_device
    made, removed = variants(run)
    made = {name: model.to(device) for name, model in made.items()}
    row: dict[str, Any] = {"run": asked.run, "hardware": hardware(impl.describe()), "load_before": os.getloadavg()[0]}
    say(row["hardware"])
    say(f"{timed_part(run)}; {removed}")
    row |= {"part": timed_part(run), "removed": removed, "cells": []}
    for batch, length in shapes:
        cell = measure(made, batch, length, asked.repeats, asked.seconds)
        row["cells"].append(cell)
        _tell(cell)
    row["load_after"] = os.getloadavg()[0]
    busy, cores = max(row["load_before"], row["load_after"]), os.cpu_count() or 1
    if busy > cores + 1:
        say(f"the machine was busy with other work (load {busy:.1f} on {cores} cores): take these times as rough")
    if out:
        out.write_text(json.dumps(row, indent=1) + "\n", "utf-8")


def variants(run: Loaded) -> tuple[dict[str, nn.Module], str]:
    """The models that are timed, by name, and in words what was removed from `removed`."""
    import copy

    from transformers.activations import ACT2FN

    from prunebert.commands import bench_models
    from prunebert.commands.export_model import stock

    family, config = run.net.model.family, run.net.model.config
    activation = ACT2FN[getattr(config, "hidden_act", None) or config.activation]
    whole = (stock(run, masked=False), stock(run))
    dense, zeros = (model.base_model for model in whole) if _bare(run) else whole
    names = [n.removeprefix(run.net.prefix) if _bare(run) else n for n in run.masks]
    csr, removed = copy.deepcopy(zeros), copy.deepcopy(zeros)
    matrices = bench_models.to_csr(csr, names)
    gone = bench_models.remove_dead(removed, family, run.net.model.heads, activation)
    both = copy.deepcopy(removed)
    bench_models.to_csr(both, names)
    told = (
        f"{gone.heads} of {gone.of_heads} heads and {gone.neurons:,} of {gone.of_neurons:,} neurons are dead and "
        f"removed, {matrices} matrices are CSR"
    )
    made = {"dense": dense, "zeros": zeros, "csr": csr, "removed": removed, "removed+csr": both}
    return made, told


def _bare(run: Loaded) -> bool:
    """Whether the encoder alone is timed: a masked-LM class computes the whole vocabulary at every token."""
    return run.net.kind_of(run.head) != "linear"


def timed_part(run: Loaded) -> str:
    from prunebert.commands.export_model import auto

    return f"{auto(run)}'s encoder without its head" if _bare(run) else auto(run)


def measure(models: dict[str, nn.Module], batch: int, length: int, repeats: int, seconds: float) -> dict[str, Any]:
    """Times of every model on the same `batch` texts of `length` tokens; bytes; how far its output is from zeros'."""
    import numpy as np
    import torch

    from prunebert.commands import bench_models

    first = next(iter(models.values()))
    device = next(first.parameters()).device
    config: Any = first.config
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, config.vocab_size, (batch, length), generator=generator).to(device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    times: dict[str, list[float]] = {name: [] for name in models}
    outputs = {}
    with torch.no_grad():
        for name, model in models.items():
            model(**inputs)
            outputs[name] = model(**inputs)[0].float()  # warm now
        began, order = time.perf_counter(), list(models)
        while len(times["dense"]) < repeats:
            if len(times["dense"]) >= AT_LEAST and time.perf_counter() - began > seconds:
                break
            for name in order:
                times[name].append(_time(models[name], inputs, device.type))
            order = order[1:] + order[:1]  # so that none always follows the same one
    rows = {}
    for name, found in times.items():
        p50, p90, p99 = (float(x) * 1e3 for x in np.percentile(found, [50, 90, 99]))
        rows[name] = {
            "p50_ms": p50,
            "p90_ms": p90,
            "p99_ms": p99,
            "texts_per_second": batch / p50 * 1e3,
            "times_dense": _ratio(np.array(found) / np.array(times["dense"])),
            "bytes": bench_models.size(models[name]),
            "output_differs_by": float((outputs[name] - outputs["zeros"]).abs().max()),
        }
    return {"batch": batch, "length": length, "repetitions": len(times["dense"]), "variants": rows}


def _ratio(ratios: Any) -> list[float]:
    """Median, and the 2.5th and 97.5th percentile of the medians of 2,000 resamplings."""
    import numpy as np

    medians = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    return [float(x) for x in (np.median(ratios), *np.percentile(medians, [2.5, 97.5]))]


def _time(model: nn.Module, inputs: dict[str, Any], device: str) -> float:
    import torch

    began = time.perf_counter()
    model(**inputs)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def verdict(times_dense: list[float]) -> str:
    """A factor and its interval in words."""
    middle, low, high = times_dense
    if high < 1 - SAME:
        return f"{1 / middle:.2f} times faster ({1 / high:.2f} to {1 / low:.2f})"
    if low > 1 + SAME:
        return f"{middle:.2f} times SLOWER ({low:.2f} to {high:.2f})"
    if low >= 1 - SAME and high <= 1 + SAME:
        return "no different"
    return f"not told apart ({low:.2f} to {high:.2f} of its time)"


def hardware(device: str) -> str:
    """Processor, device and library, in a line."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor() or platform.machine()
    return f"{cpu}, {os.cpu_count()} cores; {device}; torch {torch.__version__}, Python {platform.python_version()}"


def _tell(cell: dict[str, Any]) -> None:
    from rich.table import Table

    title = f"{cell['batch']} texts of {cell['length']} tokens, {cell['repetitions']} repetitions"
    table = Table("", "p50 ms", "p90", "p99", "texts/s", "MB", "against dense", title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in cell["variants"].items():
        numbers = (f"{row[k]:.2f}" for k in ("p50_ms", "p90_ms", "p99_ms"))
        told = "" if name == "dense" else verdict(row["times_dense"])
        table.add_row(name, *numbers, f"{row['texts_per_second']:,.1f}", f"{row['bytes'] / 1e6:,.1f}", told)
    table_console().print(table)


def _numbers(key: str, text: str) -> list[int]:
    try:
        numbers = [int(x) for x in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise BadInput(f"{key}={text}: whole numbers from 1 on, with commas between them")
    return numbers
