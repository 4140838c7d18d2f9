"""Labels as files write them (names, numbers, numbers as text) -> class indices or real numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from prunebert.errors import BadInput, did_you_mean


def _text(label: pd.Series) -> pd.Series:
    """As text; a whole number stored as a float (1.0) is written as one (1)."""
    return label.map(lambda x: str(int(x)) if isinstance(x, float) and x.is_integer() else str(x).strip())


def _number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", text) is not None


def label_names(label: pd.Series, column: str) -> list[str]:
    """The classes of a training file, sorted (as numbers, where all are). Raises BadInput if these are not classes."""
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
            f"task.label={column}: {len(names)} different values in {len(label)} rows are no classes; "
            "for numbers use task.kind=regression"
        )
    return names


def to_classes(label: pd.Series, names: list[str], column: str, split: str) -> np.ndarray:
    """[rows] int64: a label is a name; where the names are no numbers, it may be the index of one."""
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
    """[rows] float32, for regression."""
    numbers = pd.to_numeric(label, errors="coerce").to_numpy(dtype=np.float32)
    if not np.isfinite(numbers).all():
        row = int((~np.isfinite(numbers)).argmax())
        raise BadInput(
            f"task.label={column}: row {row} of {split} is {str(label.iloc[row])!r}, not a number (regression)"
        )
    return numbers
