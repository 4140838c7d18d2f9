"""Freed memory stays with the process, so a second step of the same size takes no new pages from the system."""

import subprocess
import sys

import pytest

CODE = """
import resource, numpy as np, sys
from prunebert.system.allocator import keep_freed_memory

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    before = pages()
    for array in [np.empty(2**17, np.float64) for _ in range(160)]:  # 1 MiB each, too small for huge pages
        array.fill(1)
    return pages() - before

if sys.argv[1] == "keep":
    keep_freed_memory()
step()
print(step())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_step_takes_the_memory_that_the_last_one_freed():
    new_pages = [
        int(subprocess.run([sys.executable, "-c", CODE, word], capture_output=True, text=True, check=True).stdout)
        for word in ("keep", "return")
    ]
    assert new_pages[0] < 1000 < 20_000 < new_pages[1]  # 160 MiB are 40,960 pages
