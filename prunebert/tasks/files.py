"""Read a user's file: check that it is one, then parse it. Every fault becomes one line with the key and the file.

Rows of a table are counted from 1, without the header line (`row_of`).
"""

from __future__ import annotations

import csv
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from prunebert.errors import BadInput
from prunebert.system.paths import find
from prunebert.tasks.cut_rows import with_whole_rows

# without index_col, a row longer than the header shifts every value one column to the left
PLAIN: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", "index_col": False}
NO_QUOTES: dict[str, Any] = {"sep": "\t", "quoting": csv.QUOTE_NONE}
FORMATS = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt")
WORD_LINES = (".conll", ".iob", ".iob2", ".bio", ".txt")  # of files with a word on each line; see conll.py
BLOCK = 1 << 20  # bytes
MOST_NAMES = 30  # in a message
SIGNATURES = {  # the first bytes of what is sometimes given in place of text
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\x00\x00\xfe\xff": "UTF-32 text; save it as UTF-8",
    b"\x1f\x8b": "a gzip file; unpack it",
    b"PK\x03\x04": "a zip archive, or a spreadsheet; unpack it, or save it as CSV",
    b"PAR1": "a Parquet file; give it the ending .parquet",
}


def row_of(row: int, source: str) -> str:
    """Return how messages name a row. `row` counts from 0, the message counts from 1."""
    return f"row {row + 1} of {source} (rows count from 1, without a header)"


def read(file: str, key: str) -> pd.DataFrame:
    """Read a table from a file. The ending gives the format; CSV has quoting, TSV has not. TXT is read as TSV.

    Args:
        key: the configuration's key for the file, for messages.

    Returns the table. `attrs["duplicates"]` lists the column names that a CSV or TSV file has more than once.
    Raises BadInput for a file that does not exist, has an unknown ending or cannot be parsed.
    """
    path = find(file, key)
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: with_whole_rows(read_separated(path), path),
        ".tsv": lambda: _tabbed(path),
        ".txt": lambda: _tabbed(path),
        ".jsonl": lambda: _table(_records(read_text(path), json_lines=True)),
        ".json": lambda: _table(_records(read_text(path))),
        ".parquet": lambda: _parquet(path),
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        packed = "; unpack it first" if suffix in (".gz", ".bz2", ".xz", ".zst", ".zip") else ""
        words = "; a file with a word on each line is read with task.kind=tokens" if suffix in WORD_LINES else ""
        raise BadInput(
            f"{key}={file}: the ending {path.suffix or '(none)'} is not known{packed}; allowed are "
            f"{', '.join(FORMATS)}{words}"
        )
    if not path.stat().st_size:
        raise BadInput(f"{key}={file}: the file is empty")
    with readable(f"{key}={file}"):
        return readers[suffix]()


def _tabbed(path: Path) -> pd.DataFrame:
    return with_whole_rows(read_separated(path, **NO_QUOTES), path, delimiter="\t", quoting=csv.QUOTE_NONE)


@contextmanager
def readable(source: str, form: str = "") -> Iterator[None]:
    """Turn a parser's errors, and pandas' warning that it shortens long rows, into one-line BadInput."""
    import pyarrow

    failed = f"{source} cannot be read{f' {form}' if form else ''}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except UnicodeDecodeError as error:
        raise BadInput(f"{failed}: {error}; save it as UTF-8 text") from error
    except (ValueError, OSError, KeyError, pd.errors.ParserWarning, pyarrow.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(f"{failed}: {(reason.splitlines() or [type(error).__name__])[0]}") from error
    except RecursionError as error:
        raise BadInput(f"{failed}: its values are nested too deeply") from error
    except MemoryError as error:
        raise BadInput(f"{failed}: it does not fit into memory") from error


def read_separated(path: Path, **dialect: Any) -> pd.DataFrame:
    """Read a CSV or TSV file of text. Raises ValueError for what is no such file."""
    check_text(path)
    table = pd.read_csv(path, **(PLAIN | dialect))
    if dialect.get("names") is None:  # pandas renames a second `text` to `text.1`
        header = pd.read_csv(path, nrows=1, **(PLAIN | dialect | {"header": None}))
        counts = Counter(header.iloc[0].tolist())
        table.attrs["duplicates"] = [name for name, count in counts.items() if count > 1]
    return table


def read_text(path: Path, nul: bool = False) -> str:
    """Read UTF-8 text, with or without a byte order mark. Raises ValueError for another encoding.

    Args:
        nul: refuse NUL characters too.
    """
    check_text(path, nul)
    return path.read_text("utf-8-sig")


def check_text(path: Path, nul: bool = True) -> None:
    """Raise ValueError for a file that is evidently no UTF-8 text.

    Args:
        nul: refuse NUL characters too. They show that a file is no text, and a CSV parser may end a value there.
    """
    with path.open("rb") as stream:
        line, first = 1, True
        while block := stream.read(BLOCK):
            if first:
                for start, kind in SIGNATURES.items():
                    if block.startswith(start):
                        raise ValueError(f"it is {kind}")
            first = False
            if not nul:
                return
            if (position := block.find(b"\0")) >= 0:
                line += block[:position].count(b"\n")
                raise ValueError(f"line {line} has a NUL character; save the file as UTF-8 text without them")
            line += block.count(b"\n")


def parse_json(text: str) -> Any:
    """Parse JSON. Raises ValueError for an object that has a key twice, because one of the values would be lost."""

    def record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise ValueError(f"an object has the key {twice!r} twice")
        return values

    return json.loads(text, object_pairs_hook=record)


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:  # an open file: pyarrow takes some paths for partitions or other file systems
        pq.ParquetFile(stream).read().validate(full=True)  # text that is no UTF-8 would fail much later
    return pd.read_parquet(path)


def _table(records: list[Any]) -> pd.DataFrame:
    """Return records as a table of unconverted values: pandas would turn 1 into 1.0 beside a missing value."""
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise ValueError(f"row {row + 1} is {kind_of(record)}, not an object with the columns' names and values")
    return pd.DataFrame(records, dtype=object)


def _records(text: str, json_lines: bool = False) -> list[Any]:
    """Parse JSON lines, a list of records, or a dict of records by id.

    json_lines: the ending is .jsonl. A single object in one line is then a row, even if its values are all lists.
    """
    try:
        content = parse_json(text)
    except json.JSONDecodeError as error:
        numbered = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if numbered and not _is_json(numbered[0][1]):  # not JSON lines, but one broken JSON text
            raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
        content = [_record(*line) for line in numbered]
    if isinstance(content, dict) and content and all(isinstance(v, dict) for v in content.values()):
        return list(content.values())
    is_row = json_lines and "\n" not in text.strip()
    if not is_row and isinstance(content, dict) and content and all(isinstance(v, list) for v in content.values()):
        raise ValueError(
            f"it has a list for each of {listed(content)}, and a list of objects is needed, one for each row "
            "(in pandas: to_json(orient='records'))"
        )
    if isinstance(content, dict):
        return [content]
    if not isinstance(content, list):
        raise ValueError(f"it holds {kind_of(content)}, not a list of objects")
    return content


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except json.JSONDecodeError:
        return False
    return True


def _record(number: int, line: str) -> Any:
    try:
        return parse_json(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        _at_line(number, error)


def _at_line(number: int, error: Exception) -> NoReturn:
    reason = "its values are nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise ValueError(f"line {number}: {reason}") from error


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8. JSON may hold half of a character, a lone surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def listed(names: Iterable[str]) -> str:
    """Return names of a file separated by commas, in one line: those with control characters are quoted.

    Of many names, the first are shown with the number of all, and of a long name the beginning.
    """
    every = list(names)
    shown = [name if len(name) <= 100 else f"{name[:99]}…" for name in every[:MOST_NAMES]]
    more = f", … ({len(every):,} in all)" if len(every) > MOST_NAMES else ""
    return ", ".join(name if name.isprintable() else repr(name) for name in shown) + more


def kind_of(value: Any) -> str:
    """Return what a value is, in a user's words: "a list", "text"."""
    names = {
        dict: "an object of keys and values",
        str: "text",
        bool: "true or false",
        type(None): "null",
        bytes: "bytes",
    }
    if type(value) in names:
        return names[type(value)]
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list | tuple | set | np.ndarray):
        return "a list of values"
    if hasattr(value, "isoformat"):
        return "a date or time"
    return f"a {type(value).__name__}"
