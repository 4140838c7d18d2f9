"""SQuAD's official metrics as evaluate.Metric classes that need no network; tasks.spans computes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import evaluate
from datasets import Features, List, Value

from prunebert.errors import BadInput
from prunebert.tasks import spans


def _info(description: str) -> evaluate.MetricInfo:
    text = Value("string")
    features = Features(
        {"predictions": {"id": text, "prediction_text": text}, "references": {"id": text, "answers": List(text)}}
    )
    return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=features)


def _paired(predictions: Iterable[Any], references: Iterable[Any]) -> tuple[list[str], list[list[str]]]:
    """(texts, gold answers) in the order of the references. Raises BadInput where a question has no prediction."""
    texts = {p["id"]: p["prediction_text"] for p in predictions}
    golds = {r["id"]: list(r["answers"]) for r in references}
    for name in golds:
        if name not in texts:
            raise BadInput(f"predictions: there is none with id={name}")
    return [texts[name] for name in golds], list(golds.values())


class Squad(evaluate.Metric):
    """Exact match and F1 as fractions, the best over the gold answers (SQuAD 1.1)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("exact match and F1")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return spans.v1_metrics(*_paired(predictions, references))


class SquadV2(evaluate.Metric):
    """Exact match and F1 with unanswerable questions, overall and for each kind (SQuAD 2.0)."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("exact match and F1 with unanswerable questions")

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return spans.v2_metrics(*_paired(predictions, references))


def of_question(metric: str, prediction: str, golds: list[str], no_answer: bool) -> float:
    """A single question's "exact" or "f1"; no_answer: as SQuAD 2.0 has it."""
    return (spans.v2_metrics if no_answer else spans.v1_metrics)([prediction], [golds])[metric]
