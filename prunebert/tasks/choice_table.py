"""Read the choices of each question from a table, and which of them the label means.

A label may be the choice's index from 0, a letter, the name of the choice's column, or the choice's text. All rows of
all splits are read in one way. What two ways read differently is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks import sources
from prunebert.tasks.files import is_unicode, kind_of, listed, row_of
from prunebert.tasks.label_text import key_of, texts
from prunebert.tasks.labels import located
from prunebert.tasks.sources import Tables

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FROM_ZERO, FROM_ONE, LETTER = "an index from 0", "a number from 1", "a letter"
NAME, TEXT = "a choice's name", "a choice's text"
ONE_COLUMN = "a list of texts, or an object with the lists `label` and `text`"
# (label, the row's choices, the names of its choices) -> the positions that the label may mean
Way = Callable[[str, Sequence[str], Sequence[str]], list[int]]


def columns(table: pd.DataFrame, text: list[str], label: str, source: str, *, choices: list[str]) -> pd.DataFrame:
    """Pick the columns of a question, its choices and its label, and give them their common names.

    Args:
        table: as it was read.
        text: one or two columns of the question.
        label: the column of labels.
        source: the file or split, for messages.
        choices: a column for each choice, or one column that holds all choices of a row.

    Returns:
        What sources.columns returns, with two more columns of tuples, one entry for each choice: `choices` has the
        texts. `names` has the columns' names, or those that the file gives the choices; it is empty without them.

    Raises BadInput for a missing column, a choice without text, and rows whose numbers of choices differ.
    """
    sources.require_columns(table, [("task.choices", column) for column in choices], source)
    picked = sources.columns(table, text, label, source)
    position = {str(name): i for i, name in enumerate(table.columns)}
    values = [table.iloc[:, position[column]].tolist() for column in choices]
    if len(choices) == 1:
        found = [_from_one_column(value, choices[0], row_of(row, source)) for row, value in enumerate(values[0])]
        for row, (of_row, _) in enumerate(found):
            if len(of_row) != len(found[0][0]):
                raise BadInput(
                    f"task.choices={choices[0]}: {row_of(row, source)} has {len(of_row)} choices and the first row has "
                    f"{len(found[0][0])}; every row needs the same number"
                )
    else:
        found = [
            (
                tuple(_text(v, column, row_of(row, source)) for v, column in zip(of_row, choices, strict=True)),
                tuple(choices),
            )
            for row, of_row in enumerate(zip(*values, strict=True))
        ]
    picked["choices"] = pd.Series([of_row for of_row, _ in found], dtype=object)
    picked["names"] = pd.Series([names for _, names in found], dtype=object)
    picked.attrs["source"] = source
    return picked


def _from_one_column(value: Any, column: str, row: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts and the names of a row's choices; the names are empty if the row is a plain list."""
    names: tuple[str, ...] = ()
    if isinstance(value, dict):
        texts_and_names: list[Any] = [value.get("text"), value.get("label")]
        is_list = all(isinstance(x, list | tuple | np.ndarray) for x in texts_and_names)
        if not is_list or len(texts_and_names[0]) != len(texts_and_names[1]):
            raise BadInput(f"task.choices={column}: {row} needs {ONE_COLUMN}, of equal length")
        value, names = texts_and_names[0], tuple(str(name).strip() for name in texts_and_names[1])
    if not isinstance(value, list | tuple | np.ndarray):
        raise BadInput(
            f"task.choices={column}: {row} has {kind_of(value)}, and one column must hold {ONE_COLUMN} (JSON lines or "
            "Parquet); or give a column for each choice: task.choices=[a,b,c,d]"
        )
    if len(value) < 2:
        raise BadInput(f"task.choices={column}: {row} needs at least two choices, and it has {len(value)}")
    if len({*names}) < len(names):
        raise BadInput(f"task.choices={column}: {row} has two choices of one name ({listed(names)})")
    return tuple(_text(v, column, row) for v in value), names


def _text(value: Any, column: str, row: str) -> str:
    """Return a choice as text. Raises BadInput if it has none."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"task.choices: {row} has bytes that are no UTF-8 text in {column}") from None
    if isinstance(value, list | tuple | set | dict | np.ndarray):
        raise BadInput(f"task.choices: {row} has no text in {column}, but {kind_of(value)}")
    if value is None or value is pd.NA or value != value or not str(value).strip():
        raise BadInput(f"task.choices: {row} has no text in {column}; every row needs the same number of choices")
    if not is_unicode(str(value)):
        raise BadInput(f"task.choices: {row} has half of a character (a lone surrogate) in {column}")
    return str(value)


def number_of(tables: Tables) -> int:
    """Return the number of choices of every row. Raises BadInput if it differs among the splits."""
    count = len(tables["train"].choices.iloc[0])
    for table in tables.values():
        if len(table.choices.iloc[0]) != count:
            raise BadInput(
                f"task.choices: {table.attrs['source']} has {len(table.choices.iloc[0])} choices in a row and "
                f"{tables['train'].attrs['source']} has {count}; every row needs the same number"
            )
    return count


def gold(tables: Tables, column: str, of_choices: list[str]) -> dict[str, np.ndarray]:
    """Return the position of the right choice, [rows] int64, by split.

    Args:
        tables: by split, from `columns`.
        column: the labels' column, for messages.
        of_choices: the columns of the choices. Where one column holds them with names, a label is one of these names.

    Raises BadInput for a label that is no choice, and for labels that two ways of reading understand differently.
    """
    rows = [
        (label, choices, names, int(row), table.attrs["source"])
        for table in tables.values()
        for (row, label), choices, names in zip(
            texts(located(table), column, table.attrs["source"]).items(), table.choices, table.names, strict=True
        )
    ]
    count = len(rows[0][1])
    named = any(names for _, _, names, _, _ in rows)
    ways = {NAME: _by_name} if named and len(of_choices) == 1 else _ways(count, named)
    found = {name: [way(label, choices, names) for label, choices, names, _, _ in rows] for name, way in ways.items()}
    fitting = {name: of_rows for name, of_rows in found.items() if all(len(p) == 1 for p in of_rows)}
    if not fitting:
        best = max(found, key=lambda name: sum(len(p) == 1 for p in found[name]))
        bad = next(i for i, positions in enumerate(found[best]) if len(positions) != 1)
        label, _, _, row, source = rows[bad]
        why = f", the text of {len(found[best][bad])} choices" if len(found[best][bad]) > 1 else ""
        *before, last = [_described(name, count) for name in ways if name != FROM_ONE]
        allowed = f"{', '.join(before)} or {last}" if before else last
        raise BadInput(
            f"task.label={column}: {row_of(row, source)} is labelled {label!r}{why}; every row must have {allowed}, "
            "all rows in one way"
        )
    if [*fitting] == [FROM_ONE]:
        label, _, _, row, source = rows[0]
        raise BadInput(
            f"task.label={column}: {row_of(row, source)} is labelled {label}, and no row is labelled 0, so the choices "
            f"may be numbered from 1; number them from 0, or write letters ({_letters(count)})"
        )
    (first, positions), *rest = fitting.items()
    for other, others in rest:
        for i, (one, another) in enumerate(zip(positions, others, strict=True)):
            if one != another:
                label, choices, _, row, source = rows[i]
                raise BadInput(
                    f"task.label={column}: {row_of(row, source)} is labelled {label!r}, which is {choices[one[0]]!r} "
                    f"as {first} and {choices[another[0]]!r} as {other}; write the labels of all rows in another way"
                )
    flat = np.array([p[0] for p in positions], dtype=np.int64)
    ends = np.cumsum([len(table) for table in tables.values()])[:-1]
    return dict(zip(tables, np.split(flat, ends), strict=True))


def _by_name(label: str, choices: Sequence[str], names: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if key_of(name.strip()) == key_of(label)]


def _by_text(label: str, choices: Sequence[str], names: Sequence[str]) -> list[int]:
    return [i for i, choice in enumerate(choices) if key_of(choice.strip()) == key_of(label)]


def _ways(count: int, named: bool) -> dict[str, Way]:
    """Return the ways of reading a label, by name. count: the choices of a row. named: their columns have names."""
    indices = {str(i): [i] for i in range(count)}
    numbers = {str(i + 1): [i] for i in range(count)}
    letters = {letter: [i] for i, letter in enumerate(LETTERS[:count])}
    return {
        FROM_ZERO: lambda label, choices, names: indices.get(key_of(label), []),
        FROM_ONE: lambda label, choices, names: numbers.get(key_of(label), []),
        LETTER: lambda label, choices, names: letters.get(label.upper(), []),
        **({NAME: _by_name} if named else {}),
        TEXT: _by_text,
    }


def _letters(count: int) -> str:
    return f"A to {LETTERS[min(count, len(LETTERS)) - 1]}"


def _described(way: str, count: int) -> str:
    ranges = {FROM_ZERO: f" (0 to {count - 1})", LETTER: f" ({_letters(count)})"}
    return way + ranges.get(way, "")
