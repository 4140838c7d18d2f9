"""A polite end: SIGTERM, SIGUSR1 and Ctrl-C stop a run at its next step, with a checkpoint. A second one, at once.

Within a second it is taken for the same wish: torchrun hands on what the terminal has told every process already.
SIGUSR2 does where somebody already waits for it: submitit, which then puts its Slurm job back into the queue.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STATUS = 75  # "try again later" (sysexits.h): the same command goes on where this run stopped
SIGNALS = [s for s in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2") if hasattr(signal, s)]


class Stopped(SystemExit):
    """Ends the process with STATUS; no `except Exception` keeps it, so a sweep ends too."""

    def __init__(self, by: str, where: str) -> None:
        super().__init__(STATUS)
        self.by, self.where = by, where


class Request:
    """by: the signal that asked for the end, if one did. patient: whether somebody will look at `by` soon."""

    def __init__(self) -> None:
        self.by: str | None = None
        self.patient = False
        self.since = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again = self.by is not None and time.monotonic() - self.since > 1
        if self.by is None:
            self.by, self.since = signal.Signals(number).name, time.monotonic()
        if again or not self.patient:
            raise Stopped(self.by, "between two steps" if again else "outside of training")


@contextmanager
def heeded() -> Iterator[Request]:
    """While inside, signals make a Request; then what they did before is put back, and somebody else's handler gets the
    signal too. Outside the main thread they cannot."""
    request = Request()
    before: dict[int, Any] = {}
    try:
        for name in SIGNALS:
            number = getattr(signal, name)
            if name != "SIGUSR2" or callable(signal.getsignal(number)):
                before[number] = signal.signal(number, request)
    except ValueError:
        pass
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if request.by and request.by != "SIGINT" and callable(before[getattr(signal, request.by)]):
            signal.raise_signal(getattr(signal, request.by))
