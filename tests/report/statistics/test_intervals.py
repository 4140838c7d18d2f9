"""Compare the intervals with scipy's and with explicit resamples that scikit-learn and scipy score."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from prunebert.report.statistics import intervals
from prunebert.report.statistics.examples import Scored
from prunebert.report.statistics.intervals import RECOMPUTED, over_examples, over_seeds


def scored(label, prediction, score, scores=None):
    columns = [pd.Series(np.asarray(c)) for c in (label if scores is None else scores, label, prediction)]
    scores = (columns[1] == columns[2]).astype(float) if scores is None else columns[0]
    return Scored(scores, columns[1], columns[2], score)


def right(values):
    """Return a run with the right (1) and wrong (0) answers, and its accuracy."""
    return scored(np.ones(len(values), int), np.asarray(values, int), float(np.mean(values)))


def test_over_seeds_it_is_the_t_interval():
    """The differences are 1, 2 and 6: mean 3, deviation √7. 4.303 is Student's t with 2 degrees of freedom."""
    interval = over_seeds([2.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    half = 4.302653 * (7 / 3) ** 0.5
    assert (interval.low, interval.high) == pytest.approx((3 - half, 3 + half), rel=1e-6)


def test_where_there_is_none_the_reason_is_given():
    for found, reason in (
        (over_seeds([1.0, 2.0], [0.0, 0.0]), "too few seeds (2)"),
        (over_seeds([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]), "all seeds differ equally"),
        (over_seeds([0.5] * 3, [0.5] * 3), "no seed differs"),
        (over_examples("accuracy", [], []), "no seed in common"),
        (over_examples("accuracy", [right([1, 0])], [right([1, 0, 1])]), "not the same examples"),
    ):
        assert np.isnan([found.low, found.high]).all() and found.reason == reason


def test_a_score_that_the_predictions_do_not_give_has_no_interval():
    """Perplexity is not a function of the predicted tokens. A damaged score is not the mean either."""
    wrong = scored([1, 1], [1, 0], 7.0)
    assert (
        over_examples("perplexity", [wrong], [right([1, 1])]).reason
        == "perplexity is not a function of single predictions"
    )
    assert over_examples("f1", [scored([1, 0], [1, 0], 0.9)], [right([1, 1])]).reason.startswith("f1 is not a function")


def test_counted_differences_have_the_interval_of_scipys_bootstrap():
    """Two seeds a side. Both intervals are random: each end has a standard error of about 5 % of the half width."""
    random = np.random.default_rng(1)
    sides = [[random.random(400) < p for _ in range(2)] for p in (0.8, 0.7)]
    found = over_examples("accuracy", *([right(run) for run in side] for side in sides))
    differences = (np.sum(sides[0], axis=0) - np.sum(sides[1], axis=0).astype(float)) / 2
    theirs = stats.bootstrap((differences,), np.mean, method="percentile", n_resamples=4000, random_state=random)
    ends = theirs.confidence_interval
    half = (ends.high - ends.low) / 2
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.12 * half)
    assert found.low < differences.mean() < found.high and half > 0.02


def test_graded_scores_that_all_differ_have_it_too():
    random = np.random.default_rng(2)
    ours, theirs = random.random(300), random.random(300) - 0.1
    runs = [[scored(np.arange(300.0), np.arange(300.0), float(s.mean()), s)] for s in (ours, theirs)]
    found = over_examples("exact", *runs)
    spread = (ours - theirs).std() / 300**0.5  # of the mean, by the central limit theorem
    middle = (ours - theirs).mean()
    assert (found.low, found.high) == pytest.approx((middle - 1.96 * spread, middle + 1.96 * spread), abs=0.3 * spread)


SCORERS = {
    "matthews": sk.matthews_corrcoef,
    "f1": lambda label, prediction: sk.f1_score(label, prediction, zero_division=0.0),
    "pearson": lambda label, prediction: stats.pearsonr(label, prediction).statistic,
}


@pytest.mark.parametrize(("metric", "classes"), [("matthews", 2), ("matthews", 3), ("f1", 2), ("pearson", 0)])
def test_a_weighted_metric_is_that_of_the_explicit_resample(metric, classes):
    random = np.random.default_rng(classes)
    label = random.integers(0, classes, 12) if classes else random.random(12) * 5
    prediction = random.permutation(label) if classes else label + random.random(12)
    drawn = random.integers(0, 12, (20, 12))
    weights = np.stack([np.bincount(row, minlength=12) for row in drawn]).astype(float)
    expected = [SCORERS[metric](label[row], prediction[row]) for row in drawn]
    assert RECOMPUTED[metric](weights, label, prediction) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", sorted(RECOMPUTED))
def test_where_a_metric_is_not_defined_it_is_0(metric):
    constant = np.zeros(4)
    assert RECOMPUTED[metric](np.ones((1, 4)), constant, constant).tolist() == [0]


def phi(label, prediction):
    """Return Matthews' correlation of each row of two classes, which is their correlation as numbers."""
    x, y = (side - side.mean(-1, keepdims=True) for side in (label, prediction))
    return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def dice(label, prediction):
    """Return F1 of class 1 of each row."""
    return 2 * (label * prediction).sum(-1) / (label + prediction).sum(-1)


@pytest.mark.parametrize(("metric", "score"), [("matthews", phi), ("f1", dice)])
def test_the_interval_of_a_metric_is_that_of_explicit_resamples(metric, score):
    random = np.random.default_rng(3)
    label = random.integers(0, 2, 60)
    ours, theirs = (np.where(random.random(60) < p, label, 1 - label) for p in (0.9, 0.7))
    found = over_examples(metric, *([scored(label, p, float(score(label, p)))] for p in (ours, theirs)))
    drawn = random.integers(0, 60, (4000, 60))
    low, high = np.quantile(score(label[drawn], ours[drawn]) - score(label[drawn], theirs[drawn]), [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.07 * (high - low))


def test_large_tables_are_drawn_piece_by_piece_and_a_report_is_repeatable(monkeypatch):
    random = np.random.default_rng(4)
    graded = [random.random(200) for _ in range(2)]
    runs = [[scored(np.arange(200.0), np.arange(200.0), float(s.mean()), s)] for s in graded]
    whole = over_examples("exact", *runs)
    assert whole == over_examples("exact", *runs)
    monkeypatch.setattr(intervals, "LARGEST", 2000)  # ten resamples at once
    pieces = over_examples("exact", *runs)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.1 * (whole.high - whole.low))


def test_two_hundred_comparisons_of_a_thousand_examples_take_less_than_two_seconds():
    random = np.random.default_rng(5)
    runs = [right(random.random(1000) < 0.8) for _ in range(201)]
    started = time.process_time()
    for run in runs[1:]:
        over_examples("accuracy", [run], [runs[0]])
    assert time.process_time() - started < 2
