"""List the fields a run's result must have, write results.csv, and read it or results.parquet back into such results.

A spreadsheet takes text that begins with = + - @, a tab or a line break for a formula. In results.csv such text has an
apostrophe in front. So has text that begins with apostrophes and one of these, and reading removes one apostrophe.
"""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
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
ENDINGS = (".csv", ".parquet")
REPORT_COLUMNS = {"table", "label", "measured"}  # every report computes them again
TEXT_COLUMNS = {key for key, kind in REQUIRED.items() if kind is str}
TEXT_COLUMNS |= {*TEXT_FIELDS, "directory", "of", "head", "status", "checksum"}
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
TEXT_GROUPS = {"versions", "checkpoint", "fingerprint", "package"}  # all their values are text


def is_table(path: Path) -> bool:
    """Return whether `path` ends like results.csv or results.parquet. The file need not exist."""
    return path.suffix in ENDINGS and not path.is_dir()


def read(file: Path) -> tuple[list[str], list[list[Any]]]:
    """Return the column names and the cells of each row.

    Raises:
        BadInput: the file is missing, cannot be read or is not a results table.
    """
    if not file.exists():
        raise BadInput(f"{file}: there is no such file")
    if not file.is_file():
        raise BadInput(f"{file} is not a file")
    try:
        names, rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors derive from these
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    missing = {key for key, kind in REQUIRED.items() if kind is not dict} - set(names)
    if missing:
        raise BadInput(f"{file} is not a results table of a report: it lacks the columns {', '.join(sorted(missing))}")
    return names, rows


def column_names(file: Path) -> list[str]:
    """Return the column names of a table. Raises BadInput if they cannot be read."""
    try:
        if file.suffix == ".parquet":
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(file).names)
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except (OSError, ValueError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error


def _csv(file: Path) -> tuple[list[str], list[list[Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in csv.reader(stream, strict=True) if line]
    plain = [[_without_apostrophe(cell) for cell in line] for line in lines]
    return (plain[0], plain[1:]) if plain else ([], [])


def as_csv(table: pd.DataFrame) -> str:
    """Return the text of results.csv. A spreadsheet takes none of its cells for a formula."""
    cells = table.map(_with_apostrophe).rename(columns=_with_apostrophe)
    has_return = cells.map(lambda cell: isinstance(cell, str) and "\r" in cell).to_numpy().any()
    # csv's minimal quoting leaves a carriage return unquoted, which readers take for the end of the row
    return cells.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL)


def _with_apostrophe(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell)
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
        BadInput: the number of cells is wrong, or one name is used for both a value and a group of values.
    """
    if len(cells) != len(names):
        raise BadInput(f"it is damaged: it has {len(cells)} cells for {len(names)} columns")
    row: dict[str, Any] = {"settings": {}, "metrics": {}}
    for name, cell in zip(names, cells, strict=True):
        path = name.split(".")
        if name in REPORT_COLUMNS or not isinstance(cell, str | int | float) or cell == "" or cell != cell:
            continue
        group: Any = row
        for part in path[:-1]:
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise BadInput(f"it is damaged: {part} in {name} is a value and a group of values")
        if isinstance(group.get(path[-1]), dict):
            raise BadInput(f"it is damaged: {name} is a value and a group of values")
        is_text = name in TEXT_COLUMNS or not TEXT_GROUPS.isdisjoint(path[:-1])
        group[path[-1]] = str(cell) if is_text else parse_cell(cell)
    return schema.in_todays_words(row)


def parse_cell(cell: Any) -> Any:
    """Return the number (1.0 becomes 1), list or boolean that a cell's text spells, or else the cell itself."""
    if cell in ("True", "False"):
        return cell == "True"
    if isinstance(cell, str):
        try:
            value = json.loads(cell)
        except ValueError:
            return cell
        return parse_cell(value) if isinstance(value, list | bool | int | float) else cell
    is_whole = isinstance(cell, float) and math.isfinite(cell) and cell == int(cell) and abs(cell) < 2**53
    return int(cell) if is_whole else cell
