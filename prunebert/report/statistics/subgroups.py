"""Accuracy within groups of rows: the values of a column (task.groups), or the true classes (recall).

A mean over all rows may hide that one group loses much. Each group is compared with the same group of the dense runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.errors import BadInput
from prunebert.report.statistics.elsewhere import entries
from prunebert.runs import artifacts

COLUMNS = ("split", "label", "prediction")
GROUP = "group"  # a column that only predictions of tasks with task.groups have
DENSE = "dense"
OWN = "own rows"
Z = 1.959963984540054  # of a 95 % interval


def wilson(accuracy: float, rows: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927) of an accuracy over `rows` rows."""
    middle = accuracy + Z**2 / (2 * rows)
    half = Z * sqrt(accuracy * (1 - accuracy) / rows + Z**2 / (4 * rows**2))
    return (middle - half) / (1 + Z**2 / rows), (middle + half) / (1 + Z**2 / rows)


def newcombe(accuracy: float, rows: float, other: float, other_rows: float) -> tuple[float, float]:
    """Return the 95 % interval of accuracy - other, by method 10 of Newcombe (1998).

    It takes the two for independent. Two runs on the same rows are right on many of the same ones, so it is too wide.
    """
    (low, high), (other_low, other_high) = wilson(accuracy, rows), wilson(other, other_rows)
    gap = accuracy - other
    below = sqrt((accuracy - low) ** 2 + (other_high - other) ** 2)
    return gap - below, gap + sqrt((high - accuracy) ** 2 + (other - other_low) ** 2)


def read(directory: Path, metric: str, row: Mapping[str, Any] | None = None) -> pd.DataFrame | None:
    """Return the label, the prediction and, if the task has groups, the group of each row; None without classes.

    Args:
        directory: the run's directory.
        metric: if it names a split, as accuracy_matched does, only that split's rows are returned.
        row: the run's verified result; None to read it.

    Raises:
        BadInput: predictions.parquet is missing or damaged.
    """
    table = artifacts.prediction_columns(directory, (*COLUMNS, GROUP), row)
    if table.num_columns < len(COLUMNS) or not table.num_rows:
        return None
    frame = table.to_pandas()
    if not all(pd.api.types.is_integer_dtype(frame[name]) for name in ("label", "prediction")):
        return None
    in_split = frame["split"].map(lambda split: metric.endswith(f"_{split}"))
    return frame[in_split] if in_split.any() else frame


def by_class(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run and class: label, short_label, method, sparsity, seed, order, group, rows, accuracy.

    The group is the class's name, and the accuracy the recall of the class. Empty if no run has classes.

    Args:
        runs: of one table, see `collect.Collected`. Runs whose predictions cannot be read are left out.
    """
    found = []
    for run, frame in _predictions(runs):
        names = (run["row"].get("data") or {}).get("labels")
        names = [str(name) for name in names] if isinstance(names, list) else []
        group = frame["label"].map(lambda label, names=names: names[label] if label < len(names) else str(label))
        found += _rows(run, _counts(frame, group))
    return pd.DataFrame(found)


def by_group(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the same for groups of a column, by what was evaluated: OWN, or the other task's name.

    Groups are in the predictions of runs with task.groups, and in what `prunebert evaluate RUN task.groups=… --keep`
    left in the runs.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for run, frame in _predictions(runs):
        if GROUP in frame:
            found.setdefault(OWN, []).extend(_rows(run, _counts(frame, frame[GROUP])))
    for run in runs.to_dict("records"):
        for entry in entries(run["row"]):
            counts = entry.get("groups")
            if not isinstance(counts, dict) or not counts:
                continue
            name = OWN if entry.get("own_rows") is True else str(entry["task"])
            found.setdefault(name, []).extend(_rows(run, {g: (c["rows"], c["right"]) for g, c in counts.items()}))
    key = ["label", "sparsity", "seed", "group"]
    return {name: pd.DataFrame(rows).drop_duplicates(key, keep="last") for name, rows in found.items()}


def cells(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each label, sparsity and group, beside the same group of the dense runs.

    Columns: label, method, sparsity, group, rows, order, accuracy (mean over seeds), sd, n; low, high (see `wilson`);
    dense, gap, gap_low and gap_high (see `newcombe`). The gap is over the seeds that both have. The last four are NaN
    without a dense run on the same rows.

    Args:
        found: from `by_class`, or an entry of `by_group`.
    """
    dense = found[found["method"] == DENSE]
    if len(dense):
        dense = dense[dense["label"] == dense.sort_values("order", kind="stable")["label"].iloc[0]]
    of_dense = {(row["seed"], row["group"]): row for row in dense.to_dict("records")}
    made = []
    for (label, sparsity, group), runs in found.groupby(["label", "sparsity", "group"], sort=False):
        rows, mean = int(runs["rows"].iloc[0]), float(runs["accuracy"].mean())
        low, high = wilson(mean, rows)
        pairs = [(row["accuracy"], of_dense.get((row["seed"], group))) for row in runs.to_dict("records")]
        shared = [(ours, other["accuracy"]) for ours, other in pairs if other and other["rows"] == rows]
        line = {"label": label, "sparsity": sparsity, "group": group, "rows": rows, "accuracy": mean, "n": len(runs)}
        line |= {key: runs[key].iloc[0] for key in ("method", "order")} | {"sd": runs["accuracy"].std()}
        line |= {"low": low, "high": high, **dict.fromkeys(("dense", "gap", "gap_low", "gap_high"), float("nan"))}
        if shared and runs["method"].iloc[0] != DENSE:
            ours, theirs = (sum(side) / len(shared) for side in zip(*shared, strict=True))
            low, high = newcombe(ours, rows, theirs, rows)
            line |= {"dense": theirs, "gap": ours - theirs, "gap_low": low, "gap_high": high}
        made.append(line)
    return pd.DataFrame(made).sort_values(["order", "sparsity"], kind="stable").reset_index(drop=True)


def _predictions(runs: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield each run with its predictions of classes. The report lists damaged files elsewhere."""
    for run in runs[runs["has_files"]].to_dict("records"):
        try:
            frame = read(run["directory"], run["metric"], run["seal"])
        except BadInput:
            continue
        if frame is not None:
            yield run, frame


def _counts(frame: pd.DataFrame, group: pd.Series) -> dict[str, tuple[int, int]]:
    """Return the rows of each group, and how many are right."""
    found = (frame["label"] == frame["prediction"]).groupby(group).agg(["size", "sum"])
    return {str(name): (int(size), int(right)) for name, size, right in found.itertuples()}


def _rows(run: dict[str, Any], counts: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    own = {key: run[key] for key in ("label", "short_label", "method", "sparsity", "seed", "order")}
    return [
        own | {"group": name, "rows": rows, "accuracy": right / rows} for name, (rows, right) in counts.items() if rows
    ]
