"""Threads that wait for each other, beside other runs on the same cores."""

import os
import subprocess
import sys

import pytest

WAIT = """
from prunebert.cli import _let_waiting_threads_sleep
_let_waiting_threads_sleep()
import torch
torch.ones(9**6).sum()
"""


@pytest.mark.parametrize(
    ("told", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_threads_that_wait_give_way_soon_unless_told_otherwise(told, spins):
    """As GNU OpenMP says it was told, in a process of its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", WAIT], env=env | {"OMP_DISPLAY_ENV": "verbose"} | told, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("torch's OpenMP is not GNU's here")
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
