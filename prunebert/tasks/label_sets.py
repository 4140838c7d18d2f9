"""Read the labels of rows that may have several: a column for each label, or one column with lists of names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks import sources
from prunebert.tasks.files import kind_of, listed, row_of
from prunebert.tasks.label_text import key_of, text_of, texts
from prunebert.tasks.labels import given_names, gold_classes, label_names, located
from prunebert.tasks.request import Request
from prunebert.tasks.sources import Pick, Tables

PRESENT = {"0": False, "false": False, "1": True, "true": True}  # the values of a label's own column, in lower case


def columns(separator: str | None) -> Pick:
    """Return the function that picks the columns of a table whose `label` is the list of a row's labels.

    Args:
        separator: what separates the names in a column of text, maybe a blank, or \\t for a tab; None: the column holds
            lists.

    Raises BadInput for an empty separator.
    """
    if separator == "":
        raise BadInput("task.separator='': must be text, not empty, or null")
    if separator == r"\t":
        separator = "\t"

    def pick(table: pd.DataFrame, text: list[str], label: str | list[str], source: str) -> pd.DataFrame:
        picked = sources.columns(table, text, label, source)
        if isinstance(label, list):
            if separator is not None:
                raise BadInput(f"task.separator={separator}: is for one column of names; task.label names several")
            lists = [
                [name for name, value in zip(label, values, strict=True) if _is_present(value, name, row, source)]
                for row, values in enumerate(picked.label)
            ]
            picked.attrs["names"] = label
        else:
            lists = [_list(value, label, separator, row_of(row, source)) for row, value in enumerate(picked.label)]
        picked["label"] = pd.Series(lists, dtype=object)
        return picked

    return pick


def _is_present(value: Any, name: str, row: int, source: str) -> bool:
    """Return whether a row has the label of a column. Raises BadInput for anything but 0, 1, true and false."""
    try:
        text = key_of(text_of(value)).lower()
    except ValueError as error:
        raise BadInput(f"task.label: {row_of(row, source)} {error} in the column {name}") from None
    if text not in PRESENT:
        raise BadInput(
            f"task.label: {row_of(row, source)} has {str(value)[:40]!r} in the column {name}; the columns of "
            "task.kind=multilabel hold 0 or 1, or false or true"
        )
    return PRESENT[text]


def _list(value: Any, label: str, separator: str | None, where: str) -> list[Any]:
    """Return a row's labels. An empty text, or an empty list, is a row without labels.

    Raises BadInput for a value that is no list, or for text without a separator.
    """
    if isinstance(value, list | tuple | np.ndarray):
        if separator is not None:
            raise BadInput(f"task.separator={separator}: {where} has a list in {label} already; leave it out")
        return list(value)
    if not isinstance(value, str):
        kind = kind_of(None if value is None or value is pd.NA or value != value else value)
        raise BadInput(
            f"task.label={label}: {where} has {kind}, and task.kind=multilabel needs a list of names ([] for a row "
            "without labels); if each label has a column of 0 and 1, name them: task.label=[a,b]"
        )
    if separator is None:
        raise BadInput(
            f"task.label={label}: {where} has the text {value[:40]!r}; give what separates its names, as "
            "\"task.separator='|'\", or a column of 0 and 1 for each label: task.label=[a,b]"
        )
    names = [name.strip() for name in value.strip(" ").split(separator)] if value.strip() else []
    if "" in names:
        raise BadInput(f"task.label={label}: {where} has an empty name in {value[:40]!r}, separated by {separator!r}")
    return names


def names_and_indicators(request: Request, tables: Tables) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the labels' names in the order of the outputs, and which labels each row has.

    The names are those of task.labels, or of the columns, or of the hub, or else those in the training rows, sorted. A
    label is compared as a class is: see prunebert.tasks.labels.

    Args:
        request: the settings.
        tables: by split, with the columns that `columns` picks.

    Returns: the names, and by split [rows, labels] float32, 1 where the row has the label.

    Raises BadInput for a label that is not among the names, and for fewer than two names.
    """
    tables = {split: sources.with_names(table) for split, table in tables.items()}
    single = {split: _one_label_a_row(table) for split, table in tables.items()}
    names = _names(request, tables["train"], single["train"])
    by_index = request.labels is not None and request.label_indices
    found = gold_classes(single, names, request.label, by_index=by_index, own=request.own)
    indicators = {}
    for split, table in tables.items():
        rows = np.repeat(np.arange(len(table)), table.label.map(len).to_numpy(int))
        indicators[split] = np.zeros((len(table), len(names)), np.float32)
        indicators[split][rows, found[split]] = 1
    return names, indicators


def _names(request: Request, train: pd.DataFrame, single: pd.DataFrame) -> list[str]:
    """Return the labels' names in the order of the outputs."""
    given = None if request.labels is None else given_names(request.labels)
    if own := train.attrs.get("names") or train.attrs.get("classes"):
        own = given_names(own)
        if given and {*map(key_of, given)} != {*map(key_of, own)}:
            raise BadInput(f"task.labels=[{','.join(given)}]: the labels of the data are {listed(own)}")
        return given or own
    if given:
        return given
    source = train.attrs["source"]
    occurring = texts(located(single), request.label, source).unique()
    if len({*map(key_of, occurring)}) < 2:
        few = f"only the label {listed(occurring)}" if len(occurring) else "no label"
        raise BadInput(f"task.label={request.label}: the rows of {source} have {few}; at least two labels are needed")
    return label_names(located(single), request.label, source, several=True)


def _one_label_a_row(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a row for each label of each row; `id` is still the row's position in its file."""
    counts = table.label.map(len).to_numpy(int)
    values = [value for labels in table.label for value in labels]
    single = pd.DataFrame({"id": np.repeat(table.id.to_numpy(), counts), "label": pd.Series(values, dtype=object)})
    single.attrs["source"] = table.attrs["source"]
    return single
