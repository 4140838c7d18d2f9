"""Spare Python's garbage collector the objects that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_own_process = False  # whether the process is the command line's alone


def begin_process() -> None:
    """Note that this process is the command line's alone, so that its collector may be set up for good."""
    global _own_process
    _own_process = True


@contextmanager
def long_lived_objects() -> Iterator[None]:
    """Treat all present objects as in use while the context lasts.

    Drawing makes cyclic garbage, so the collector runs often. Each time it would visit the rows of all runs again. In
    a report on thousands of runs, that takes a sixth of the time.

    Python collects old garbage only when new objects outnumber a quarter of those that the last full collection left.
    The one at the start sets that number to zero. Without it, hundreds of drawn figures would stay in memory.
    """
    gc.freeze()
    gc.collect()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def paused() -> Iterator[None]:
    """Pause the collector while the context lasts, for work that only makes objects that stay, as reading runs does."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def pass_over_modules() -> None:
    """Treat all present objects as in use for good, the first time this is called in a process of the command line.

    Call it after imports and before anything large is loaded. The objects of torch's and transformers' modules take the
    collector a quarter of a second each time that it visits all.
    """
    if _own_process and not gc.get_freeze_count():
        gc.freeze()
