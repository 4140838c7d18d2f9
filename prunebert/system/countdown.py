"""Show how far a long command has come, on standard error: nothing in the first second, then a bar or plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack
from typing import Any

from rich import progress as bars
from rich.console import Console

from prunebert.system import loading
from prunebert.system.progress import PLAIN_EVERY, TIMES, clock, times

SILENT = 1.0  # seconds


class Countdown:
    """The progress of one task. Of several at once only the outermost is shown."""

    shown: Countdown | None = None  # the outermost

    def __init__(self, task: str, total: int | None, unit: str = "") -> None:
        """Start the clock.

        Args:
            task: what is done, as in "reading runs".
            total: how many steps there are; None if that is not known.
            unit: what a step is, where the task's name does not say it.
        """
        self.task, self.total, self.unit, self.done = task, total, unit, 0
        self.start_time = self.last_time = time.monotonic()
        self.console = Console(stderr=True)
        self.bar: bars.Progress | None = None
        self.drawn = ExitStack()  # what ends with the bar

    def __enter__(self) -> Countdown:
        if Countdown.shown is None:
            Countdown.shown = self
        return self

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done. Shows them if a second has passed."""
        self.done += steps
        time_now = time.monotonic()
        if Countdown.shown is not self or time_now - self.start_time < SILENT:
            return
        if self.console.is_terminal and not loading.LOADING.prefix:
            if self.bar or not loading.LOADING.hidden:  # not beside another bar
                self._draw_bar()
        elif time_now - self.last_time >= PLAIN_EVERY:
            self.last_time = time_now
            loading.clear()
            print(self.line(time_now), file=sys.stderr, flush=True)  # noqa: T201

    def line(self, time_now: float) -> str:
        """Return the plain line: "comparing masks: 1,200 of 500,000 pairs · elapsed 00:00:10 · left 00:00:40"."""
        task, elapsed = f"{loading.LOADING.prefix}{self.task}", time_now - self.start_time
        if not self.total:
            count = " ".join(f"{self.done:,} {self.unit}".split())
            return f"{task}: {count} · elapsed {clock(elapsed)}"
        count = " ".join(f"{self.done:,} of {self.total:,} {self.unit}".split())
        return f"{task}: {count} · {times(elapsed, self.done, self.total)}"

    def _draw_bar(self) -> None:
        if self.bar is None:
            self.drawn.enter_context(loading.beside_a_bar())
            self.bar = bars.Progress(
                bars.TextColumn("{task.description}"),
                bars.BarColumn(),
                bars.MofNCompleteColumn(),
                bars.TextColumn(self.unit),
                *TIMES,
                console=self.console,
                transient=True,
            )
            self.bar.add_task(self.task, total=self.total)
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=self.done)

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()
        self.drawn.close()
        if Countdown.shown is self:
            Countdown.shown = None


def track(
    items: Iterable[Any], task: str, total: int | None = None, unit: str = "", by_item: bool = True
) -> Iterator[Any]:
    """Yield the items and show how many are done.

    Args:
        items: what is worked on.
        task: what is done.
        total: the number of steps; the number of items if they can be counted.
        unit: what a step is.
        by_item: count each item as a step. Otherwise an item is itself the number of steps that are done.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Countdown(task, total, unit) as countdown:
        for item in items:
            if not by_item:
                countdown.advance(item)
            yield item
            if by_item:
                countdown.advance()
