"""Score groups of rows: the accuracy of each group, and of each of its classes (HANS: by heuristic and label)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks.files import kind_of, listed, row_of

MOST = 50  # groups of a split
COLUMN = "group"  # of a task's tables and of its predictions


def names(column: pd.Series, key: str, source: str) -> np.ndarray:
    """Return the group of each row as a part of a metric's name: letters, digits, hyphens and underscores. [rows]

    A missing value is read as an empty text, as CSV files write it. Both are the group "_".

    Args:
        column: the values that group the rows.
        key: the column's name, for messages.
        source: the file, for messages.

    Raises BadInput for a list or an object, for too many groups, and for two whose names would be equal.
    """
    values = [_text(value, row, key, source) for row, value in enumerate(column.tolist())]
    found = {value: _part(value) for value in values}
    if len(found) > MOST:
        raise BadInput(f"task.groups={key}: {source} has {len(found)} different values; at most {MOST} are allowed")
    if len(set(found.values())) < len(found):
        raise BadInput(f"task.groups={key}: some of {listed(list(found))} in {source} differ in punctuation only")
    return np.array([found[value] for value in values], dtype=object)


def _text(value: Any, row: int, key: str, source: str) -> str:
    if isinstance(value, list | tuple | set | dict | np.ndarray):
        raise BadInput(f"task.groups={key}: {row_of(row, source)} has {kind_of(value)}, and a group is one value")
    if value is None or value is pd.NA or value != value:
        return ""
    whole = isinstance(value, float) and value.is_integer()  # as a column of whole numbers with a missing one is stored
    return str(int(value) if whole else value).strip()


def _part(name: str) -> str:
    """Return a text as a part of a metric's name."""
    return re.sub(r"[^\w-]+", "_", name) or "_"


def accuracies(groups: np.ndarray, prediction: np.ndarray, label: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Return the accuracy of each group, and within it of the rows of each class that occurs.

    Args:
        groups: the group of each row. [rows]
        prediction: class indices. [rows]
        label: the true class indices. [rows]
        classes: the classes' names by index.

    Raises BadInput for two metrics of one name, such as that of the group a_b and that of the class b in the group a.
    """
    right = prediction == label
    results: dict[str, float] = {}

    def add(name: str, rows: np.ndarray) -> None:
        if name in results:
            raise BadInput(
                f"task.groups: two of the groups and their classes would have the metric {name}; rename a group or a "
                f"class (groups are {listed(sorted(set(groups)))}, and classes {listed(classes)})"
            )
        results[name] = float(right[rows].mean())

    for group in sorted(set(groups)):
        rows = groups == group
        add(f"accuracy_{group}", rows)
        for index in np.unique(label[rows]):
            add(f"accuracy_{group}_{_part(classes[index])}", rows & (label == index))
    return results


def counts(predictions: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the rows of each group, and how many are right: {group: {"rows": …, "right": …}}; {} without groups.

    predictions: columns as in Task.predict, of all splits.
    """
    if COLUMN not in predictions:
        return {}
    right = (predictions["prediction"] == predictions["label"]).groupby(predictions[COLUMN]).agg(["size", "sum"])
    return {str(group): {"rows": int(size), "right": int(total)} for group, size, total in right.itertuples()}
