"""Calibration measures by hand, and against scikit-learn; which predictions have probabilities."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from prunebert.errors import BadInput
from prunebert.report import collect
from prunebert.report.statistics import calibration
from tests.report.conftest import finished

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.55, 0.45]])
Y = np.array([0, 0, 0, 1])  # right, wrong, right, wrong


def with_scores(root, logits, label, split="validation"):
    """Replace a run's predictions by these logits and labels."""
    table = {"split": split, "id": [str(i) for i in range(len(label))], "label": label, "scores": list(logits)}
    prediction = np.argmax(logits, 1) if np.ndim(logits) == 2 else label
    pd.DataFrame(table | {"prediction": prediction}).to_parquet(root / "predictions.parquet")
    return root


def test_ece_by_hand():
    # five bins: .9 right and .8 wrong are (.8, 1] and (.6, .8]; .6 right and .55 wrong are both in (.4, .6]
    assert calibration.ece(P, Y, 5) == pytest.approx((abs(1 - 0.9) + abs(0 - 0.8) + abs(1 - (0.6 + 0.55))) / 4)
    # two bins of equal mass: {.55, .6} and {.8, .9}
    expected = (abs(1 - 1.15) + abs(1 - 1.7)) / 4
    assert calibration.ece(P, Y, 2, equal_mass=True) == pytest.approx(expected)
    assert calibration.reliability(P, Y, 5)["rows"].tolist() == [0, 0, 2, 1, 1]
    assert calibration.ece(np.array([[1.0, 0.0]]), np.array([0])) == 0
    assert calibration.ece(np.array([[0.7, 0.3]] * 10), np.array([0] * 7 + [1] * 3)) == pytest.approx(0)


def test_bins_of_equal_mass_differ_by_one_row_at_most():
    p = np.linspace(0.5, 1, 47)
    rows = calibration.reliability(np.stack([p, 1 - p], 1), np.zeros(47, int), 15, equal_mass=True)["rows"]
    assert rows.sum() == 47 and {*rows} == {3, 4}


def test_brier_and_nll_are_those_of_scikit_learn():
    logits = np.random.default_rng(0).normal(0, 3, (50, 3))
    label = np.arange(50) % 3
    p = calibration.probabilities(logits)
    assert calibration.nll(logits, label) == pytest.approx(log_loss(label, p))
    two = calibration.probabilities(logits[:, :2])
    # scikit-learn's is that of one class; the sum over both classes is twice as much
    assert calibration.brier(two, label % 2) == pytest.approx(2 * brier_score_loss(label % 2, two[:, 1]))
    assert calibration.nll(np.array([[0.0, 1000.0]]), np.array([0])) == 1000  # its probability is 0 in float64


def test_probabilities_that_are_none_are_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        calibration.ece(P * 2, Y)
    with pytest.raises(ValueError, match="rows"):
        calibration.ece(P[:0], Y[:0])


def test_a_cell_has_the_mean_and_deviation_over_seeds_and_pools_the_bins(tmp_path):
    for seed, confidence in enumerate((0.8, 0.6)):
        logits = np.tile(np.log([confidence, 1 - confidence]), (100, 1))
        with_scores(finished(tmp_path / str(seed), "smp", 0.9, seed), logits, [0] * 90 + [1] * 10)
    (cell,) = calibration.cells(calibration.of_runs(collect.collect([tmp_path]).runs)).to_dict("records")
    # accuracy .9 at confidence .8 and .6
    assert (cell["ece"], cell["ece_sd"], cell["n"]) == pytest.approx((0.2, np.std([0.1, 0.3], ddof=1), 2))
    assert cell["bins"].sum().tolist() == pytest.approx([200, 140, 180]) and cell["rows"] == 100


@pytest.mark.parametrize(
    ("label", "scores"),
    [
        ([0.5, 1.5], [[0.5], [1.0]]),  # numbers
        (['["a"]', "[]"], [[0.5, 1.0], [1.0, 0.5]]),  # several labels of a text
        ([json.dumps(["B", "O"])] * 2, [[0.5, 1.0], [1.0, 0.5]]),  # labels of words
    ],
)
def test_other_kinds_of_tasks_have_no_probabilities_of_classes(tmp_path, label, scores):
    assert calibration.read(with_scores(finished(tmp_path / "a"), scores, label), "accuracy") is None


def test_only_the_metrics_split_counts_and_scores_that_are_not_finite_are_refused(tmp_path):
    logits = [[0.0, 1.0], [0.0, 2.0]]
    root = with_scores(finished(tmp_path / "a"), logits, [0, 1], ["matched", "mismatched"])
    found, label = calibration.read(root, "accuracy_matched")
    assert found.tolist() == [[0.0, 1.0]] and label.tolist() == [0]
    with_scores(root, [[0.0, np.nan], [0.0, 2.0]], [0, 1])
    with pytest.raises(BadInput, match="not finite"):
        calibration.read(root, "accuracy")
