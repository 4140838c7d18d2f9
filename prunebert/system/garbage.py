"""Spare Python's garbage collector the objects that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
