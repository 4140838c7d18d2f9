"""Cores, and how threads of this process wait for one another."""

from __future__ import annotations

import os


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def let_waiting_threads_sleep() -> None:
    """Let threads that wait for others of their process sleep after a short spin. Call it before torch is imported.

    By default GNU OpenMP's threads spin so long that two runs on the same cores take ten times as long.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
