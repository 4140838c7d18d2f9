"""The tasks' official metrics as evaluate.Metric classes. They need no network; scikit-learn and scipy compute them."""

from __future__ import annotations

import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import evaluate
import numpy as np
from datasets import Features, List, Value
from scipy import stats
from sklearn import metrics as sk

from prunebert.errors import BadInput


def _info(description: str, value: str) -> evaluate.MetricInfo:
    features = Features({"predictions": Value(value), "references": Value(value)})
    return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=features)


class Accuracy(evaluate.Metric):
    """Fraction of equal labels (MNLI, QNLI, SST-2, RTE, WNLI and your own classification tasks)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": float(sk.accuracy_score(references, predictions))}


class AccuracyF1(evaluate.Metric):
    """Accuracy, and F1 of class 1 (MRPC, QQP)."""

    classes = 2  # how many a task must have

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy and F1 of class 1", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {
            "accuracy": float(sk.accuracy_score(references, predictions)),
            "f1": float(sk.f1_score(references, predictions, pos_label=1, average="binary", zero_division=0.0)),
        }


class Matthews(evaluate.Metric):
    """Matthews correlation and accuracy (CoLA). The correlation is 0 for constant predictions."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Matthews correlation", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        single_label = len({*references, *predictions}) < 2  # scikit-learn would warn and return 0
        return {
            "matthews": 0.0 if single_label else float(sk.matthews_corrcoef(references, predictions)),
            "accuracy": float(sk.accuracy_score(references, predictions)),
        }


class Correlation(evaluate.Metric):
    """Pearson and Spearman correlation, ties ranked by their mean (STS-B). Both are 0 for constant predictions."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Pearson and Spearman correlation", "float64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        if len(set(predictions)) < 2 or len(set(references)) < 2:
            return {"pearson": 0.0, "spearman": 0.0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.NearConstantInputWarning)
            return {
                "pearson": float(stats.pearsonr(predictions, references).statistic),
                "spearman": float(stats.spearmanr(predictions, references).statistic),
            }


def multilabel_metrics(predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Return micro F1, macro F1 and the share of rows whose labels are all right, fractions in [0, 1].

    F1 is 0 for a label that no row has or gets, which counts in the mean of macro F1 (scikit-learn's zero_division=0).

    Args:
        predictions, references: [rows, labels] truth values.
    """
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


def _span_info(description: str) -> evaluate.MetricInfo:
    text = Value("string")
    features = Features(
        {"predictions": {"id": text, "prediction_text": text}, "references": {"id": text, "answers": List(text)}}
    )
    return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=features)


def _paired(predictions: Iterable[Any], references: Iterable[Any]) -> tuple[list[str], list[list[str]]]:
    """Return (texts, gold answers) in the references' order. Raises BadInput if a question has no prediction."""
    texts = {p["id"]: p["prediction_text"] for p in predictions}
    golds = {r["id"]: list(r["answers"]) for r in references}
    for name in golds:
        if name not in texts:
            raise BadInput(f"predictions: no prediction has id={name}")
    return [texts[name] for name in golds], list(golds.values())


class Squad(evaluate.Metric):
    """SQuAD 1.1's exact match and F1 as fractions; a question's best gold answer counts."""

    def _info(self) -> evaluate.MetricInfo:
        return _span_info("exact match and F1")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return v1_metrics(*_paired(predictions, references))


class SquadV2(evaluate.Metric):
    """SQuAD 2.0's exact match and F1, over all questions and for answerable and unanswerable ones."""

    def _info(self) -> evaluate.MetricInfo:
        return _span_info("exact match and F1 with unanswerable questions")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return v2_metrics(*_paired(predictions, references))


def question_score(metric: str, prediction: str, golds: list[str], no_answer: bool) -> float:
    """Return one question's "exact" or "f1", by SQuAD 2.0's rules if `no_answer` is true, else by SQuAD 1.1's."""
    return (v2_metrics if no_answer else v1_metrics)([prediction], [golds])[metric]
