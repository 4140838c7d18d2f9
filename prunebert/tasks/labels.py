"""Convert labels in a file (names, numbers, numbers as text) to class indices or real numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput, did_you_mean
from prunebert.tasks.files import listed, row_of
from prunebert.tasks.label_text import NUMBER, converted, decoded, key_of, text_of, texts

NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TRUTH_VALUES = ["false", "true"]
LARGEST_ROUNDING = 1e-3  # of a number to float32, in standard deviations of the labels


def label_names(label: pd.Series, column: str, source: str = "train", several: bool = False) -> list[str]:
    """Return the classes of a training file, sorted (by value if all are whole numbers).

    A class has the name that its rows give it. If they spell it differently ("1" and "1.0"), it is the number's
    shortest decimal.

    Args:
        label: the training labels.
        column, source: their column and file, for messages.
        several: a row may have several labels, and `label` has an entry for each of them.

    Raises BadInput for a row without a label, for a single class, and for too many different values.
    """
    spellings: dict[str, set[str]] = {}
    as_text = texts(label, column, source)
    _refuse_truth_beside_numbers(as_text, column, source)
    for text in as_text.unique():
        spellings.setdefault(key_of(text), set()).add(text)
    names = sorted(next(iter(spelt)) if len(spelt) == 1 else key for key, spelt in spellings.items())
    if all(re.fullmatch(r"-?[0-9]+", name) for name in names):
        names.sort(key=Decimal)  # int() takes 4,300 digits at most
    if len(names) < 2:
        raise BadInput(
            f"task.label={column}: every training row has the same label {listed(names)}; at least two are needed"
        )
    if len(names) > max(20, len(label) // 2):
        raise BadInput(
            f"task.label={column}: {len(names)} different values in {len(label)} {'labels' if several else 'rows'} of "
            f"{source} are too many for classes; "
            f"{'task.labels=[…] names them all' if several else 'for numbers use task.kind=regression'}"
        )
    return names


def _refuse_truth_beside_numbers(label: pd.Series, column: str, source: str) -> None:
    """Raise BadInput for rows labelled true or false beside rows with numbers: 1 and true may mean the same class."""
    is_truth = label.map({text: text.casefold() in TRUTH_VALUES for text in label.unique()}).to_numpy(dtype=bool)
    is_number = label.map({text: NUMBER.fullmatch(text) is not None for text in label.unique()}).to_numpy(dtype=bool)
    if is_truth.any() and is_number.any():
        row = int(is_truth.argmax())
        raise BadInput(
            f"task.label={column}: {row_of(int(label.index[row]), source)} is labelled {label.iloc[row]}, and others "
            f"are numbers ({label.iloc[int(is_number.argmax())]}); write all labels in one way"
        )


def given_names(labels: Any) -> list[str]:
    """Return the classes that task.labels names, as text.

    Raises BadInput for anything but a list of at least two different labels.
    """
    if not isinstance(labels, list | tuple):
        raise BadInput(
            f"task.labels={labels}: must be a list of the classes' names in the order of their outputs, as "
            "task.labels=[no,yes]"
        )
    names = []
    for label in labels:
        try:
            names.append(text_of(label))
        except ValueError as error:
            quoted = (
                "; if null is a class's name, write it in quotes: \"task.labels=['null',…]\"" if label is None else ""
            )
            raise BadInput(f"task.labels={_shown(labels)}: an entry {error}{quoted}") from None
    if len(names) < 2:
        raise BadInput(f"task.labels={_shown(labels)}: at least two classes are needed")
    for i, name in enumerate(names):
        same = [other for other in names[:i] if key_of(other) == key_of(name)]
        if same:
            raise BadInput(
                f"task.labels={_shown(labels)}: {same[0]} and {name} are the same class, and each needs one name"
            )
    return names


def _shown(values: Iterable[Any]) -> str:
    return f"[{','.join('null' if v is None else str(v) for v in values)}]"


def positions(names: list[str]) -> dict[str, int]:
    """Return {index as text: index} if a file may give a class's index in place of its name, else an empty dict.

    It may not if a name is a number itself, or if a name contains the index of another ("1 star" is not the second
    class just because it is at index 1).
    """
    indices = {str(index): index for index in range(len(names))}
    for index, name in enumerate(names):
        word = name.casefold()
        numbers = [int(digits) for digits in re.findall(r"\d{1,9}", word)]
        numbers += [words.index(word) for words in (NUMBER_WORDS, TRUTH_VALUES) if word in words]
        if NUMBER.fullmatch(name) or name.isnumeric() or any(n != index and n < len(names) for n in numbers):
            return {}
    return indices


def to_classes(
    label: pd.Series, names: list[str], column: str, source: str, *, by_index: bool = True, hint: str = ""
) -> np.ndarray:
    """Return class indices, [rows] int64. Raises BadInput for an unknown label.

    A label is a class name, or its index if `positions` allows it.

    Args:
        label: the labels; the index gives the rows' positions in `source`.
        names: the classes' names in order.
        column, source: their column and file, for messages.
        by_index: whether the order of `names` is known to be that of the indices.
        hint: ends the message about an unknown label.
    """
    index_of = {key_of(name): i for i, name in enumerate(names)}
    if by_index:
        index_of = positions(names) | index_of
    text = texts(label, column, source)
    keys = text.map({spelling: key_of(spelling) for spelling in text.unique()})
    unknown = ~keys.isin(index_of).to_numpy()
    if unknown.any():
        row = int(unknown.argmax())
        raise BadInput(
            f"task.label={column}: {row_of(int(text.index[row]), source)} is labelled {text.iloc[row]!r}; labels are "
            f"{listed(names)}{_suggestion(text.iloc[row], names)}{hint}"
        )
    return keys.map(index_of).to_numpy(dtype=np.int64)


def located(table: pd.DataFrame) -> pd.Series:
    """Return a table's labels. The index has the rows' positions in the file, and `attrs` the file."""
    values = table.label.tolist()
    if table.label.dtype in (np.float16, np.float32):  # 0.1 in 32 bits is 0.1, and not 0.10000000149011612
        values = [float(str(value)) for value in table.label.to_numpy()]
    label = pd.Series(values, index=table.id.to_numpy(), dtype=object)
    label.attrs["source"] = table.attrs["source"]
    return label


def with_hub_names(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return a table with class names in place of its numbers, if the hub numbers the same classes in another order.

    Args:
        table: from prunebert.tasks.sources. `attrs["classes"]` has the hub's names, in the hub's order.
        names: the classes' names in the task's order.
    """
    hub_names = table.attrs.get("classes") or []
    task_keys, hub_keys = ([key_of(name).casefold() for name in order] for order in (names, hub_names))
    if task_keys == hub_keys or sorted(task_keys) != sorted(hub_keys) or len({*hub_keys}) < len(hub_keys):
        return table
    by_number = {number: names[task_keys.index(key)] for number, key in enumerate(hub_keys)}
    label = [by_number.get(number, number) for number in table.label.tolist()]
    renamed = table.assign(label=pd.Series(label, index=table.index, dtype=object))
    renamed.attrs = table.attrs
    return renamed


def gold_classes(
    tables: dict[str, pd.DataFrame], names: list[str], column: str, *, by_index: bool, own: bool
) -> dict[str, np.ndarray]:
    """Return the class indices of every split.

    A row may have a class's index in place of its name if `by_index` is true and `positions` allows it. In files of the
    user's own the indices must be seen to count from 0.

    Args:
        tables: by split, from prunebert.tasks.sources.
        names: the classes' names in order.
        column: the labels' column, for messages.
        by_index: whether the order of `names` is known to be that of the indices.
        own: the files are the user's own.

    Raises BadInput for an unknown label, and for indices that may count from 1.
    """
    labels = {}
    for split, table in tables.items():
        label = located(table)
        labels[split] = texts(label, column, label.attrs["source"])
        labels[split].attrs["source"] = label.attrs["source"]
    known = {key_of(name) for name in names}
    indices = {str(index) for index in range(len(names))}
    seen: dict[str, tuple[int, str]] = {}  # index -> where it occurs first
    hint = ""
    for label in labels.values():
        source = label.attrs["source"]
        for row, text in label.drop_duplicates().items():
            key = key_of(text)
            if key == "-1" and not own and key not in known:
                raise BadInput(
                    f"task.label={column}: {row_of(int(row), source)} is labelled -1, with which the hub marks rows "
                    "without a label, as in GLUE's test splits; evaluate on another split"
                )
            if key not in known and key in indices:
                seen.setdefault(key, (int(row), source))
    if seen and not by_index:
        hint = (
            "; the names were not given in an order, so a number is not the index of one: write names in the file, or "
            "give the order of its numbers with task.labels"
        )
    elif seen and own and "0" not in seen and positions(names):
        key, (row, source) = next(iter(seen.items()))
        raise BadInput(
            f"task.label={column}: {row_of(row, source)} is labelled {key}, and no row is labelled 0, so the classes "
            f"{listed(names)} may be numbered from 0 or from 1; write their names in the file"
        )
    return {
        split: to_classes(label, names, column, label.attrs["source"], by_index=by_index, hint=hint)
        for split, label in labels.items()
    }


def _suggestion(text: str, names: list[str]) -> str:
    """Return which class may be meant: one that looks the same, or one that is close."""
    if {*names} <= {"True", "False"} and not NUMBER.fullmatch(text):  # also what YAML makes of no and yes
        return "; true, false, yes and no are truth values if they are not in quotes: \"task.labels=['no','yes']\""
    names = [name for name in names if name.isprintable()]
    for name in names:
        if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", text):
            return f"; did you mean {name}, the same letters in another Unicode form (NFC or NFD)?"
        if name.casefold() == text.casefold():
            return f"; did you mean {name}?"
    return did_you_mean(text, names)


def to_numbers(label: pd.Series, column: str, source: str) -> np.ndarray:
    """Return labels for regression, [rows] float32.

    Raises BadInput for a label that is not a finite number, and for numbers that differ too little for float32.
    """
    values = converted(label.tolist(), label.index, _number_or_text, column, source)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused below
        numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        rounded = numbers.astype(np.float32)
    if not np.isfinite(rounded).all():
        row = int((~np.isfinite(rounded)).argmax())
        raise BadInput(
            f"task.label={column}: {row_of(int(label.index[row]), source)} is {str(values[row])!r}, "
            "not a finite number (regression)"
        )
    errors, spread = np.abs(numbers - rounded), float(numbers.std())
    if errors.max() > LARGEST_ROUNDING * spread > 0:
        row = int(errors.argmax())
        raise BadInput(
            f"task.label={column}: {row_of(int(label.index[row]), source)} is {values[row]}, which is {rounded[row]} "
            f"in float32, and the labels' standard deviation is only {spread:.3g}; shift or scale the labels"
        )
    return rounded


def _number_or_text(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        raise ValueError(f"is {str(value).lower()}, not a number (regression)")
    if isinstance(value, bytes):
        return decoded(value)
    if isinstance(value, int | float | str | Decimal | np.number):
        return value
    text_of(value)  # says what else it is
    return value
