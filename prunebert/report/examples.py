"""Score a run's predictions example by example, to pair it with another run on the same examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.runs import artifacts

REGRESSION = ("pearson", "spearman")


def example_scores(directory: Path, metric: str) -> pd.Series:
    """Return a score for each (split, id); higher is better.

    - classification: 1 for right, 0 for wrong
    - regression: minus the absolute error
    - questions: the exact match or the F1
    - masked language modelling: the share of a block's hidden tokens that were predicted

    If the metric names a split, as accuracy_matched does, only that split is scored.

    Raises:
        BadInput: predictions.parquet is missing, damaged or cannot be scored.
    """
    table = artifacts.predictions(directory)
    if not {"split", "id", "label", "prediction"} <= set(table) or table.empty:
        raise BadInput(f"{directory}: predictions.parquet lacks its columns")
    in_split = table["split"].map(lambda split: metric.endswith(f"_{split}"))
    table = table[in_split] if in_split.any() else table
    table = table.set_index(["split", "id"])
    if table.index.has_duplicates:
        raise BadInput(f"{directory}: predictions.parquet has an example twice")
    try:
        return _scores(table["prediction"], table["label"], metric)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{directory}: predictions.parquet cannot be scored: {error}") from error


def _scores(prediction: pd.Series, label: pd.Series, metric: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(label):
        if metric in REGRESSION or pd.api.types.is_float_dtype(label):
            return -(prediction - label).abs()
        return (prediction == label).astype(float)
    golds = label.map(json.loads)
    if golds.map(lambda g: bool(g) and isinstance(g[0], int)).any():  # token ids: masked language modelling
        hidden = golds[golds.map(len) > 0]
        predicted = prediction[hidden.index].map(json.loads)
        return pd.Series([np.equal(p, g).mean() for p, g in zip(predicted, hidden, strict=True)], hidden.index)
    from prunebert.metrics import question_score  # importing evaluate takes seconds

    kind = "exact" if metric == "exact" else "f1"
    no_answer = bool((golds.map(len) == 0).any())
    pairs = zip(prediction, golds, strict=True)
    return pd.Series([question_score(kind, p, g, no_answer) for p, g in pairs], label.index)


def unit(metric: str, task: str) -> str:
    """Name what is compared example by example."""
    if metric in REGRESSION:
        return "absolute error"
    if task == "mlm":
        return "share of a block's hidden tokens predicted correctly"
    squad_units = {"exact": "exact match", "f1": "F1 of the answer"} if "squad" in task else {}
    return squad_units.get(metric, "right or wrong")
