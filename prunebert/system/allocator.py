"""The C library's allocator: keep freed memory, because a training step takes the same amounts again."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt's numbers of these parameters
LARGEST = 32 * 2**20  # bytes: the largest value that glibc takes for MMAP_THRESHOLD
VARIABLES = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> None:
    """Let glibc keep what tensors of up to 32 MiB have freed, for the tensors of the next step.

    Otherwise it returns the memory to the system in some steps, and the system has to fill it with zeros again. The
    peak stays the same. Settings of the user's stay. Other C libraries are left as they are.
    """
    if sys.platform != "linux" or any(name in os.environ for name in VARIABLES):
        return
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
