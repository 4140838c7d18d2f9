"""Convert labels in a file (names, numbers, numbers as text) to class indices or real numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from prunebert.errors import BadInput, did_you_mean


def _text(label: pd.Series) -> pd.Series:
    """Return labels as text. A whole number stored as a float (1.0) becomes an integer (1)."""
    return label.map(lambda x: str(int(x)) if isinstance(x, float) and x.is_integer() else str(x).strip())


def _number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", text) is not None


def label_names(label: pd.Series, column: str) -> list[str]:
    """Return the classes of a training file, sorted (by value if all are whole numbers).

    Args:
        label: the training labels.
        column: their column, for messages.

    Raises BadInput for a row without a label, for a single class, and for too many different values.
    """
    if label.isna().any():
        raise BadInput(f"task.label={column}: row {int(label.isna().to_numpy().argmax())} of train has no label")
    names = sorted(_text(label).unique())
    if all(map(_number, names)):
        names.sort(key=int)
    if len(names) < 2:
        raise BadInput(
            f"task.label={column}: every training row has the same label {names[0]}; at least two are needed"
        )
    if len(names) > max(20, len(label) // 2):
        raise BadInput(
            f"task.label={column}: {len(names)} different values in {len(label)} rows are too many for "
            "classes; for numbers use task.kind=regression"
        )
    return names


def to_classes(label: pd.Series, names: list[str], column: str, split: str) -> np.ndarray:
    """Return class indices, [rows] int64. Raises BadInput for an unknown label.

    A label is a class name, or its index if no name is a number.
    """
    position = {str(n): i for i, n in enumerate(names)}
    if not any(map(_number, position)):
        position |= {str(i): i for i in range(len(names))}
    text = _text(label)
    unknown = ~text.isin(position)
    if unknown.any():
        row = int(unknown.to_numpy().argmax())
        raise BadInput(
            f"task.label={column}: row {row} of {split} is labelled {text.iloc[row]!r}; labels are "
            f"{', '.join(map(str, names))}{did_you_mean(text.iloc[row], map(str, names))}"
        )
    return text.map(position).to_numpy(dtype=np.int64)


def to_numbers(label: pd.Series, column: str, split: str) -> np.ndarray:
    """Return labels for regression, [rows] float32. Raises BadInput for a label that is not a finite number."""
    numbers = pd.to_numeric(label, errors="coerce").to_numpy(dtype=np.float32)
    if not np.isfinite(numbers).all():
        row = int((~np.isfinite(numbers)).argmax())
        raise BadInput(
            f"task.label={column}: row {row} of {split} is {str(label.iloc[row])!r}, not a number (regression)"
        )
    return numbers
