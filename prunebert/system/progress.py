"""Show the progress of a phase: a bar on a terminal, plain lines elsewhere, as in a file or a cluster's log."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import ExitStack

from rich import progress as bars
from rich.logging import RichHandler

from prunebert.errors import visible
from prunebert.system import loading, streams
from prunebert.system.console import OneLine, console

log = logging.getLogger(__name__)
WIDE = 110  # characters; a narrower terminal has no room for a bar beside the numbers
PLAIN_EVERY = 10.0  # least seconds between two plain lines
TIMES = (bars.TextColumn("elapsed"), bars.TimeElapsedColumn(), bars.TextColumn("· left"), bars.TimeRemainingColumn())


class Progress:
    """`with Progress("prune", 300) as progress: progress.show(step, loss, sparsity)`."""

    def __init__(self, phase: str, steps: int, first: int = 0) -> None:
        """Start the clock.

        Args:
            phase: the phase's name.
            steps: the phase's number of steps.
            first: steps that were done before this process. The estimate of the remaining time leaves them out.
        """
        self.phase, self.steps, self.first = phase, steps, first
        self.start_time = self.last_time = time.monotonic()
        self.bar: bars.Progress | None = None
        self.drawn = ExitStack()  # what ends with the bar

    def __enter__(self) -> Progress:
        if console().is_terminal and not loading.LOADING.prefix:
            self.drawn.enter_context(loading.beside_a_bar())
            is_wide = console().width >= WIDE
            digits = 4 if is_wide else 2
            self.bar = bars.Progress(
                bars.TextColumn("{task.description}", markup=False),
                *([bars.BarColumn()] if is_wide else []),
                bars.MofNCompleteColumn(),
                bars.TextColumn(f"loss {{task.fields[loss]:.4f}} sparsity {{task.fields[sparsity]:.{digits}f}}"),
                *TIMES,
                console=console(),
            )
            self.task = self.bar.add_task(visible(self.phase), total=self.steps, loss=float("nan"), sparsity=0.0)
            self.bar.update(self.task, completed=self.first)
            self.bar.start()
        return self

    def show(self, step: int, loss: float, sparsity: float) -> None:
        """Show the loss and the sparsity after `step` steps."""
        if self.bar:
            self.bar.update(self.task, completed=step, loss=loss, sparsity=sparsity)
            return
        time_now = time.monotonic()
        if step == self.steps or time_now - self.last_time >= PLAIN_EVERY:
            self.last_time = time_now
            estimate = times(time_now - self.start_time, step - self.first, self.steps - self.first)
            log.info(
                "%s: step %d/%d  loss %.4f  sparsity %.4f  %s",
                *(self.phase, step, self.steps, loss, sparsity, estimate),
            )

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()
        self.drawn.close()


def times(elapsed: float, done: int, total: int) -> str:
    """Return the seconds that `done` of `total` steps took, and those that the rest will take at the same speed."""
    return f"elapsed {clock(elapsed)} · left {clock(elapsed / max(done, 1) * (total - done))}"


def clock(seconds: float) -> str:
    """Return the time as HH:MM:SS. The hours go on beyond 24."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


class Named(OneLine):
    """A formatter that begins the messages of a launcher's worker with the label of its cell.

    A message ends the report on what is being loaded.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Format the record without its exception."""
        loading.clear()
        named = logging.makeLogRecord(record.__dict__)
        named.message = f"{loading.LOADING.prefix}{record.message}"
        return super().formatMessage(named)


def terminal_handler() -> logging.Handler:
    """Return the handler of a run's log lines on the terminal; run.log has its own.

    On a terminal the lines appear above the bar. Elsewhere each is one plain line. Records with `printed_at_exit` are
    left out, because Python prints their exception when the process ends.
    """
    streams.prepare()  # a launcher's workers come here without passing through cli.main
    handler: logging.Handler
    if console().is_terminal:
        handler = RichHandler(console=console(), show_path=False, show_level=False, log_time_format="%H:%M:%S")
        handler.setFormatter(Named("%(message)s", "%H:%M:%S"))
    else:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(Named("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: not getattr(record, "printed_at_exit", False))
    return handler
