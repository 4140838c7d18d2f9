"""A polite end: SIGTERM, SIGUSR1 and Ctrl-C stop a run at its next step, with a checkpoint. A second signal stops it
at once.

A second signal within one second counts as the first; torchrun forwards what the terminal already sent. SIGUSR2 is
heeded only where somebody else already handles it: submitit, which then puts its Slurm job back into the queue.
A sweep over several processes forwards its signal to them, and ends when all have stopped.

This module imports nothing slow: its handlers stand before the rest of prunebert is imported.
"""

from __future__ import annotations

import atexit
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
ENDING = [s for s in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, s)]
SIGNALS = [s for s in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2") if hasattr(signal, s)]


class Stopped(SystemExit):
    """Ends the process with STATUS. It is no `Exception`, so a handler for those lets it through and a sweep ends too.

    Attributes:
        by: the name of the signal, or "another rank".
        where: after which step or phase the run stopped.
    """

    def __init__(self, by: str, where: str) -> None:
        super().__init__(STATUS)
        self.by, self.where = by, where


class Leave:
    """The handler outside of runs: run the exit functions, which remove what is half-written, and end the process.

    An exception would pass through whatever is being imported. That may take it for its own failure or, in C++, abort.

    Attributes:
        by: the name of the signal by which a run was stopped. Its message is printed, and later signals say nothing.
    """

    def __init__(self, clean: Callable[[], None] = lambda: None) -> None:
        self.clean = clean
        self.process = os.getpid()
        self.by: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        ignore()
        if os.getpid() != self.process:  # a child of a command: the parent speaks
            os._exit(STATUS)
        try:
            if loading := sys.modules.get("prunebert.system.loading"):
                loading.clear()
            if self.by is None:
                sys.stderr.write(f"prunebert: stopped by {signal.Signals(number).name}\n")
            if rich := sys.modules.get("rich"):
                rich.get_console().show_cursor()  # a progress bar hides it
            self.clean()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # whatever the cleaning ran into, this is the end and this is its status
            os._exit(130 if number == signal.SIGINT and self.by is None else STATUS)


def leave_at_once() -> None:
    """Let the signals end the process by Leave from now on. A signal that is ignored stays ignored, as under nohup."""
    leave = Leave()
    for number in _unhandled():
        signal.signal(number, leave)


def ignore() -> None:
    """Ignore the signals from now on: the process ends already, and its status stands.

    Python gives its handlers up before it has ended. A signal would then end the process with a status of its own.
    """
    for name in ENDING:
        signal.signal(getattr(signal, name), signal.SIG_IGN)


def _unhandled() -> list[int]:
    """The signals that end a process which nobody handles."""
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    return [number for name in ENDING if signal.getsignal(number := getattr(signal, name)) in defaults]


class Request:
    """The handler during a run: it remembers the signal, and raises Stopped where nobody looks at it soon.

    Attributes:
        by: the name of the signal that asked for the end, if one did.
        patient: whether training looks at `by` after its step.
    """

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
    """While inside, signals set a Request.

    Afterwards the earlier handlers are restored, and another library's gets the signal too. Outside the main thread
    Python allows no handlers, so signals keep theirs.
    """
    request = Request()
    earlier: dict[int, Any] = {}
    try:
        for name in SIGNALS:
            number = getattr(signal, name)
            if name != "SIGUSR2" or callable(signal.getsignal(number)):
                earlier[number] = signal.signal(number, request)
    except ValueError:
        pass
    try:
        yield request
    finally:
        for number, handler in earlier.items():
            if isinstance(handler, Leave):
                handler.by = request.by
            signal.signal(number, handler)
        other = earlier.get(getattr(signal, request.by)) if request.by and request.by != "SIGINT" else None
        if request.by and callable(other) and not isinstance(other, Leave):
            signal.raise_signal(getattr(signal, request.by))


class SweepStop:
    """The end of a sweep whose cells several processes work on; it is the handler of the signals that ask for it.

    No worker may end by itself: the launcher would kill the others before they have written their checkpoints. So a
    worker only leaves its cell, and the parent waits for all of them.

    Attributes:
        by: the name of the signal that asked for the end, if one did.
        inside: whether this process is in a cell.
    """

    def __init__(self) -> None:
        self.by: str | None = None
        self.since = 0.0
        self.inside = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again = self.by is not None and time.monotonic() - self.since > 1
        if self.by is None:
            self.by, self.since = signal.Signals(number).name, time.monotonic()
        import multiprocessing

        for worker in (child.pid for child in multiprocessing.active_children() if child.pid):
            with suppress(ProcessLookupError):
                os.kill(worker, number)
        if self.inside or (again and not in_worker_of_a_sweep()):
            raise Stopped(self.by, "outside of training")


def watch_sweep() -> SweepStop:
    """The SweepStop that heeds this process's signals, installed for good at the first call."""
    stop = sweep_stop() or SweepStop()
    for name in ENDING:
        signal.signal(getattr(signal, name), stop)
    return stop


def sweep_stop() -> SweepStop | None:
    """The SweepStop that heeds this process's signals; None if no sweep is watched."""
    handler = signal.getsignal(signal.SIGTERM)
    return handler if isinstance(handler, SweepStop) else None


@contextmanager
def cell(clean: Callable[[], None]) -> Iterator[bool]:
    """Around one run; yields whether the run may begin.

    In a launcher's worker a signal ends the cell but not the worker, and no later cell begins there. Elsewhere a signal
    calls `clean` and ends the process (`Leave`) until training heeds it, unless somebody else handles it.
    """
    worker = in_worker_of_a_sweep()
    stop = watch_sweep() if worker else sweep_stop() or SweepStop()
    alone = not worker and threading.current_thread() is threading.main_thread()
    earlier = {number: signal.getsignal(number) for number in (_unhandled() if alone else ())}
    leave = Leave(clean)
    for number in earlier:
        signal.signal(number, leave)
    try:
        stop.inside = True
        yield stop.by is None
    except Stopped as stopped:
        stop.by = stop.by or stopped.by
        if not worker:
            raise
    finally:
        stop.inside = False
        for number, handler in earlier.items():
            signal.signal(number, handler)


def in_worker_of_a_sweep() -> bool:
    """Whether a launcher started this process to work on cells."""
    import multiprocessing

    return multiprocessing.current_process().name != "MainProcess"
