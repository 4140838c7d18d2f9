"""`prunebert bench RUN`: time the exported model, dense and with its zeros used as stock PyTorch can."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prunebert.commands.bench_verdicts import ALWAYS, MIN_REPETITIONS, TOO_NOISY, VARIANTS, floor_of, outcome, verdict
from prunebert.errors import BadInput, bad_choice
from prunebert.network import positions
from prunebert.runs import artifacts, files, inputs, reading
from prunebert.system import table
from prunebert.system.console import arguments, counted, out_file, say
from prunebert.system.table import Column, say_wrapped
from prunebert.system.threads import cores

DESCRIPTION = """Time the pruned network on random tokens without padding, and compare it with the fastest dense one:

  dense          the weights before pruning, float32
  zeros          removed weights are zeros in dense matrices, float32
  bf16, compiled, compiled bf16
                 zeros in bfloat16 and through torch.compile, if there is a C++ compiler
  onnxruntime, openvino, openvino bf16
                 zeros in other runtimes, if prunebert[onnx] and prunebert[openvino] are installed
  csr            every matrix that contains zeros is a sparse CSR matrix, float32
  removed        attention heads and feed-forward neurons without remaining weights are removed
  removed …      the same in bfloat16, ONNX Runtime and OpenVINO, if any are removed
  removed+csr    removed, and then CSR
  2:4            bfloat16 with torch's 2:4 kernels, if the masks are 2:4 and the GPU has them

The variants take turns, so a busy machine slows all of them alike. The fastest variant above csr is the best dense one.
The last column compares each variant with it: the median, over the repetitions, of the quotient of both times. The 95 %
interval comes from resampling the repetitions. A variant is called faster or slower only if its whole interval is
beyond the noise: 5 %, or more if dense, timed twice, differs by more. Outputs are compared with those of zeros."""

DEVICES = ("auto", "cpu", "cuda")  # of impl.device
MOST_THREADS = 4096  # of impl.threads


def main(argv: list[str]) -> None:
    """Time a run's variants in every requested shape, print the tables, and write --out."""
    parser = arguments("bench", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("--batch", default="1,8", help="texts of a batch, default 1,8")
    parser.add_argument("--length", default="128", help="tokens of a text, default 128; both take several numbers")
    parser.add_argument("--threads", default="1,all", help="threads on the CPU, default 1,all; all means every core")
    parser.add_argument("--variants", default="all", help="names from the list above, default all")
    parser.add_argument("--repeats", type=int, default=50, help="repetitions of each table, default 50")
    parser.add_argument("--seconds", type=float, default=60, help="time limit of each table's timing, default 60")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda, default auto")
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    table.add_wide(parser)
    options = parser.parse_args(argv)
    shapes = [(b, n) for b in _numbers("--batch", options.batch) for n in _numbers("--length", options.length)]
    counts, wanted = _threads(options.threads), _names(options.variants)
    if options.device not in DEVICES:
        raise bad_choice("--device", options.device, DEVICES)
    if not options.seconds >= 0:  # NaN is refused too
        raise BadInput(f"--seconds={options.seconds:g}: must be a number of at least 0")
    if options.repeats < MIN_REPETITIONS:
        raise BadInput(f"--repeats={options.repeats}: must be at least {MIN_REPETITIONS}")
    out = out_file(options.out, '{\n "run": ')
    facts = artifacts.result(artifacts.resolve_pointer(reading.home(options.run)))  # before the slow imports
    if options.model:
        inputs.require_model(options.model)
    checkpoint: dict[str, Any] = facts.get("checkpoint") or {}  # earlier versions did not record it, and load says so
    name = options.model or facts["model"]
    if checkpoint and (most := positions.longest(checkpoint, options.model)) is not None:
        _refuse_longer(shapes, most, name)
    from prunebert.runs.load import load
    from prunebert.system.impl import Impl

    impls = [Impl(device=options.device, precision="fp32", compile=False, threads=count) for count in counts]
    if impls[0].torch_device.type != "cpu":
        impls = impls[:1]  # the CPU's threads do not compute
    impls[0].start()
    run = load(options.run, model=options.model)
    _refuse_longer(shapes, run.net.model.positions, run.net.model.name)  # a checkpoint of the hub is known only now
    from prunebert.commands import bench_cells

    row: dict[str, Any] = {"run": options.run, "hardware": hardware(impls[0].describe())}
    row |= {"load_before": os.getloadavg()[0]}
    say(row["hardware"])
    with bench_cells.prepared(run, wanted, impls[0].torch_device) as bench:
        say_wrapped(f"{bench.part}; {bench.removed}")
        row |= {"part": bench.part, "removed": bench.removed, "cells": []}
        for impl in impls:
            for batch, length in shapes:
                impl.start()
                with _enough_memory(batch, length):
                    timing = bench.time(batch, length, options.repeats, options.seconds)
                row["cells"].append(timing)
                print_cell(timing, options.wide)
        row["not_timed"] = bench.absent
    for name, why in row["not_timed"].items():
        say_wrapped(f"{name}: not timed, {why}")
    row["load_after"] = os.getloadavg()[0]
    load_average, count = max(row["load_before"], row["load_after"]), os.cpu_count() or 1
    if load_average > count + 1:
        say(f"the machine was busy (load {load_average:.1f} on {count} cores), so these times are only rough")
    if out:
        files.write(out.parent, out.name, (json.dumps(row, indent=1) + "\n").encode())


def hardware(device: str) -> str:
    """Return processor, device and library versions in one line."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor() or platform.machine()
    return f"{cpu}, {os.cpu_count()} cores; {device}; torch {torch.__version__}, Python {platform.python_version()}"


def _refuse_longer(shapes: list[tuple[int, int]], most: int, model: str) -> None:
    """Raise BadInput for the first length that is above the tokens that the model reads."""
    for _, length in shapes:
        if length > most:
            raise BadInput(f"--length={length}: {model} reads at most {most} tokens")


def print_cell(timing: dict[str, Any], wide: bool) -> None:
    """Print the table of one batch, length and number of threads, and what it shows."""
    texts = f"{counted(timing['batch'], 'text')} of {counted(timing['length'], 'token')}"
    say(f"{texts}, {counted(timing['threads'], 'thread')}, {counted(timing['repetitions'], 'repetition')}")
    rows, best, floor = timing["variants"], timing["best_dense"], floor_of(timing["noise"])
    verdicts = {name: verdict(row["times_best_dense"], floor) for name, row in rows.items()} | {best: "best dense"}

    def number(title: str, text: Callable[[dict[str, Any]], str], rank: int = 0) -> Column:
        return Column(title, [text(row) for row in rows.values()], number=True, rank=rank)

    columns = [
        Column("variant", list(rows), shortest=max(map(len, rows)), from_middle=True),
        number("p50 ms", lambda row: f"{row['p50_ms']:.2f}"),
        number("p90 ms", lambda row: f"{row['p90_ms']:.2f}", 3),
        number("p99 ms", lambda row: f"{row['p99_ms']:.2f}", 4),
        number("texts/s", lambda row: f"{row['texts_per_second']:,.1f}", 5),
        number("MB", lambda row: f"{row['bytes'] / 1e6:,.1f}", 6),
        number("output\ndiffers by", lambda row: f"{row['output_differs_by']:.0e}", 7),
        number("against\ndense f32", lambda row: f"{1 / row['times_dense'][0]:.2f}x", 1),
        Column("against\nthe best dense", list(verdicts.values())),
    ]
    table.show(columns, wide=wide, more="--wide and --out show all")
    say_wrapped(outcome(timing))
    median, low, high = timing["noise"]
    noise = f"noise: dense timed twice differs by {abs(median - 1):.1%} ({low:.2f} to {high:.2f} of its time)"
    say_wrapped(
        f"{noise}; {'TOO NOISY to compare' if floor > TOO_NOISY else f'less than {floor:.0%} is no difference'}"
    )
    for name, row in rows.items():
        if name != "dense" and row.get("same_labels", 0) < row.get("labels", 0):
            say_wrapped(f"{name} predicts {row['same_labels']} of {row['labels']} labels as zeros does")


def _threads(text: str) -> list[int]:
    """Return the numbers of threads, without repetitions."""
    words = [word.strip() for word in text.split(",")]
    try:
        counts = [cores() if word == "all" else int(word) for word in words]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1 or max(counts) > MOST_THREADS:
        raise BadInput(
            f"--threads={text}: must be all, or whole numbers of at least 1 and at most {MOST_THREADS}, separated by "
            "commas"
        )
    return list(dict.fromkeys(counts))


def _names(text: str) -> list[str]:
    """Return the variants to time, in their usual order."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in ("all", *VARIANTS):
            raise bad_choice("--variants", name, ["all", *VARIANTS])
    return [name for name in VARIANTS if name in names or "all" in names or name in ALWAYS]


def _numbers(key: str, text: str) -> list[int]:
    """Return whole numbers, without repetitions."""
    try:
        numbers = [int(x) for x in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise BadInput(f"{key}={text}: must be whole numbers of at least 1, separated by commas")
    return list(dict.fromkeys(numbers))


@contextlib.contextmanager
def _enough_memory(batch: int, length: int) -> Iterator[None]:
    """Raise BadInput where torch finds no memory for a batch."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's error on a CPU has no class of its own
        if isinstance(error, RuntimeError) and not re.search("allocate memory|out of memory", str(error)):
            raise
        raise BadInput(f"--batch={batch} --length={length}: there is not enough memory; choose smaller ones") from error
