"""Metrics against counts by hand and against other functions of scipy and numpy; no socket is ever opened."""

import math
import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebert.metrics import Accuracy, AccuracyF1, Correlation, Matthews
from prunebert.tasks.text import text_task
from tests.toys import TASK


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a metric used the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def compute(metric, predictions, references):
    return metric(keep_in_memory=True).compute(predictions=predictions, references=references)


# 3 true and 1 false positives, 2 false and 2 true negatives
TRUTH = [1, 1, 1, 0, 1, 1, 0, 0]
PREDICTIONS = [1, 1, 1, 1, 0, 0, 0, 0]
TP, FP, FN, TN = 3, 1, 2, 2


def test_the_network_is_off():
    with pytest.raises(AssertionError, match="used the network"):
        socket.create_connection(("127.0.0.1", 9))


def test_accuracy():
    assert compute(Accuracy, PREDICTIONS, TRUTH) == {"accuracy": 5 / 8}
    assert compute(Accuracy, [0, 1, 2, 2], [0, 2, 2, 1]) == {"accuracy": 0.5}
    assert compute(Accuracy, [3], [3]) == {"accuracy": 1.0}


def test_accuracy_and_f1_from_counts():
    result = compute(AccuracyF1, PREDICTIONS, TRUTH)
    assert result == {"accuracy": 5 / 8, "f1": pytest.approx(2 * TP / (2 * TP + FP + FN))}
    swapped = compute(AccuracyF1, TRUTH, PREDICTIONS)
    assert swapped == pytest.approx(result)
    zeros_count = compute(AccuracyF1, [1 - x for x in PREDICTIONS], [1 - x for x in TRUTH])
    assert zeros_count["f1"] == pytest.approx(2 * TN / (2 * TN + FP + FN))  # another number, because F1 is class 1's


def test_f1_of_constant_predictions_is_zero():
    assert compute(AccuracyF1, [0, 0, 0, 0], [0, 1, 1, 0]) == {"accuracy": 0.5, "f1": 0.0}
    assert compute(AccuracyF1, [0, 0], [0, 0]) == {"accuracy": 1.0, "f1": 0.0}
    assert compute(AccuracyF1, [1, 1, 1, 1], [0, 1, 1, 0])["f1"] == pytest.approx(2 / 3)


def test_matthews_from_the_confusion_matrix():
    by_hand = (TP * TN - FP * FN) / math.sqrt((TP + FP) * (TP + FN) * (TN + FP) * (TN + FN))
    result = compute(Matthews, PREDICTIONS, TRUTH)
    assert result == {"matthews": pytest.approx(by_hand), "accuracy": 5 / 8}
    assert by_hand == pytest.approx(4 / math.sqrt(240))
    assert compute(Matthews, [1 - x for x in TRUTH], TRUTH)["matthews"] == pytest.approx(-1)
    assert compute(Matthews, TRUTH, TRUTH)["matthews"] == pytest.approx(1)


@pytest.mark.parametrize(
    "answer, truth",
    [([1, 1, 1], [0, 1, 1]), ([0, 0, 0], [0, 1, 1]), ([0, 1, 1], [1, 1, 1]), ([0, 0], [1, 1])],
)
def test_matthews_of_a_constant_is_zero(answer, truth):
    assert compute(Matthews, answer, truth)["matthews"] == 0.0


def test_matthews_of_a_single_label_does_not_warn():
    assert compute(Matthews, [1, 1, 1], [1, 1, 1])["matthews"] == 0.0


def by_ranks(predictions, references):
    """Return Pearson from numpy's correlation matrix, and Spearman as Pearson of the mean ranks."""
    ranks = [stats.rankdata(x, method="average") for x in (predictions, references)]
    return {
        "pearson": pytest.approx(np.corrcoef(predictions, references)[0, 1], abs=1e-9),
        "spearman": pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-9),
    }


def test_correlation_by_hand():
    # deviations -1.5 -.5 .5 1.5 and -1.75 -.75 .25 2.25: Σxy 6.5, Σxx 5, Σyy 8.75
    result = compute(Correlation, [1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 4.0])
    assert result == {"pearson": pytest.approx(6.5 / math.sqrt(5 * 8.75)), "spearman": pytest.approx(1.0)}


def test_spearman_ranks_ties_by_their_mean():
    predictions, references = [1.0, 1.0, 2.0, 3.0, 3.0, 3.0], [0.5, 2.0, 1.0, 4.0, 5.0, 1.0]
    # ranks 1.5 1.5 3 5 5 5 and 1 4 2.5 5 6 2.5: Σxy of the deviations 9, Σxx 15, Σyy 17
    result = compute(Correlation, predictions, references)
    assert result == by_ranks(predictions, references)
    assert result["spearman"] == pytest.approx(9 / math.sqrt(15 * 17))


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 10)), min_size=3, max_size=30))
def test_correlation_is_that_of_numpy(pairs):
    predictions, references = [p / 4 for p, _ in pairs], [r / 2 for _, r in pairs]
    result = compute(Correlation, predictions, references)
    if len(set(predictions)) > 1 and len(set(references)) > 1:
        assert result == by_ranks(predictions, references)
    else:
        assert result == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize(
    "predictions, references",
    [([2.5, 2.5, 2.5], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]), ([1.0, 1.0], [1.0, 1.0]), ([1.0], [2.0])],
)
def test_correlation_of_a_constant_is_zero(predictions, references):
    assert compute(Correlation, predictions, references) == {"pearson": 0.0, "spearman": 0.0}


def test_correlation_of_almost_constant_predictions_does_not_warn():
    result = compute(Correlation, [1.0, 1.0 + 2e-16, 1.0, 1.0 + 2e-16], [0.0, 1.0, 0.0, 1.0])
    assert result["spearman"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("metric", "score", "expected"),
    [
        (None, None, "accuracy"),
        ("AccuracyF1", None, "accuracy"),
        ("Matthews", None, "matthews"),
        ("Matthews", "accuracy", "accuracy"),
    ],
)
def test_without_a_score_the_metrics_first_entry_is_the_score(model, data_folder, metric, score, expected):
    """With several splits it is the first split's."""
    file, metric = str(data_folder / "train.csv"), metric and f"prunebert.metrics:{metric}"
    for eval_files, suffix in ((file, ""), ({"matched": file, "other": file}, "_matched")):
        settings_of_task = TASK | {"score": score, "metric": metric, "train": file, "eval": eval_files}
        task = text_task(tokenizer=model.tokenizer, positions=64, **settings_of_task)
        assert task.score == expected + suffix and task.score in task.baseline()


@pytest.mark.parametrize("metric", [Accuracy, AccuracyF1, Matthews, Correlation])
def test_a_metric_object_can_be_reused(metric):
    instance = metric(keep_in_memory=True)
    first_result = instance.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 1])
    second_result = instance.compute(predictions=[0, 1, 1, 0], references=[0, 1, 1, 0])
    assert first_result == instance.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 1])
    assert first_result != second_result
    assert all(type(v) is float for v in second_result.values())
