"""Read sentences that are split into words, each word with a label: files in CoNLL columns, or tables with lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.system.paths import find
from prunebert.tasks import files, sources
from prunebert.tasks.files import WORD_LINES, is_unicode, kind_of, row_of

DOCUMENT = "-DOCSTART-"  # begins the line between two documents of CoNLL 2003


def read(file: str, key: str) -> pd.DataFrame:
    """Read a file of CoNLL columns, or a table as files.read does.

    In CoNLL columns a line is a word, and an empty line ends a sentence. Columns are separated by blanks or tabs; if
    every line has a tab, by tabs alone. Lines that begin with -DOCSTART- are left out. So are the comments of CoNLL-U:
    lines in front of a sentence that begin with # and have no tab, if every other line has one.

    Args:
        key: the configuration's key for the file, for messages.

    Returns a row for each sentence. Columns are named "0", "1" and so on; a value is the list of the words' entries.
    Raises BadInput as files.read does, and for a line with another number of columns than the first.
    """
    path = find(file, key)
    if path.suffix.lower() not in WORD_LINES:
        if path.suffix.lower() not in files.FORMATS:
            allowed = ", ".join((*WORD_LINES, *files.FORMATS[2:]))
            raise BadInput(f"{key}={file}: the ending {path.suffix or '(none)'} is not known; allowed are {allowed}")
        return files.read(file, key)
    if not path.stat().st_size:
        raise BadInput(f"{key}={file}: the file is empty")
    with files.readable(f"{key}={file}"):
        return _sentences(path)


def _sentences(path: Path) -> pd.DataFrame:
    lines = [line.rstrip("\r") for line in files.read_text(path, nul=True).split("\n")]
    comments = _comments(lines)
    words = [line for n, line in enumerate(lines) if not _ends_a_sentence(line) and n not in comments]
    tabs = all("\t" in line for line in words)
    separator = re.compile("\t" if tabs else "[ \t]+")
    sentences: list[list[list[str]]] = [[]]
    width, first = 0, 0
    for number, line in enumerate(lines, start=1):
        if _ends_a_sentence(line) or number - 1 in comments:
            sentences.append([])
            continue
        columns = separator.split(line if tabs else line.strip(" \t"))
        width, first = (width, first) if width else (len(columns), number)
        if len(columns) != width:
            raise ValueError(f"line {number} has {len(columns)} columns, and line {first} has {width}")
        sentences[-1].append(columns)
    full = [sentence for sentence in sentences if sentence]
    return pd.DataFrame({str(c): [[word[c] for word in sentence] for sentence in full] for c in range(width)})


def _ends_a_sentence(line: str) -> bool:
    return not line.strip(" \t") or line.startswith(DOCUMENT)


def _comments(lines: list[str]) -> set[int]:
    """Return the positions of CoNLL-U's comments. There are none if another line than these has no tab."""
    comments: set[int] = set()
    in_front, words = True, 0
    for position, line in enumerate(lines):
        if _ends_a_sentence(line):
            in_front = True
        elif in_front and line.startswith("#") and "\t" not in line:
            comments.add(position)
        elif "\t" not in line:
            return set()
        else:
            in_front, words = False, words + 1
    return comments if words else set()


def columns(table: pd.DataFrame, text: list[str], label: str, source: str) -> pd.DataFrame:
    """Pick the columns of words and labels. Each value is a list, of equal length within a row.

    Returns columns id, words (lists of text) and label (lists of names or numbers).
    Raises BadInput for a column that is missing, for a value that is no list, and for a word without a label.
    """
    if len(text) != 1:
        raise BadInput(f"task.text=[{','.join(text)}]: with task.kind=tokens one column of words is allowed")
    sources.require_columns(table, [*(("task.text", t) for t in text), ("task.label", label)], source)
    names = [str(name) for name in table.columns]
    words = _lists(table.iloc[:, names.index(text[0])], text[0], source)
    labels = _lists(table.iloc[:, names.index(label)], label, source)
    for row, pair in enumerate(zip(words, labels, strict=True)):
        if len(pair[0]) != len(pair[1]):
            raise BadInput(f"{row_of(row, source)} has {len(pair[0])} words and {len(pair[1])} labels")
    picked = pd.DataFrame({"id": range(len(table))})
    picked["words"] = _objects([[_word(w, row, text[0], source) for w in s] for row, s in enumerate(words)])
    picked["label"] = _objects(labels)
    picked.attrs["source"] = source
    return picked


def _objects(values: list[list[Any]]) -> pd.Series:
    return pd.Series(values, dtype=object)


def _lists(values: pd.Series, column: str, source: str) -> list[list[Any]]:
    lists = []
    for row, value in enumerate(values.tolist()):
        if not isinstance(value, list | tuple | np.ndarray):
            hint = (
                f"; a file with a word on each line needs the ending {WORD_LINES[0]}" if isinstance(value, str) else ""
            )
            raise BadInput(f"{row_of(row, source)} has no list in {column}, but {kind_of(value)}{hint}")
        lists.append(value.tolist() if isinstance(value, np.ndarray) else list(value))
    return lists


def _word(value: Any, row: int, column: str, source: str) -> str:
    if isinstance(value, str) and is_unicode(value):
        return value
    if isinstance(value, int | float) and value == value and not isinstance(value, bool):
        return str(value)
    what = "half of a character (a lone surrogate)" if isinstance(value, str) else kind_of(value)
    raise BadInput(f"{row_of(row, source)} has {what} in place of a word in {column}")
