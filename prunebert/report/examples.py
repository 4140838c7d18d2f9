"""What a run got right, example by example: the numbers that two runs on the same examples are paired by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.runs import artifacts

REGRESSION = ("pearson", "spearman")


def per_example(directory: Path, metric: str) -> pd.Series:
    """By (split, id), higher is better: 1 or 0 for right or wrong; a question's exact match or F1; the share of a
    block's hidden tokens that were told; of a regression minus the absolute error.

    Of the splits only that of `metric`, where it names one (accuracy_matched). Raises BadInput where the run left
    nothing that can be read so.
    """
    table = artifacts.predictions(directory)
    if not {"split", "id", "label", "prediction"} <= set(table) or table.empty:
        raise BadInput(f"{directory}: predictions.parquet lacks its columns")
    named = table["split"].map(lambda split: metric.endswith(f"_{split}"))
    table = table[named] if named.any() else table
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
    if golds.map(lambda g: bool(g) and isinstance(g[0], int)).any():
        asked = golds[golds.map(len) > 0]
        found = prediction[asked.index].map(json.loads)
        return pd.Series([np.equal(p, g).mean() for p, g in zip(found, asked, strict=True)], asked.index)
    from prunebert.metrics import question_score  # evaluate takes seconds to import

    kind, no_answer = "exact" if metric == "exact" else "f1", bool((golds.map(len) == 0).any())
    pairs = zip(prediction, golds, strict=True)
    return pd.Series([question_score(kind, p, g, no_answer) for p, g in pairs], label.index)


def unit(metric: str, task: str) -> str:
    """What is compared example by example, in words."""
    if metric in REGRESSION:
        return "absolute error"
    if task == "mlm":
        return "share of a block's hidden tokens told right"
    own = {"exact": "exact match", "f1": "F1 of the answer"} if "squad" in task else {}
    return own.get(metric, "right or wrong")
