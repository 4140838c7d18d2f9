"""Read the labels of words: names, or the indices of names."""

from __future__ import annotations

from typing import Any

import pandas as pd

from prunebert.errors import BadInput, did_you_mean
from prunebert.tasks.files import kind_of, listed, row_of


def names_in(table: pd.DataFrame, column: str) -> list[str]:
    """Return the labels of the training sentences, sorted. Raises BadInput for numbers, and for a single label."""
    source = table.attrs["source"]
    for row, labels in zip(table.id, table.label, strict=True):
        number = next((x for x in labels if isinstance(x, int) and not isinstance(x, bool)), None)
        if number is not None:
            raise BadInput(
                f"task.label={column}: {row_of(int(row), source)} has the number {number} as a label; name the labels "
                "in the order of their numbers, as task.labels=[O,B-PER,I-PER]"
            )
    texts = [_text(x, int(row), column, source) for row, xs in zip(table.id, table.label, strict=True) for x in xs]
    names = sorted({*texts})
    if len(names) < 2:
        raise BadInput(
            f"task.label={column}: every word of {source} has the same label {listed(names)}; at least two are needed"
        )
    if len(names) > max(50, len(texts) // 2):
        raise BadInput(
            f"task.label={column}: {len(names)} different values for {len(texts)} words of {source} are too many for "
            "labels; name the column of labels"
        )
    return names


def _text(value: Any, row: int, column: str, source: str) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    what = "an empty label" if isinstance(value, str) else f"{kind_of(value)} as a label"
    raise BadInput(f"task.label={column}: {row_of(row, source)} has {what}; a label is text")


def with_names(table: pd.DataFrame, names: list[str], column: str, order: list[str]) -> pd.DataFrame:
    """Return a table whose labels are names. Raises BadInput for a label that is neither a name nor an index of one.

    order: the names that numbers stand for, from 0; none: a number is no label.
    """
    source, known = table.attrs["source"], {*names}
    indices = {str(i): name for i, name in enumerate(order)}

    def name_of(value: Any, row: int) -> str:
        is_index = isinstance(value, int) and not isinstance(value, bool)
        text = str(value) if is_index else _text(value, row, column, source)
        name = text if text in known else indices.get(text)
        if name not in known:
            raise BadInput(
                f"task.label={column}: {row_of(row, source)} has the label {text!r}; labels are {listed(names)}"
                f"{did_you_mean(text, names)}; task.labels=[…] names all labels"
            )
        return name

    rows = zip(table.id, table.label, strict=True)
    named = [[name_of(value, int(row)) for value in labels] for row, labels in rows]
    result = table.assign(label=pd.Series(named, index=table.index, dtype=object))
    result.attrs = table.attrs
    return result
