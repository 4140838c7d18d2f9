"""A polite end: SIGTERM, SIGUSR1 and Ctrl-C stop a run at its next step, with a checkpoint. A second one, at once.

Within a second it is taken for the same wish: torchrun hands on what the terminal has told every process already.
SIGUSR2 does where somebody already waits for it: submitit, which then puts its Slurm job back into the queue.
A sweep over several processes hands it on to them, and ends when all have stopped.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STATUS = 75  # "try again later" (sysexits.h): the same command goes on where this run stopped
SIGNALS = [s for s in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2") if hasattr(signal, s)]


class Stopped(SystemExit):
    """Ends the process with STATUS; no `except Exception` keeps it, so a sweep ends too."""

    def __init__(self, by: str, where: str) -> None:
        super().__init__(STATUS)
        self.by, self.where = by, where


class Leave:
    """What a signal does before training: the process ends at once. Raised instead, an exception would go through
    whatever is being imported, which may take it for its own failure, or, in C++, abort."""

    def __init__(self, clean: Callable[[], None]) -> None:
        self.clean = clean

    def __call__(self, number: int, frame: FrameType | None) -> None:
        sys.stderr.write(f"prunebert: stopped by {signal.Signals(number).name} before training began\n")
        self.clean()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130 if number == signal.SIGINT else STATUS)


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
        theirs = before.get(getattr(signal, request.by)) if request.by and request.by != "SIGINT" else None
        if request.by and callable(theirs) and not isinstance(theirs, Leave):
            signal.raise_signal(getattr(signal, request.by))


class Sweep:
    """A sweep whose cells several processes work on; by: the signal that asked for its end, if one did.

    No worker may end by itself, the launcher would kill the others before they have written their checkpoints. So a
    worker only leaves its cell, and the parent waits for all of them.
    """

    def __init__(self) -> None:
        self.by: str | None = None
        self.since = 0.0
        self.inside = False  # in a cell of this process

    def watch(self) -> None:
        """From now on in this process, for good."""
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again = self.by is not None and time.monotonic() - self.since > 1
        if self.by is None:
            self.by, self.since = signal.Signals(number).name, time.monotonic()
        for worker in (child.pid for child in multiprocessing.active_children() if child.pid):
            with suppress(ProcessLookupError):
                os.kill(worker, number)
        if self.inside or (again and not worker_of_a_sweep()):
            raise Stopped(self.by, "outside of training")


SWEEP = Sweep()


@contextmanager
def cell(clean: Callable[[], None]) -> Iterator[bool]:
    """Around one run. In a launcher's worker a signal ends it without an end of the worker, and those after it do not
    begin: then this is False. Elsewhere SIGTERM and Ctrl-C, where nobody waits for them, `clean` and Leave until
    training heeds them."""
    worker = worker_of_a_sweep()
    if worker:
        SWEEP.watch()
    usual: dict[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    alone = not worker and threading.current_thread() is threading.main_thread()
    ours = [number for number, handler in usual.items() if alone and signal.getsignal(number) is handler]
    leave = Leave(clean)
    for number in ours:
        signal.signal(number, leave)
    try:
        SWEEP.inside = True
        yield SWEEP.by is None
    except Stopped as stopped:
        SWEEP.by = SWEEP.by or stopped.by
        if not worker:
            raise
    finally:
        SWEEP.inside = False
        for number in ours:
            signal.signal(number, usual[number])


def worker_of_a_sweep() -> bool:
    """Whether a launcher started this process to work on cells."""
    return multiprocessing.current_process().name != "MainProcess"
