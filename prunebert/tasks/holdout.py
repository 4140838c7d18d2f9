"""Hold out a part of a training table for evaluation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks.sources import Tables


def hold_out(
    table: pd.DataFrame, gold: np.ndarray, fraction: float, names: list[str]
) -> tuple[Tables, dict[str, np.ndarray]]:
    """Split a table and its labels into "train" and "validation". The split is the same for every seed.

    Args:
        gold: [rows], class indices or numbers.
        names: the classes, whose proportions are kept; none for numbers.

    Raises BadInput for a fraction outside (0, 1), and for too few rows of a class.
    """
    if not 0 < fraction < 1:
        raise BadInput(f"task.holdout={fraction}: must be above 0 and below 1, or give task.eval=FILE")
    from sklearn.model_selection import train_test_split  # takes a second to import, and most tasks do not need it

    strata = None
    if names:
        strata = table.label.map(str).to_numpy(dtype=object)
        if len(set(strata)) != len(set(gold.tolist())):  # a class is spelt in several ways
            strata = gold
    rows = np.arange(len(table))
    _refuse_few_rows(fraction, len(table), strata)
    try:
        train, validation = train_test_split(rows, test_size=fraction, random_state=0, stratify=strata)
    except ValueError as error:
        raise BadInput(f"task.holdout={fraction}: {str(error).splitlines()[0]}") from error
    parts = {"train": train, "validation": validation}
    tables = {split: table.iloc[part].reset_index(drop=True) for split, part in parts.items()}
    return tables, {split: gold[part] for split, part in parts.items()}


def _refuse_few_rows(fraction: float, rows: int, strata: np.ndarray | None) -> None:
    """Raise BadInput if a class, or a part, would have too few rows."""
    remedy = "give task.eval=FILE, or more rows"
    if strata is None:
        if rows < 2:
            raise BadInput(f"task.holdout={fraction}: the file has {rows} row, and 2 are needed; {remedy}")
        return
    classes, counts = np.unique(strata.astype(str), return_counts=True)
    if counts.min() < 2:
        rare = ", ".join(classes[counts < 2][:5])
        raise BadInput(f"task.holdout={fraction}: every class needs 2 rows, and there is 1 of {rare}; {remedy}")
    held_out = math.ceil(fraction * rows)
    if min(held_out, rows - held_out) < len(classes):
        raise BadInput(
            f"task.holdout={fraction}: of {rows} rows {held_out} would be held out, and each part needs a row of each "
            f"of the {len(classes)} classes; choose another fraction, or {remedy}"
        )
