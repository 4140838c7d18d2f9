"""Test the matrix of transferred masks against means by hand."""

import statistics
from pathlib import Path

import numpy as np
import pytest

from prunebert.analysis import comparison, transfer
from prunebert.analysis.transfer import Target


def run(name, score, source=("smp", "sst2", 0), task="rte", **changes):
    """Return the directory and the result of a run; source: method, task and seed of the run of its masks."""
    method, origin, seed = source or ("", "", 0)
    shuffled, train = changes.pop("shuffled", False), changes.pop("train", "all")
    settings = {"shuffled": shuffled, "train": train, "start": "pretrained", "head": "linear"}
    row = {"task": task, "metric": "accuracy", "score": score, "majority_score": 0.5, "sparsity": 0.9}
    row |= {"weights_hash": "w", "prunable": "encoder", "fit": "quick", "distill": "none", "augment": "none"}
    row |= {"settings": settings, "data": {"fingerprint": {"train": "t", "validation": task}}, "identity": name}
    if source:
        row["masks_from"] = {"method": method, "task": origin, "seed": seed, "sparsity": 0.9}
    return Path(name), row | changes


def dense(name, score, **changes):
    return run(name, score, source=None, sparsity=0.0, **changes)


RTE = Target("rte", "accuracy")


def test_cells_are_means_over_the_seeds_of_target_and_source():
    scores = [0.6, 0.7, 0.9]
    runs = [run(f"r{i}", x, ("smp", "sst2", i % 2)) for i, x in enumerate(scores)]
    runs += [run("s", 0.55, shuffled=True), dense("d0", 0.8), dense("d1", 0.84), run("own", 0.75, task="sst2")]
    (matrix,) = transfer.matrices(runs)
    cell = matrix.scores["smp, sst2", RTE]
    assert (cell.mean, cell.sd, cell.n) == pytest.approx((np.mean(scores), np.std(scores, ddof=1), 3))
    assert matrix.scores["smp, sst2", Target("sst2", "accuracy")].n == 1
    assert matrix.shuffled["smp, sst2", RTE].mean == 0.55 and matrix.shuffled["smp, sst2", RTE].sd is None
    assert matrix.dense[RTE].mean == pytest.approx(0.82) and matrix.constants[RTE] == 0.5
    assert matrix.sources == ["smp, sst2"] and [t.name for t in matrix.targets] == ["rte", "sst2"]
    assert sorted(map(str, matrix.masks)) == ["r0", "r1"]  # one directory for each mask


def test_other_ways_and_budgets_are_other_matrices_and_a_repeated_run_counts_once():
    twice = run("elsewhere", 0.6, identity="a")
    runs = [run("a", 0.6), twice, run("h", 0.5, train="head"), run("long", 0.7, fit="paper"), dense("d", 0.9)]
    found = {matrix.way: matrix for matrix in transfer.matrices(runs)}
    both = "weights and head trained, from the pre-trained weights"
    assert set(found) == {f"{both}, fit quick", f"{both}, fit paper"} | {
        "only the head trained, on the pre-trained weights, fit quick"
    }
    assert found[f"{both}, fit quick"].scores["smp, sst2", RTE].n == 1
    assert found[f"{both}, fit quick"].dense[RTE].mean == 0.9 and not found[f"{both}, fit paper"].dense


def test_sets_of_rows_and_sparsities_that_share_a_name_are_told_apart():
    other_rows = {"fingerprint": {"train": "t", "validation": "others"}}
    sparse = {"method": "smp", "task": "sst2", "seed": 0, "sparsity": 0.5}
    runs = [run("a", 0.6), run("b", 0.7, data=other_rows), run("c", 0.8, masks_from=sparse)]
    (matrix,) = transfer.matrices(runs)
    assert len({target.name for target in matrix.targets}) == 2
    assert all(target.name.startswith("rte (rows-") for target in matrix.targets)
    assert matrix.sources == ["smp, sst2, sparsity 0.5", "smp, sst2, sparsity 0.9"]


def test_runs_of_one_task_with_other_options_are_other_cells():
    """task.max_length is in the form; another share of the training rows is in the data. Each has its dense runs."""
    short, long = ({"form": {"max_length": n, "padding": "longest"}} for n in (64, 128))
    few = {"data": {"fingerprint": {"train": "few", "validation": "rte"}}}
    runs = [run("a", 0.5, **short), run("b", 0.9, **long), run("c", 0.7, seed=1, **long)]
    runs += [dense("d", 0.95, **long), dense("e", 0.55, **short)]
    (matrix,) = transfer.matrices(runs)
    names = {target.name: target for target in matrix.targets}
    assert sorted(names) == ["rte (max_length=128)", "rte (max_length=64)"]
    cells = {name: matrix.scores["smp, sst2", target] for name, target in names.items()}
    assert cells["rte (max_length=64)"].mean == 0.5 and cells["rte (max_length=64)"].n == 1
    assert cells["rte (max_length=128)"].mean == pytest.approx(0.8) and cells["rte (max_length=128)"].n == 2
    assert [matrix.dense[names[name]].mean for name in sorted(names)] == [0.95, 0.55]
    (matrix,) = transfer.matrices([run("a", 0.5, **short), run("f", 0.6, **short | few)])
    assert len(matrix.targets) == 2 and all("(training-rows-" in target.name for target in matrix.targets)
    drawn_anew = [{"data": {"fingerprint": {"train": seed, "validation": "rte"}, "augmented": 9}} for seed in "ab"]
    (matrix,) = transfer.matrices([run("a", 0.5, **drawn_anew[0]), run("g", 0.6, **drawn_anew[1])])
    assert [target.name for target in matrix.targets] == ["rte"]


def test_sources_that_differ_in_more_than_the_seed_share_no_row():
    def of(name, score, seed, **facts):
        origin = {"method": "smp", "task": "sst2", "seed": seed, "sparsity": 0.9, "identity": f"of {name}"}
        return run(name, score, masks_from=origin | facts)

    fits = {"fit": "quick, steps=20", "settings": "a"}, {"fit": "quick", "settings": "b"}
    runs = [of("a", 0.5, 0, **fits[0]), of("b", 0.6, 0, **fits[1]), of("c", 0.8, 1, **fits[1])]
    (matrix,) = transfer.matrices(runs)
    assert matrix.sources == ["smp, sst2, fit quick", "smp, sst2, fit quick, steps=20"]
    cells = [matrix.scores[source, RTE] for source in matrix.sources]
    assert [(cell.n, cell.mean) for cell in cells] == [(2, pytest.approx(0.7)), (1, 0.5)]
    runs = [of("a", 0.5, 0, settings="aaaaaaaaaa"), of("b", 0.6, 1, settings="bbbbbbbbbb")]
    assert transfer.matrices(runs)[0].sources == ["smp, sst2 (settings-aaaaaaaa)", "smp, sst2 (settings-bbbbbbbb)"]


def test_two_sources_of_one_seed_from_an_earlier_version_and_two_files_of_one_name_share_no_row():
    old = {"method": "smp", "task": "sst2", "seed": 0, "sparsity": 0.9}
    file = {"file": "masks.safetensors"}
    for origin in (old, file):
        runs = [run(name, 0.5, masks_from=origin | {"identity": name}) for name in "ab"]
        assert len(transfer.matrices(runs)[0].sources) == 2
    runs = [
        run("a", 0.5, masks_from=old | {"identity": "x"}),
        run("b", 0.7, masks_from=old | {"identity": "x", "fit": "q"}),
    ]
    assert transfer.matrices(runs)[0].scores["smp, sst2", RTE].n == 2  # one source, recorded by two versions


def test_runs_without_masks_of_others_and_tuning_make_no_matrix():
    assert transfer.matrices([dense("d", 0.9), run("m", 0.8, source=None), run("t", 0.7, tuning={"try": 0})]) == []


def test_overlaps_are_means_over_pairs_of_different_masks(monkeypatch):
    values = np.array([[1, 0.2, 0.4], [0.2, 1, 0.8], [0.4, 0.8, 1]])
    paths = [Path(name) for name in "abc"]
    monkeypatch.setattr(comparison, "beyond_chance", lambda runs: (list(runs), values, ["c is damaged"]))
    masks = dict(zip(paths, ["one", "one", "two"], strict=True))
    square, messages = transfer.overlaps(masks, dict.fromkeys(paths), ["one", "two"])
    assert square[0].tolist() == pytest.approx([0.2, statistics.mean([0.4, 0.8])])
    assert square[1, 0] == pytest.approx(0.6) and np.isnan(square[1, 1]) and messages == ["c is damaged"]
