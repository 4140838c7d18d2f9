"""Hold out a part of the training rows for evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks import partition
from prunebert.tasks.sources import Tables

if TYPE_CHECKING:
    from prunebert.tasks.request import Request

HOLDOUT, TUNING = "task.holdout", "task.tuning_holdout"  # the keys that ask for a split of training rows
REMEDIES = {HOLDOUT: "give task.eval=FILE", TUNING: "give another part"}


def tuning_part(value: float, key: str = TUNING) -> float | int:
    """Return the value of task.tuning_holdout as a fraction (float) or as a number of rows (int).

    Raises BadInput for a number that is neither below 1 nor whole.
    """
    if value >= 1 and value != int(value):
        raise BadInput(f"{key}={value:g}: must be a fraction below 1, or a whole number of rows")
    return int(value) if value >= 1 else value


def refuse_bad_fraction(part: float | int, key: str) -> None:
    """Raise BadInput for a fraction outside (0, 1). A whole number is a number of rows."""
    if not isinstance(part, int) and not 0 < part < 1:
        raise BadInput(f"{key}={part}: must be above 0 and below 1, or {REMEDIES[key]}")


def hold_out(
    table: pd.DataFrame, gold: np.ndarray, part: float | int, names: list[str], key: str = HOLDOUT
) -> tuple[Tables, dict[str, np.ndarray]]:
    """Split a table and its labels into "train" and "validation". The split is the same for every seed.

    Args:
        gold: [rows], class indices or numbers; [rows, labels] where a row may have several labels.
        part: the fraction (float) or the number (int) of the rows of "validation".
        names: the classes, whose proportions are kept; none for numbers. The proportions of sets of several labels are
            kept if each set has two rows, and each part has room for one of each.
        key: the key that asks for the split, for messages.

    Raises BadInput for a fraction outside (0, 1), and for too few rows of a class.
    """
    refuse_bad_fraction(part, key)
    held_out = part if isinstance(part, int) else math.ceil(part * len(table))
    strata = None
    if gold.ndim > 1:
        strata = _label_sets(gold, min(held_out, len(table) - held_out))
    elif names:
        strata = table.label.map(str).to_numpy(dtype=object)
        if len(set(strata)) != len(set(gold.tolist())):  # a class is spelt in several ways
            strata = gold
    _refuse_few_rows(f"{key}={part}", REMEDIES[key], held_out, len(table), strata)
    try:
        train, validation = partition.draw(len(table), part, strata)
    except ValueError as error:
        raise BadInput(f"{key}={part}: {str(error).splitlines()[0]}") from error
    parts = {"train": train, "validation": validation}
    tables = {split: table.iloc[part].reset_index(drop=True) for split, part in parts.items()}
    return tables, {split: gold[part] for split, part in parts.items()}


def _label_sets(gold: np.ndarray, smaller: int) -> np.ndarray | None:
    """Return the set of labels of each row, as text; None if the sets cannot be in the same proportion in both parts.

    smaller: the rows of the smaller part.
    """
    sets = np.array(["".join("1" if present else "0" for present in row) for row in gold], dtype=object)
    counts = np.unique(sets.astype(str), return_counts=True)[1]
    return sets if counts.min() >= 2 and len(counts) <= smaller else None


def _refuse_few_rows(setting: str, remedy: str, held_out: int, rows: int, strata: np.ndarray | None) -> None:
    """Raise BadInput if a class, or a part, would have too few rows."""
    remedy = f"{remedy}, or more rows"
    if strata is None:
        if rows < 2:
            raise BadInput(f"{setting}: the file has {rows} row, and 2 are needed; {remedy}")
        if rows <= held_out:
            raise BadInput(f"{setting}: there are only {rows} rows, and one must be left to train on")
        return
    classes, counts = np.unique(strata.astype(str), return_counts=True)
    if counts.min() < 2:
        rare = ", ".join(classes[counts < 2][:5])
        raise BadInput(f"{setting}: every class needs 2 rows, and there is 1 of {rare}; {remedy}")
    if min(held_out, rows - held_out) < len(classes):
        raise BadInput(
            f"{setting}: of {rows} rows {held_out} would be held out, and each part needs a row of each "
            f"of the {len(classes)} classes; choose another fraction, or {remedy}"
        )


def split_off(
    request: Request, tables: Tables, gold: dict[str, np.ndarray], names: list[str]
) -> tuple[Tables, dict[str, np.ndarray]]:
    """Return the splits of a run: without evaluation data a part of train is held out, and for tuning another one.

    Args:
        request: has holdout and tuning_holdout.
        tables, gold: rows and labels by split.
        names: the classes, whose proportions are kept; none for numbers.
    """
    if len(tables) == 1:
        tables, gold = hold_out(tables["train"], gold["train"], request.holdout, names)
    if request.tuning_holdout is not None:
        part = tuning_part(request.tuning_holdout)
        tables, gold = hold_out(tables["train"], gold["train"], part, names, TUNING)
    return tables, gold
