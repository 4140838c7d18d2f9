"""The tasks' official metrics as evaluate.Metric classes that need no network; scikit-learn and scipy compute them."""

from __future__ import annotations

import warnings
from typing import Any

import evaluate
from datasets import Features, Value
from scipy import stats
from sklearn import metrics as sk


def _info(description: str, value: str) -> evaluate.MetricInfo:
    features = Features({"predictions": Value(value), "references": Value(value)})
    return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=features)


class Accuracy(evaluate.Metric):
    """Fraction of equal labels (MNLI, QNLI, SST-2, RTE, WNLI and any classification of your own)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": float(sk.accuracy_score(references, predictions))}


class AccuracyF1(evaluate.Metric):
    """Accuracy, and F1 of the class 1 (MRPC, QQP)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("accuracy and F1 of class 1", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {
            "accuracy": float(sk.accuracy_score(references, predictions)),
            "f1": float(sk.f1_score(references, predictions, pos_label=1, average="binary", zero_division=0.0)),
        }


class Matthews(evaluate.Metric):
    """Matthews correlation (CoLA), with accuracy beside it; 0 for a constant answer."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Matthews correlation", "int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        one = len({*references, *predictions}) < 2  # scikit-learn warns, then answers 0
        return {
            "matthews": 0.0 if one else float(sk.matthews_corrcoef(references, predictions)),
            "accuracy": float(sk.accuracy_score(references, predictions)),
        }


class Correlation(evaluate.Metric):
    """Pearson and Spearman correlation, ties ranked by their mean (STS-B); 0 for a constant answer."""

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
