"""Threads that wait for each other while other runs use the same cores."""

import os
import subprocess
import sys

import pytest

WAIT = """
from prunebert.system.threads import let_waiting_threads_sleep
let_waiting_threads_sleep()
import torch
torch.ones(9**6).sum()
"""


@pytest.mark.parametrize(
    ("settings", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_waiting_threads_yield_soon_unless_the_user_sets_otherwise(settings, spins):
    """GNU OpenMP prints its settings; the check runs in a process of its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    env |= {"OMP_DISPLAY_ENV": "verbose"} | settings
    process = subprocess.run([sys.executable, "-c", WAIT], env=env, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    if "GOMP_SPINCOUNT" not in process.stderr:
        pytest.skip("torch's OpenMP is not GNU's here")
    assert f"GOMP_SPINCOUNT = '{spins}'" in process.stderr
