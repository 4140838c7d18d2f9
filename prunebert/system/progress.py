"""Progress of a phase: a bar on a terminal, plain lines anywhere else (a file, a cluster's log)."""

from __future__ import annotations

import logging
import sys
import time

import rich
from rich import progress as bars
from rich.logging import RichHandler

log = logging.getLogger(__name__)
PLAIN_EVERY = 10.0  # seconds between plain lines


class Progress:
    """`with Progress("prune", 300) as progress: progress.show(step, loss, sparsity)`. first: steps done before."""

    def __init__(self, phase: str, steps: int, first: int = 0) -> None:
        self.phase, self.steps, self.first = phase, steps, first
        self.began = self.last = time.monotonic()
        self.bar: bars.Progress | None = None

    def __enter__(self) -> Progress:
        if rich.get_console().is_terminal:
            self.bar = bars.Progress(
                bars.TextColumn("{task.description:>12}"),
                bars.BarColumn(),
                bars.MofNCompleteColumn(),
                bars.TextColumn("loss {task.fields[loss]:.4f}  sparsity {task.fields[sparsity]:.4f}"),
                bars.TimeElapsedColumn(),
                bars.TextColumn("left"),
                bars.TimeRemainingColumn(),
                console=rich.get_console(),
            )
            self.task = self.bar.add_task(self.phase, total=self.steps, loss=float("nan"), sparsity=0.0)
            self.bar.update(self.task, completed=self.first)
            self.bar.start()
        return self

    def show(self, step: int, loss: float, sparsity: float) -> None:
        """State after `step` steps."""
        if self.bar:
            self.bar.update(self.task, completed=step, loss=loss, sparsity=sparsity)
            return
        now = time.monotonic()
        if step == self.steps or now - self.last >= PLAIN_EVERY:
            self.last = now
            left = (now - self.began) / max(step - self.first, 1) * (self.steps - step)
            log.info(
                "%s: step %d/%d  loss %.4f  sparsity %.4f  %s left",
                *(self.phase, step, self.steps, loss, sparsity, clock(left)),
            )

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()


def clock(seconds: float) -> str:
    """HH:MM:SS, and more hours than 24 where it is more than a day."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def terminal_handler() -> logging.Handler:
    """Where a run's log lines go besides run.log: above the bar on a terminal, one plain line each elsewhere. Not those
    with `told_later`, which the process ends with anyway."""
    handler: logging.Handler
    if rich.get_console().is_terminal:
        handler = RichHandler(show_path=False, show_level=False, log_time_format="%H:%M:%S")
    else:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: not getattr(record, "told_later", False))
    return handler
