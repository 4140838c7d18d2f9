"""Estimate the hours of training on named hardware, from steps that were measured.

Training one token takes about 6 floating-point operations for each weight of the encoder's matrices (2 forward, 4
backward). A step's time is therefore scaled from a measured step:

    seconds = measured seconds · (tokens · weights) / (measured tokens · measured weights)

On a GPU a step that is smaller than the measured one gets the measured time as an upper bound, because launching
kernels takes as long for a small step.

speed.csv holds the measured steps. Each is the median over the methods of a file of results/speed. Evaluations and a
teacher's forward passes are not counted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path

from prunebert.network.subnetwork import SubNetwork
from prunebert.system.console import counted
from prunebert.system.table import say_wrapped
from prunebert.training.phase import Phase

SAMPLED = 10  # batches whose tokens are counted


@dataclass(frozen=True)
class Measured:
    """A measured training step.

    Attributes:
        weights: of the matrices of the model's encoder.
        batch, length: texts of the step, and tokens of each.
        seconds: of the step.
        source: the file with the measurement.
    """

    model: str
    weights: int
    batch: int
    length: int
    device: str
    precision: str
    seconds: float
    hardware: str
    source: str

    def seconds_for(self, size: int) -> float:
        """Return the seconds of a step, or on a GPU an upper bound of them.

        size: tokens of the step times weights of the model's encoder.
        """
        return self.seconds * max(self.scale(size), 1.0 if self.device == "cuda" else 0.0)

    def scale(self, size: int) -> float:
        """Return how large a step is in comparison with the measured one."""
        return size / (self.batch * self.length * self.weights)


@dataclass(frozen=True)
class Work:
    """Training that is to be done: steps of one size."""

    steps: int
    tokens: int  # of a step, pads included
    weights: int  # of the matrices of the model's encoder


@cache
def measured() -> list[Measured]:
    """Return the measured steps of speed.csv."""
    content = files("prunebert.commands").joinpath("speed.csv").read_text("utf-8")
    return [
        Measured(
            model=row["model"],
            weights=int(row["weights"]),
            batch=int(row["batch"]),
            length=int(row["length"]),
            device=row["device"],
            precision=row["precision"],
            seconds=float(row["seconds"]),
            hardware=row["hardware"],
            source=row["source"],
        )
        for row in csv.DictReader(content.splitlines())
    ]


def works_of(phases: Iterable[Phase], net: SubNetwork, seed: int) -> list[Work]:
    """Return the work of each phase. The tokens of its steps are the mean of its first batches."""
    weights = sum(W.numel() for W in net.prunable("encoder").values())
    works = []
    for phase in phases:
        if phase.planned:
            batches = islice(phase.task.batches(phase.fit.batch_size, seed), SAMPLED)
            sizes = [batch.inputs["input_ids"].numel() for batch in batches]
            works.append(Work(phase.planned, round(sum(sizes) / len(sizes)), weights))
    return works


def nearest(weights: int, device: str) -> Measured:
    """Return the measured step on a kind of device whose model is nearest in size."""
    return min((m for m in measured() if m.device == device), key=lambda m: abs(math.log(m.weights / max(weights, 1))))


def lines(works: list[Work], named: set[str]) -> list[str]:
    """Return a line for each kind of device: the estimated time, the hardware and the measurements behind it.

    named: measurements that an earlier line named; they are not repeated, and new ones are added here.
    """
    found = []
    for device in ("cuda", "cpu"):
        steps = [(work, nearest(work.weights, device)) for work in works]
        seconds = sum(work.steps * step.seconds_for(work.tokens * work.weights) for work, step in steps)
        is_bound = device == "cuda" and any(step.scale(work.tokens * work.weights) < 1 for work, step in steps)
        used = list(dict.fromkeys(step for _, step in steps))
        sources = "; ".join(f"{m.model}, {m.batch} texts of {m.length} tokens a step, {m.source}" for m in used)
        for hardware in dict.fromkeys(f"{m.hardware}, {m.precision}" for m in used):
            about = "at most" if is_bound else "about"
            origin = "" if sources in named else f" (estimated from {sources})"
            found.append(f"{about} {duration(seconds)} on {hardware}{origin}")
        named.add(sources)
    return found


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it, with two digits: "45 s", "12 min", "3.4 h", "310 h"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{rounded(seconds / size)} {unit}"
    return f"{rounded(seconds)} s"


def rounded(value: float) -> str:
    """Return a number with two significant digits, without an exponent."""
    digits = 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


class Total:
    """The work of all runs of a dry sweep that are still to do, in this process."""

    def __init__(self) -> None:
        self.runs = 0
        self.works: list[Work] = []
        self.named: set[str] = set()  # measurements that are printed already
        self.teachers: set[Path] = set()  # files of the shared teachers that the runs fine-tune

    def show(self) -> None:
        """Print the steps and the time of all runs that are to do."""
        if self.works:
            steps = sum(work.steps for work in self.works)
            say_wrapped(f"{counted(self.runs, 'run')} to do: {steps:,} steps of training")
            for line in lines(self.works, self.named):
                say_wrapped(f"    {line}")

    def add(self, works: list[Work]) -> None:
        """Add the work of one run."""
        self.runs += 1
        self.works += works


TOTAL = Total()
