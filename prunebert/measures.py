"""The tasks' official metrics as functions of predictions and references. metrics.py has them as evaluate.Metric.

A run computes the metrics of the constant baseline before its first step. Importing scikit-learn, scipy and evaluate
takes a second, so they are imported where they are needed: not for accuracy, and evaluate not at all.
"""

from __future__ import annotations

import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from prunebert.errors import BadInput


def accuracy(predictions: Any, references: Any) -> dict[str, float]:
    """Return the fraction of equal labels. Raises ValueError unless both have one shape and at least one label."""
    predicted, labels = np.asarray(predictions), np.asarray(references)
    if predicted.shape != labels.shape or not labels.size:
        raise ValueError(f"{predicted.shape} predictions of {labels.shape} labels have no accuracy")
    return {"accuracy": float((predicted == labels).mean())}


def accuracy_f1(predictions: Any, references: Any) -> dict[str, float]:
    """Return accuracy, and F1 of class 1."""
    from sklearn import metrics as sk

    f1_of_1 = sk.f1_score(references, predictions, pos_label=1, average="binary", zero_division=0.0)
    return accuracy(predictions, references) | {"f1": float(f1_of_1)}


def matthews(predictions: Any, references: Any) -> dict[str, float]:
    """Return Matthews correlation and accuracy. The correlation is 0 for constant predictions."""
    from sklearn import metrics as sk

    single_label = len({*references, *predictions}) < 2  # scikit-learn would warn and return 0
    correlation_of_labels = 0.0 if single_label else float(sk.matthews_corrcoef(references, predictions))
    return {"matthews": correlation_of_labels} | accuracy(predictions, references)


def correlation(predictions: Any, references: Any) -> dict[str, float]:
    """Return Pearson and Spearman correlation, ties ranked by their mean. Both are 0 for constant predictions."""
    from scipy import stats

    if len(set(predictions)) < 2 or len(set(references)) < 2:
        return {"pearson": 0.0, "spearman": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return {
            "pearson": float(stats.pearsonr(predictions, references).statistic),
            "spearman": float(stats.spearmanr(predictions, references).statistic),
        }


@dataclass(frozen=True)
class Measure:
    """A metric of prunebert.metrics without evaluate."""

    function: Callable[[Any, Any], dict[str, float]]
    dtype: str  # of predictions and references
    classes: int | None = None  # how many a task must have; None: any number

    def __call__(self, predictions: Any, references: Any) -> dict[str, float]:
        """Return the metric. Raises TypeError and ValueError for what is no one-dimensional list of `dtype`."""
        arrays = [np.asarray(x).astype(self.dtype, casting="same_kind") for x in (predictions, references)]
        if any(x.ndim != 1 for x in arrays):
            raise ValueError("predictions and references must be one-dimensional")
        return self.function(*arrays)


OF_CLASS = {  # by the name of the class in prunebert.metrics
    "Accuracy": Measure(accuracy, "int64"),
    "AccuracyF1": Measure(accuracy_f1, "int64", classes=2),
    "Matthews": Measure(matthews, "int64"),
    "Correlation": Measure(correlation, "float64"),
}


def multilabel_metrics(predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Return micro F1, macro F1 and the share of rows whose labels are all right, fractions in [0, 1].

    F1 is 0 for a label that no row has or gets, which counts in the mean of macro F1 (scikit-learn's zero_division=0).

    Args:
        predictions, references: [rows, labels] truth values.
    """
    from sklearn import metrics as sk

    scores = {
        f"{average}_f1": float(sk.f1_score(references, predictions, average=average, zero_division=0.0))
        for average in ("micro", "macro")
    }
    return scores | {"subset_accuracy": float(sk.accuracy_score(references, predictions))}


PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalise(text: str) -> str:
    """Remove case, ASCII punctuation, articles and extra whitespace, as SQuAD does (Rajpurkar et al. 2016, §6.1)."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(prediction: str, gold: str) -> float:
    """Return 1 if the two are equal after normalisation, else 0."""
    return float(normalise(prediction) == normalise(gold))


def f1(prediction: str, gold: str) -> float:
    """Return F1 of the two as bags of normalised words; 0 if they share none, even if both are empty."""
    predicted_words, gold_words = Counter(normalise(prediction).split()), Counter(normalise(gold).split())
    shared = (predicted_words & gold_words).total()
    return 2 * shared / (predicted_words.total() + gold_words.total()) if shared else 0.0


def best_of_answers(measure: Callable[[str, str], float], prediction: str, golds: list[str]) -> float:
    """Return the largest `measure` over the gold answers."""
    return max(measure(prediction, gold) for gold in golds)


def v1_metrics(predictions: list[str], golds: list[list[str]]) -> dict[str, float]:
    """Return SQuAD 1.1's exact match and F1, fractions in [0, 1]. Every question has a gold answer."""
    pairs = list(zip(predictions, golds, strict=True))
    return {m.__name__: float(np.mean([best_of_answers(m, text, gold) for text, gold in pairs])) for m in (exact, f1)}


def v2_metrics(predictions: list[str], golds: list[list[str]]) -> dict[str, float]:
    """Return SQuAD 2.0's exact match and F1, fractions in [0, 1] (Rajpurkar et al. 2018).

    A question without gold answers scores 1 for "" and 0 for anything else. The metrics are means over all questions,
    over those with an answer and over those without; an empty set has no entry. As in the official script, gold answers
    that are empty after normalisation do not count.
    """
    scores = np.zeros((len(predictions), 2))
    for row, (text, gold) in enumerate(zip(predictions, golds, strict=True)):
        nonempty = [g for g in gold if normalise(g)]
        scores[row] = [best_of_answers(m, text, nonempty) for m in (exact, f1)] if nonempty else exact(text, "")
    has_answer = np.array([bool(gold) for gold in golds])
    metrics = dict(zip(("exact", "f1"), scores.mean(0).tolist(), strict=True))
    if has_answer.any():
        metrics |= dict(zip(("has_answer_exact", "has_answer_f1"), scores[has_answer].mean(0).tolist(), strict=True))
    if not has_answer.all():
        metrics["no_answer_exact"] = float(scores[~has_answer, 0].mean())
    return metrics


def paired(predictions: Iterable[Any], references: Iterable[Any]) -> tuple[list[str], list[list[str]]]:
    """Return (texts, gold answers) in the references' order. Raises BadInput if a question has no prediction."""
    texts = {p["id"]: p["prediction_text"] for p in predictions}
    golds = {r["id"]: list(r["answers"]) for r in references}
    for name in golds:
        if name not in texts:
            raise BadInput(f"predictions: no prediction has id={name}")
    return [texts[name] for name in golds], list(golds.values())


def question_score(metric: str, prediction: str, golds: list[str], no_answer: bool) -> float:
    """Return one question's "exact" or "f1", by SQuAD 2.0's rules if `no_answer` is true, else by SQuAD 1.1's."""
    return (v2_metrics if no_answer else v1_metrics)([prediction], [golds])[metric]
