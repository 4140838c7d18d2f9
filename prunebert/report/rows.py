"""List the fields a run's result must have, and read a results.csv or results.parquet back into such results."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput

REQUIRED = {
    **dict.fromkeys(("method", "task", "model", "metric", "prunable", "command"), str),
    **dict.fromkeys(("sparsity", "score"), float),
    **dict.fromkeys(("settings", "metrics"), dict),
    "seed": int,
}
TEXT_FIELDS = ("fit", "distill", "augment", "device", "weights_hash", "git_commit", "identity")
ENDINGS = (".csv", ".parquet")
REPORT_COLUMNS = {"table", "label", "measured"}  # every report computes them again
TEXT_COLUMNS = {key for key, kind in REQUIRED.items() if kind is str}
TEXT_COLUMNS |= {*TEXT_FIELDS, "directory", "of", "head", "status", "checksum"}
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
    try:
        names, rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors derive from these
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    missing = {key for key, kind in REQUIRED.items() if kind is not dict} - set(names)
    if missing:
        raise BadInput(f"{file} is not a results table of a report: it lacks the columns {', '.join(sorted(missing))}")
    return names, rows


def _csv(file: Path) -> tuple[list[str], list[list[Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in csv.reader(stream, strict=True) if line]
    return (lines[0], lines[1:]) if lines else ([], [])


def _parquet(file: Path) -> tuple[list[str], list[list[Any]]]:
    import pandas as pd

    table = pd.read_parquet(file)
    return [str(name) for name in table], table.astype(object).to_numpy().tolist()


def parse_row(names: list[str], cells: list[Any]) -> dict[str, Any]:
    """Turn a row back into a result.json, with its `directory` and `of` added.

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
    return row


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
