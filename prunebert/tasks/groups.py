"""Score groups of rows: the accuracy of each group, and of each of its classes (HANS: by heuristic and label)."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks.files import listed

MOST = 50  # groups of a split


def names(column: pd.Series, key: str, source: str) -> np.ndarray:
    """Return the group of each row as a part of a metric's name: letters, digits, hyphens and underscores. [rows]

    Args:
        column: the values that group the rows.
        key: the column's name, for messages.
        source: the file, for messages.

    Raises BadInput for too many groups, and for two whose names would be equal.
    """
    found = {str(value): re.sub(r"[^\w-]+", "_", str(value).strip()) or "_" for value in column.unique()}
    if len(found) > MOST:
        raise BadInput(f"task.groups={key}: {source} has {len(found)} different values; at most {MOST} are allowed")
    if len(set(found.values())) < len(found):
        raise BadInput(f"task.groups={key}: some of {listed(list(found))} in {source} differ in punctuation only")
    return column.astype(str).map(found).to_numpy()


def accuracies(groups: np.ndarray, prediction: np.ndarray, label: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Return the accuracy of each group, and within it of the rows of each class that occurs.

    Args:
        groups: the group of each row. [rows]
        prediction: class indices. [rows]
        label: the true class indices. [rows]
        classes: the classes' names by index.
    """
    right = prediction == label
    results = {}
    for group in sorted(set(groups)):
        rows = groups == group
        results[f"accuracy_{group}"] = float(right[rows].mean())
        for index in np.unique(label[rows]):
            name = re.sub(r"[^\w-]+", "_", classes[index])
            results[f"accuracy_{group}_{name}"] = float(right[rows & (label == index)].mean())
    return results
