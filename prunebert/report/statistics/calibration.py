"""Calibration of classification runs: does a confidence of 0.8 mean that 8 of 10 predictions are right?

The probabilities are the softmax of the stored logits. The confidence is the largest probability of a row, as in Guo,
Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", 2017. Only pandas and numpy are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.runs import artifacts

BINS = 15  # as in Guo et al.
COLUMNS = ("split", "label", "scores")
MEASURES = ("ece", "ece_mass", "brier", "nll", "accuracy", "confidence")


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of each row. logits: [rows, classes]."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    found: np.ndarray = e / e.sum(1, keepdims=True)
    return found


def ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, *, equal_mass: bool = False) -> float:
    """Return the expected calibration error: Σ (rows of the bin / rows) · |accuracy - mean confidence of the bin|.

    Args:
        probabilities: [rows, classes], each row with the sum 1.
        labels: the true class indices, [rows].
        bins: how many bins; those without rows do not count.
        equal_mass: bins of equally many rows in place of equal width. Rows of one confidence may then be in two bins.

    Raises:
        ValueError: there are no rows, or a row of `probabilities` does not sum to 1.
    """
    parts = reliability(probabilities, labels, bins, equal_mass=equal_mass)
    return float((parts["right"] - parts["confidence"]).abs().sum() / parts["rows"].sum())


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, *, equal_mass: bool = False
) -> pd.DataFrame:
    """Return a row for each bin, from low to high confidence. Columns: rows, confidence and right, which are sums.

    The bin k of equal width has the confidences in ((k - 1) / bins, k / bins]. Arguments and errors: as `ece`.
    """
    if not len(labels) or not np.allclose(probabilities.sum(1), 1, atol=1e-6):
        raise ValueError("each row of probabilities must sum to 1, and there must be rows")
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    if equal_mass:
        index = np.empty(len(labels), int)
        index[np.argsort(confidence, kind="stable")] = np.arange(len(labels)) * bins // len(labels)
    else:
        index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    sums = {"rows": None, "confidence": confidence, "right": right.astype(float)}
    return pd.DataFrame({name: np.bincount(index, weights, bins) for name, weights in sums.items()})


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return Brier's score (1950): the mean over rows of Σ over classes (p - y)², from 0 to 2. Lower is better."""
    gold = np.zeros_like(probabilities)
    gold[np.arange(len(labels)), labels] = 1
    return float(((probabilities - gold) ** 2).sum(1).mean())


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log-likelihood of the true classes in nats. logits: [rows, classes]."""
    top = logits.max(1)
    log_sum = top + np.log(np.exp(logits - top[:, np.newaxis]).sum(1))
    return float((log_sum - logits[np.arange(len(labels)), labels]).mean())


def read(directory: Path, metric: str, row: Mapping[str, Any] | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return logits [rows, classes] and labels [rows] of a run; None if its task has no probability of one class.

    These are tasks that ask for numbers, spans, hidden words, labels of words or several labels of a text.

    Args:
        directory: the run's directory.
        metric: if it names a split, as accuracy_matched does, only that split's rows are returned.
        row: the run's verified result; None to read it.

    Raises:
        BadInput: predictions.parquet is missing or damaged, or its scores are not finite.
    """
    table = artifacts.prediction_columns(directory, COLUMNS, row)
    if table.num_columns < len(COLUMNS) or not table.num_rows:
        return None
    frame = table.to_pandas()
    if not pd.api.types.is_integer_dtype(frame["label"]):
        return None
    in_split = frame["split"].map(lambda split: metric.endswith(f"_{split}"))
    frame = frame[in_split] if in_split.any() else frame
    try:
        logits = np.stack(frame["scores"].tolist()).astype(float)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{directory}: the scores of predictions.parquet cannot be read: {error}") from error
    labels = frame["label"].to_numpy()
    if logits.ndim != 2 or logits.shape[1] < 2:
        return None
    if not np.isfinite(logits).all() or not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise BadInput(f"{directory}: the scores of predictions.parquet are not finite, or a label has none")
    return logits, labels


def of_run(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return all MEASURES of one run, its rows and its bins (see `reliability`)."""
    p = probabilities(logits)
    return {
        "ece": ece(p, labels),
        "ece_mass": ece(p, labels, equal_mass=True),
        "brier": brier(p, labels),
        "nll": nll(logits, labels),
        "accuracy": float((p.argmax(1) == labels).mean()),
        "confidence": float(p.max(1).mean()),
        "rows": len(labels),
        "bins": reliability(p, labels),
    }


def of_runs(runs: pd.DataFrame, unreadable: dict[Path, str] | None = None) -> pd.DataFrame:
    """Return a row for each run that has probabilities: label, short_label, method, sparsity, seed, order and `of_run`.

    Args:
        runs: of one table, see `collect.Collected`.
        unreadable: why predictions cannot be read is added here, by the directory.
    """
    found = []
    for run in runs[runs["has_files"]].to_dict("records"):
        own = {key: run[key] for key in ("label", "short_label", "method", "sparsity", "seed", "order")}
        try:
            columns = read(run["directory"], run["metric"], run["seal"])
        except BadInput as error:
            if unreadable is not None:
                unreadable[run["directory"]] = str(error)
            continue
        if columns is not None:
            found.append(own | of_run(*columns))
    return pd.DataFrame(found)


def cells(measured: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each label and sparsity: mean and standard deviation (n - 1) of MEASURES over the seeds.

    Columns: those of `measured` that a cell shares, each measure, the measure with _sd, n, rows and bins: the sums of
    the bins of all seeds.

    Args:
        measured: from `of_runs`.
    """
    found = []
    for (label, sparsity), runs in measured.groupby(["label", "sparsity"], sort=False):
        means = {name: runs[name].mean() for name in MEASURES} | {f"{name}_sd": runs[name].std() for name in MEASURES}
        shared = {key: runs[key].iloc[0] for key in ("short_label", "method", "rows", "order")}
        bins = sum(runs["bins"].tolist()[1:], runs["bins"].iloc[0])
        found.append({"label": label, "sparsity": sparsity, "n": len(runs), "bins": bins} | shared | means)
    return pd.DataFrame(found).sort_values(["order", "sparsity"], kind="stable").reset_index(drop=True)
