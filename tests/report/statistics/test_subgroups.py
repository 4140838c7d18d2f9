"""Accuracy by class and by group: intervals against scipy and Newcombe's paper, counts by hand."""

import pandas as pd
import pytest
from scipy.stats import binomtest

from prunebert.report import collect
from prunebert.report.statistics import elsewhere, subgroups
from prunebert.runs import artifacts, evaluations
from tests.report.conftest import finished

# 50 rows of each class; `wrong` rows are wrong from the first on, and labels alternate
RUNS = {("dense", 0.0, 0): 10, ("dense", 0.0, 1): 20, ("smp", 0.9, 0): 30, ("smp", 0.9, 2): 40}


@pytest.fixture
def runs(tmp_path):
    for (method, sparsity, seed), wrong in RUNS.items():
        finished(tmp_path / f"{method}-{seed}", method, sparsity, seed, wrong=wrong)
    return collect.collect([tmp_path]).runs


@pytest.mark.parametrize(("right", "rows"), [(0, 12), (7, 9), (146, 146), (40, 200)])
def test_wilsons_interval_is_scipys(right, rows):
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    assert subgroups.wilson(right / rows, rows) == pytest.approx((expected.low, expected.high))


def test_newcombes_interval_is_that_of_the_papers_first_example():
    assert subgroups.newcombe(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_recall_is_that_of_each_class_and_compared_with_dense_on_the_same_seeds(runs):
    cells = subgroups.cells(subgroups.by_class(runs)).set_index(["label", "group"])
    # smp: 15 of 50 wrong with seed 0, 20 with seed 2. dense has seed 0: 5 wrong
    cell = cells.loc[("smp", "no")]
    assert cell[["rows", "accuracy", "n", "dense", "gap"]].tolist() == pytest.approx([50, 0.65, 2, 0.9, 0.7 - 0.9])
    assert (cell["low"], cell["high"]) == pytest.approx(subgroups.wilson(0.65, 50))
    assert pd.isna(cells.loc[("dense", "yes"), "gap"]) and cells.loc[("dense", "yes"), "accuracy"] == pytest.approx(
        0.85
    )


def test_groups_are_those_of_the_predictions_and_of_what_evaluate_kept(tmp_path):
    roots = [finished(tmp_path / m, m, s, wrong=10) for m, s in (("dense", 0.0), ("smp", 0.9))]
    for root in roots:
        table = pd.read_parquet(root / "predictions.parquet")
        table.assign(group=["a"] * 20 + ["b"] * 80).to_parquet(root / "predictions.parquet")
    groups = {"x": {"rows": 4, "right": 3}, "y": {"rows": 10, "right": 5}}
    for name, own in (("hans", False), ("toy", True)):
        kept = {"task": name, "metric": "accuracy", "score": 0.5, "metrics": {}, "majority": {}, "own_rows": own}
        kept |= {"data": {"fingerprint": {"validation": name}}, "groups": groups}
        evaluations.keep(roots[1], artifacts.result(roots[1]), kept)
    runs = collect.collect([tmp_path]).runs
    found = {name: subgroups.cells(rows) for name, rows in subgroups.by_group(runs).items()}
    assert found.keys() == {subgroups.OWN, "hans"}
    own = found[subgroups.OWN].set_index(["label", "group"])
    assert own.loc[("smp", "a"), ["rows", "accuracy", "gap"]].tolist() == pytest.approx([20, 0.5, 0])
    assert own.loc[("smp", "x"), "accuracy"] == 0.75 and pd.isna(own.loc[("smp", "x"), "gap"])
    assert found["hans"]["accuracy"].tolist() == [0.75, 0.5]
    assert elsewhere.evaluations(runs)["task"].tolist() == ["hans"]  # the run's own rows are no other data


def test_runs_without_classes_have_none(tmp_path):
    finished(tmp_path / "a", labels=[0.5, 1.5] * 50)
    assert subgroups.by_class(collect.collect([tmp_path]).runs).empty
