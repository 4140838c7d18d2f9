"""Write labels of every type as text.

Two labels are the same if their text is, spaces around it aside. Numbers are compared by value: 1, 1.0, "1.0", "+1" and
"1e0" are one label in every format. Case and Unicode forms make different labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import MAX_PREC, Context, Decimal
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.tasks.files import is_unicode, kind_of, row_of

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
NO_LABEL = ("", "nan", "NaN", "NAN", "<NA>", "NaT")  # how pandas and numpy write a missing value as text
FIRST_INEXACT = 2**53  # from here on a float may stand for several whole numbers
EXACT = Context(prec=MAX_PREC)


def key_of(text: str) -> str:
    """Return what two spellings of a label have in common: of a number its shortest decimal, else the text."""
    if not NUMBER.fullmatch(text) or len(text) > 1000:
        return text
    number = Decimal(text)
    return format(number.normalize(EXACT), "f") if number else "0"


def text_of(value: Any) -> str:
    """Return a label as text. A whole number stored as a float (1.0) becomes an integer (1), bytes become text.

    Raises ValueError for a missing label and for a value that is no label; its message completes "row 1 …".
    """
    if isinstance(value, np.generic):
        value = value.item() if isinstance(value, np.bool_ | np.integer) else value
    if isinstance(value, bytes):
        value = decoded(value)
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) >= FIRST_INEXACT:
        raise ValueError(
            f"is labelled {value}, a number with a decimal point, which is not exact from 2^53 on; store the labels as "
            "whole numbers or text"
        )
    if isinstance(value, float | np.floating | Decimal) and value == value and abs(value) != float("inf"):
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, str):
        text = value.strip()
        if text in NO_LABEL:
            raise ValueError(f"has no label{f' (but {text!r})' if text else ''}")
        if not is_unicode(text):
            raise ValueError(f"is labelled {text!r}, which is no valid Unicode text")
        return text
    if isinstance(value, int):
        return str(value)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float | np.floating | Decimal)):
        raise ValueError("has no label" if _missing(value) else f"is labelled {value}, which is no class")
    raise ValueError(
        f"is labelled with {kind_of(value)} ({str(value)[:40]}); a label is text, a number or true or false"
    )


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def decoded(value: bytes) -> str:
    """Return the text of a label stored as bytes. Raises ValueError if it is not UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"is labelled with bytes that are no UTF-8 text ({value[:20]!r})") from None


def texts(label: pd.Series, column: str, source: str) -> pd.Series:
    """Return labels as text (see `text_of`). The index gives the rows' positions in `source`, from 0.

    Raises BadInput for a row whose value is no label, and for true or false beside other values.
    """
    values = label.tolist()
    labels = converted(values, label.index, text_of, column, source)
    boolean = [isinstance(value, bool | np.bool_) for value in values]
    if any(boolean) and not all(boolean):
        row = boolean.index(True)
        other = labels[boolean.index(False)]
        raise BadInput(
            f"task.label={column}: {row_of(int(label.index[row]), source)} is labelled {labels[row].lower()}, and "
            f"others are no truth values ({other}); write all labels in one way"
        )
    return pd.Series(labels, index=label.index, dtype=object)


def converted(
    values: list[Any], rows: Iterable[int], convert: Callable[[Any], Any], column: str, source: str
) -> list[Any]:
    """Return `convert` of every value. Its ValueError becomes BadInput with the row."""
    known: dict[tuple[type, Any], Any] = {}  # GLUE has 400,000 rows, and few of their labels differ
    labels = []
    for row, value in zip(rows, values, strict=True):
        key = (type(value), value if isinstance(value, str | bytes | int | float) else id(value))
        if key not in known:
            try:
                known[key] = convert(value)
            except ValueError as error:
                raise BadInput(f"task.label={column}: {row_of(int(row), source)} {error}") from None
        labels.append(known[key])
    return labels
