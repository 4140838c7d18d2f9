"""List the fields a run's result must have, write results.csv, and read it or results.parquet back into such results.

A spreadsheet takes text that begins with = + - @, a tab or a line break for a formula. In results.csv such text has an
apostrophe in front. So has text that begins with apostrophes and one of these, and reading removes one apostrophe.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from prunebert.errors import BadInput, cut
from prunebert.report import cell_values
from prunebert.runs import schema

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = {
    **dict.fromkeys(("method", "task", "model", "metric", "prunable", "command"), str),
    **dict.fromkeys(("sparsity", "score"), float),
    **dict.fromkeys(("settings", "metrics"), dict),
    "seed": int,
}
TEXT_FIELDS = ("fit", "distill", "augment", "device", "weights_hash", "heads_hash", "git_commit", "identity")
COLUMNS = {key for key, kind in REQUIRED.items() if kind is not dict}  # that every results table has
ENDINGS = (".csv", ".csv.gz", ".parquet")
REPORT_COLUMNS = {"table", "label", "measured"}  # every report computes them again
NOT_READ = {*REPORT_COLUMNS, "source"}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # that spreadsheets offer in place of commas
LONGEST_HEADER = 1 << 20  # characters; that of a results table has some 10,000
LARGEST = 1 << 30  # characters of a table's cells; 10,000 rows have some 50 million
MISSING = ("NAType", "NaTType")  # types of values with which pandas says that there is none
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


def is_table(path: Path) -> bool:
    """Return whether `path` ends like results.csv, results.csv.gz or results.parquet. The file need not exist."""
    return path.name.endswith(ENDINGS) and not path.is_dir()


def read(file: Path) -> tuple[list[str], list[list[Any]]]:
    """Return the column names and the cells of each row. Columns without a name, and empty rows, are left out.

    Raises:
        BadInput: the file is missing, cannot be read or is not a results table.
    """
    if not file.exists():
        raise BadInput(f"{file}: there is no such file")
    if not file.is_file():
        raise BadInput(f"{file} is not a file")
    with _naming(file):
        names, rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    named = [index for index, name in enumerate(names) if name]
    twice = sorted({names[index] for index in named if names.count(names[index]) > 1})
    if twice:
        raise BadInput(f"{file} is not a results table of a report: the column {cut(twice[0])} is there twice")
    if missing := sorted(COLUMNS - {*names}):
        raise BadInput(f"{file} is not a results table of a report: it lacks the columns {', '.join(missing)}")
    if len(named) < len(names):  # a spreadsheet and pandas add such columns
        rows = [[row[index] for index in named] if len(row) == len(names) else row for row in rows]
    return [names[index] for index in named], rows


def column_names(file: Path) -> list[str]:
    """Return the column names of a table. Raises BadInput if they cannot be read."""
    with _naming(file):
        if file.suffix == ".parquet":
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(file).names)
        with _opened(file) as stream:
            return next(csv.reader([stream.readline(LONGEST_HEADER)]), [])


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Turn what reading a table raises into BadInput."""
    try:
        yield
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:  # pyarrow's errors derive from these
        raise BadInput(f"{file} cannot be read: {(str(error).splitlines() or ['it is damaged'])[0]}") from error


def _opened(file: Path) -> TextIO:
    """Open a CSV file, which may be compressed. A byte order mark is skipped."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def foreign_separator(header: str) -> str:
    """Return what separates the cells of a results table's first line if these are no commas, or else ""."""
    if header.startswith("sep=") and (name := SEPARATORS.get(header[4:5])):
        return name
    for separator, name in SEPARATORS.items():
        if {cell.strip().strip('"') for cell in header.split(separator)} >= COLUMNS:
            return name
    return ""


def _csv(file: Path) -> tuple[list[str], list[list[Any]]]:
    lines: list[list[str]] = []
    with _opened(file) as stream:
        first = stream.readline(LONGEST_HEADER)
        if separator := foreign_separator(first):
            problem = f"the cells are separated by {separator}, not by commas: {cut(first.strip())[:40]}"
            remedy = "save it with commas between the cells and points in numbers, or use results.parquet"
            raise BadInput(f"{file}, line 1: {problem}; {remedy}")
        letters = 0
        for line in csv.reader(chain([] if first.strip() == "sep=," else [first], stream), strict=True):
            letters += sum(map(len, line))
            if letters > LARGEST:
                raise BadInput(f"{file} cannot be read: it has more than {LARGEST >> 20} MiB of text")
            if any(line):
                lines.append([_without_apostrophe(cell) for cell in line])
    return (lines[0], lines[1:]) if lines else ([], [])


def as_csv(table: pd.DataFrame) -> str:
    """Return the text of results.csv. A spreadsheet takes none of its cells for a formula."""
    cells = table.map(_with_apostrophe).rename(columns=_with_apostrophe)
    has_return = cells.map(lambda cell: isinstance(cell, str) and "\r" in cell).to_numpy().any()
    # csv's minimal quoting leaves a carriage return unquoted, which readers take for the end of the row
    return cells.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL)


def _with_apostrophe(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and FORMULA.match(cell) and not cell_values.NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def _without_apostrophe(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _parquet(file: Path) -> tuple[list[str], list[list[Any]]]:
    import pandas as pd

    table = pd.read_parquet(file)
    return [str(name) for name in table], table.astype(object).to_numpy().tolist()


def parse_row(names: list[str], cells: list[Any]) -> dict[str, Any]:
    """Turn a row back into a result.json, with its `directory`, `of` and `disk_bytes` added.

    Dotted names become groups again. Empty cells are left out.

    Raises:
        BadInput: the number of cells is wrong, a cell has the wrong type, or one name is used for both a value and a
            group of values.
    """
    if len(cells) != len(names):
        raise BadInput(f"it is damaged: it has {len(cells)} cells for {len(names)} columns")
    row: dict[str, Any] = {"settings": {}, "metrics": {}}
    for name, cell in zip(names, cells, strict=True):
        path = name.split(".")
        if name in NOT_READ or is_empty(cell):
            continue
        group: Any = row
        for part in path[:-1]:
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise BadInput(f"it is damaged: {part} in {name} is a value and a group of values")
        if isinstance(group.get(path[-1]), dict):
            raise BadInput(f"it is damaged: {name} is a value and a group of values")
        group[path[-1]] = cell_values.read(name, cell)
    return schema.in_todays_words(row)


def is_empty(cell: Any) -> bool:
    """Return whether a table has no value here."""
    return cell is None or (cell == "" if isinstance(cell, str) else type(cell).__name__ in MISSING or cell != cell)
