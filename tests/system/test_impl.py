"""Where a run computes: its device among several, its threads, its precision and its peak memory."""

import re
from pathlib import Path

import pytest
import torch

from prunebert.system import impl as module
from prunebert.system.impl import Impl


def make(**changes):
    return Impl(**{"device": "cpu", "precision": "fp32", "compile": False, "threads": None} | changes)


@pytest.mark.parametrize(
    ("cell", "rank", "index"), [("0", None, 0), ("4", None, 1), (None, "5", 2), ("1", "2", 1), (None, None, None)]
)
def test_cells_and_ranks_take_the_devices_in_turn(monkeypatch, cell, rank, index):
    """Here of three devices. A cell of a sweep that is itself one rank of several counts as the cell."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    for name, value in (("PRUNEBERT_CELL", cell), ("LOCAL_RANK", rank)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    for device in ("auto", "cuda"):
        found = make(device=device).torch_device
        assert (found.type, found.index) == ("cuda", index)
    assert make(device="cpu").torch_device == torch.device("cpu")


@pytest.mark.parametrize(
    ("threads", "omp", "expected"), [(3, "5", 3), (None, "5", 5), (None, "6,2", 6), (None, "0", 7), (None, "", 7)]
)
def test_threads_are_those_asked_for_or_openmps_or_all_cores(monkeypatch, threads, omp, expected):
    found = []
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    monkeypatch.setattr(module, "cores", lambda: 7)
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    make(threads=threads).start()
    assert found == [expected]


def test_only_bf16_changes_the_type_of_a_product():
    x = torch.ones(2, 2)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with make(precision=precision).autocast():
            assert (x @ x).dtype == dtype


def test_peak_memory_is_that_of_the_process_in_bytes():
    """Linux tells the same peak in KiB as VmHWM."""
    before, peak, after = (_peak(), make().peak_memory(), _peak())
    assert 0.98 * before <= peak <= 1.02 * after


def _peak():
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
