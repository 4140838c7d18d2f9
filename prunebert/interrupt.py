"""A polite end: SIGTERM, SIGUSR1 and Ctrl-C stop a run at its next step, with a checkpoint. A second one, at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 75  # "try again later" (sysexits.h): the same command goes on where this run stopped
SIGNALS = [s for s in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, s)]


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

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self.by = self.by is not None, signal.Signals(number).name
        if again or not self.patient:
            raise Stopped(self.by, "between two steps" if again else "outside of training")


@contextmanager
def heeded() -> Iterator[Request]:
    """While inside, signals make a Request; what they did before is put back. Outside the main thread they cannot."""
    request = Request()
    before = {}
    try:
        for name in SIGNALS:
            number = getattr(signal, name)
            before[number] = signal.signal(number, request)
    except ValueError:
        pass
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
