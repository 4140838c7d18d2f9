"""The tasks' official metrics as evaluate.Metric classes. They need no network; measures.py computes them."""

from __future__ import annotations

from typing import Any

import evaluate
from datasets import Features, List, Value

from prunebert import measures


def _info(description: str, value: str) -> evaluate.MetricInfo:
    features = Features({"predictions": Value(value), "references": Value(value)})
    return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=features)


class Accuracy(evaluate.Metric):
    """Fraction of equal labels (MNLI, QNLI, SST-2, RTE, WNLI and your own classification tasks)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return measures.accuracy(predictions, references)


class AccuracyF1(evaluate.Metric):
    """Accuracy, and F1 of class 1 (MRPC, QQP)."""

    classes = 2  # how many a task must have

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy and F1 of class 1", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return measures.accuracy_f1(predictions, references)


class Matthews(evaluate.Metric):
    """Matthews correlation and accuracy (CoLA). The correlation is 0 for constant predictions."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Matthews correlation", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return measures.matthews(predictions, references)


class Correlation(evaluate.Metric):
    """Pearson and Spearman correlation, ties ranked by their mean (STS-B). Both are 0 for constant predictions."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Pearson and Spearman correlation", "float64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return measures.correlation(predictions, references)


def _span_info(description: str) -> evaluate.MetricInfo:
    text = Value("string")
    features = Features(
        {"predictions": {"id": text, "prediction_text": text}, "references": {"id": text, "answers": List(text)}}
    )
    return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=features)


class Squad(evaluate.Metric):
    """SQuAD 1.1's exact match and F1 as fractions; a question's best gold answer counts."""

    def _info(self) -> evaluate.MetricInfo:
        return _span_info("exact match and F1")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return measures.v1_metrics(*measures.paired(predictions, references))


class SquadV2(evaluate.Metric):
    """SQuAD 2.0's exact match and F1, over all questions and for answerable and unanswerable ones."""

    def _info(self) -> evaluate.MetricInfo:
        return _span_info("exact match and F1 with unanswerable questions")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return measures.v2_metrics(*measures.paired(predictions, references))
