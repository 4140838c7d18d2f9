"""The work of a report grows with the number of runs, and each file is read once. Work is counted, not seconds."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from prunebert.report import command
from prunebert.report.collect import collect
from prunebert.report.statistics import differences, marks

from .conftest import finished, sweep
from .test_collect import seal_files

CALLS = ("call", "c_call")


def write_runs(root, seeds):
    """Write runs of two methods and two sparsities, sealed as runs of today. Their names sort as their seeds do."""
    sweep(root, ["method=magnitude,smp", "sparsity=0.5,0.9", f"seed=range({seeds})"])
    for method in ("magnitude", "smp"):
        for sparsity in (0.5, 0.9):
            for seed in range(seeds):
                seal_files(finished(root / f"{method}{sparsity}-{seed:02}", method, sparsity, seed, wrong=seed))
    return root


def tabulate(root):
    runs = collect([root]).runs
    gaps = differences.differences(runs, ["magnitude"])
    assert len(gaps) == 2  # smp at both sparsities
    return command.flatten(runs), gaps, marks.add_marks(runs)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("speed")
    return {seeds: write_runs(root / str(seeds), seeds) for seeds in (3, 7, 15)}


def opened(action):
    """Return how often `action` opens each file."""
    counts, watching = Counter(), [True]

    def watch(event, args):
        if watching[0] and event == "open" and isinstance(args[0], str | Path):
            counts[str(args[0])] += 1

    sys.addaudithook(watch)  # it cannot be removed
    action()
    watching[0] = False
    return counts


def count_calls(action):
    """Return how many functions `action` calls."""
    count = [0]

    def watch(frame, event, argument):
        count[0] += event in CALLS

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count[0]


def test_each_file_of_a_run_is_opened_once(folders):
    """Predictions three times: collect verifies those of every run, then the differences and the marks compare them."""
    counts = opened(lambda: tabulate(folders[3]))
    by_name = {}
    for path, number in counts.items():
        if path.startswith(str(folders[3])):
            by_name.setdefault(Path(path).name, []).append(number)
    assert by_name["result.json"] == by_name["topology.json"] == [1] * 12
    assert by_name["predictions.parquet"] == [3] * 12
    assert by_name["overrides.yaml"] == [1] * 12
    assert by_name.keys() - {"multirun.yaml"} == {
        "result.json",
        "topology.json",
        "predictions.parquet",
        "overrides.yaml",
    }


def test_twice_the_runs_are_twice_the_work(folders):
    """What does not depend on the runs cancels: 16 runs more, then 32. Twenty steps per pair of runs would give 2.2."""
    for folder in folders.values():  # imports and caches; Hydra's grammar learns every new text, such as range(15)
        tabulate(folder)
    few, some, many = (count_calls(lambda seeds=seeds: tabulate(folders[seeds])) for seeds in (3, 7, 15))
    assert 1.5 < (many - some) / (some - few) < 2.05, (few, some, many)


def test_the_size_on_disk_needs_no_reading(folders):
    counts = opened(lambda: collect([folders[3]]))
    assert counts and not [path for path in counts if path.endswith(".safetensors")]
    assert np.isfinite(collect([folders[3]]).runs["disk_bytes"]).all()
