"""The C library's allocator: when freed memory stays with the process, and when it goes back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt's numbers of these parameters
LARGEST = 32 * 2**20  # bytes: the largest value that glibc takes for MMAP_THRESHOLD
VARIABLES = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> None:
    """Let glibc keep what tensors of up to 32 MiB have freed, for the tensors of the next step.

    Otherwise it returns the memory to the system in some steps, and the system has to fill it with zeros again.
    Settings of the user's stay. Other C libraries are left as they are.
    """
    if any(name in os.environ for name in VARIABLES):
        return
    if mallopt := _function("mallopt"):
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Let glibc return all freed memory to the system, now. What is taken again has to be filled with zeros again.

    Holes between tensors that stay may be too small for the next tensors. Returned, they count no more.
    """
    if malloc_trim := _function("malloc_trim"):
        malloc_trim(0)


def _function(name: str) -> Any:
    """Return a function of the C library; None if it has none of this name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
