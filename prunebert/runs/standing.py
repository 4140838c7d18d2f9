"""Where a sweep is: which cell of how many, how long the rest will take, and how to go on after an interruption."""

from __future__ import annotations

import logging
import math
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prunebert.errors import BadInput, visible
from prunebert.runs import artifacts, made
from prunebert.runs.sweep import axes_of, science
from prunebert.settings.overrides import canonical
from prunebert.system import distributed, loading, signals
from prunebert.system.console import counted
from prunebert.system.progress import clock
from prunebert.system.threads import cores

log = logging.getLogger(__name__)


@dataclass
class Command:
    """The command of this process. A launcher's worker has none of its own.

    Attributes:
        words: its command line as it was typed, without the program's name.
        warnings: of its words that change nothing, and of too few seeds. They are printed when the sweep begins.
        seconds: what each cell took that was trained in this process.
        started: when the process started, on time.monotonic's clock.
    """

    words: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def go_on(self, rerun: bool = False) -> str:
        """Return what continues the command: "go on with: prunebert method=smp".

        rerun: a lone run was started with rerun=true, which would clear its checkpoint and begin again.
        """
        if not self.words or distributed.COUNT > 1:
            return f"the same command {'without rerun=true ' if rerun else ''}goes on"
        words = [w for w in self.words if not (rerun and w.lstrip("+").partition("=")[0] == "rerun")]
        if rerun and words == self.words:  # a file of the user's has it
            words = [*words, "rerun=false"]
        return f"go on with: prunebert {visible(shlex.join(words))}"


COMMAND = Command()


def begin_command(words: list[str]) -> None:
    """Remember the words of this process's command line, as they were typed."""
    global COMMAND
    COMMAND = Command(list(words))


@dataclass(frozen=True)
class Cell:
    """One cell of a sweep."""

    number: int  # from 1
    total: int | None  # None: the sweep cannot be enumerated
    label: str  # the words that vary, as in "method=smp seed=1"

    def line(self, at_once: int) -> str:
        """Return the cell and the sweep's time: "cell 3 of 12: method=smp · sweep: elapsed 00:01:00 · left 00:04:30".

        The time left is that of the cells trained before in this process. Cells that were finished before do not count.

        at_once: how many cells are trained at the same time.
        """
        of = f" of {self.total}" if self.total else ""
        elapsed = f"sweep: elapsed {clock(time.monotonic() - COMMAND.started)}"
        if not (self.total and COMMAND.seconds):
            return f"cell {self.number}{of}: {self.label} · {elapsed}"
        seconds = COMMAND.seconds[1:] or COMMAND.seconds  # the first cell also imports torch
        mean = sum(seconds) / len(seconds)
        rounds = math.ceil((self.total - self.number + 1) / at_once)
        return f"cell {self.number}{of}: {self.label} · {elapsed} · left {clock(mean * rounds)}"


def cell_of(sweep: Path, words: list[str], number: int) -> Cell:
    """Return the cell with some words.

    Args:
        sweep: the sweep's directory, which holds its record.
        words: of the cell's command line.
        number: of the cell, from 1.
    """
    try:
        axes = axes_of(sweep)
        varying = {key for key, values in axes.items() if len(values) > 1}
        label = [word for word in words if canonical(word).partition("=")[0] in varying]
        return Cell(number, math.prod(map(len, axes.values())), visible(" ".join(label or words)))
    except BadInput:
        return Cell(number, None, visible(" ".join(sorted(science(words)))))


def begin_cell(sweep: Path, words: list[str], number: int, jobs: int) -> None:
    """Report which cell of a sweep begins, and let the lines of a launcher's worker begin with its label.

    jobs: how many cells the launcher trains at the same time; -1: one for each core.
    """
    cell = cell_of(sweep, words, number)
    loading.LOADING.prefix = f"[{cell.label}] " if signals.in_worker_of_a_sweep() else ""
    log.info("%s", cell.line(jobs if jobs > 0 else cores()))


def timed(carry_out: Callable[[], bool]) -> None:
    """Carry out a run, and remember its time if it was trained here. It returns whether it was."""
    started = time.monotonic()
    if carry_out():
        COMMAND.seconds.append(time.monotonic() - started)


def of_sweep(sweep: Path) -> str:
    """Return how much of a sweep is finished: "3 of 12 cells are finished"."""
    finished = sum(artifacts.is_finished(root) for root in artifacts.runs(sweep))
    try:
        total = math.prod(map(len, axes_of(sweep).values()))
    except BadInput:
        return f"{counted(finished, 'cell')} finished"
    return f"{finished} of {counted(total, 'cell')} {'is' if finished == 1 else 'are'} finished"


def report_stop(sweep: Path | None) -> None:
    """Report what of a sweep is finished and how to go on, where a signal ends this process."""
    if sweep is not None and COMMAND.words:
        loading.clear()
        sys.stderr.write(f"prunebert: {of_sweep(sweep)}; {COMMAND.go_on()}\n")


def clean(sweep: Path | None) -> None:
    """Clean up where a signal ends the process outside of training."""
    report_stop(sweep)
    made.remove_empty()
