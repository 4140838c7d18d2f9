"""Rows: what a run's result must hold, and a results.csv or results.parquet of an earlier report read back into it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput

NEEDED = {
    **dict.fromkeys(("method", "task", "model", "metric", "prunable", "command"), str),
    **dict.fromkeys(("sparsity", "score"), float),
    **dict.fromkeys(("settings", "metrics"), dict),
    "seed": int,
}
WORDS = ("fit", "distill", "augment", "device", "weights_hash", "git_commit", "identity")
ENDINGS = (".csv", ".parquet")
MADE = {"table", "label", "measured"}  # by a report, which makes them anew
TEXT = {*(key for key, kind in NEEDED.items() if kind is str), *WORDS, "directory", "of", "head", "status", "checksum"}
TEXTS = {"versions", "checkpoint", "fingerprint", "package"}  # groups of nothing but text


def is_table(path: Path) -> bool:
    """Whether `path` names a file of an ending that results.csv and results.parquet have, there or not."""
    return path.suffix in ENDINGS and not path.is_dir()


def read(file: Path) -> tuple[list[str], list[list[Any]]]:
    """The names of its columns, and the cells of each row. Raises BadInput for what is no table of results."""
    if not file.exists():
        raise BadInput(f"{file}: there is no such file")
    try:
        names, rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors are among them
        raise BadInput(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    lacking = {key for key, kind in NEEDED.items() if kind is not dict} - set(names)
    if lacking:
        raise BadInput(f"{file} is no results table of a report: it lacks the columns {', '.join(sorted(lacking))}")
    return names, rows


def _csv(file: Path) -> tuple[list[str], list[list[Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in csv.reader(stream, strict=True) if line]
    return (lines[0], lines[1:]) if lines else ([], [])


def _parquet(file: Path) -> tuple[list[str], list[list[Any]]]:
    import pandas as pd

    table = pd.read_parquet(file)
    return [str(name) for name in table], table.astype(object).to_numpy().tolist()


def nested(names: list[str], cells: list[Any]) -> dict[str, Any]:
    """A row as result.json has it, and its `directory`, `of`: dotted names undone, empty cells left out.

    Raises BadInput where cells are missing or too many, or a name is that of a value and of a group of them.
    """
    if len(cells) != len(names):
        raise BadInput(f"it is damaged: it has {len(cells)} cells for {len(names)} columns")
    row: dict[str, Any] = {"settings": {}, "metrics": {}}
    for name, cell in zip(names, cells, strict=True):
        path = name.split(".")
        if name in MADE or not isinstance(cell, str | int | float) or cell == "" or cell != cell:
            continue
        inside: Any = row
        for part in path[:-1]:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise BadInput(f"it is damaged: {part} in {name} is a value and a group of values")
        if isinstance(inside.get(path[-1]), dict):
            raise BadInput(f"it is damaged: {name} is a value and a group of values")
        inside[path[-1]] = str(cell) if name in TEXT or not TEXTS.isdisjoint(path[:-1]) else plain(cell)
    return row


def plain(cell: Any) -> Any:
    """A number (1.0 is 1), a list, true or false where a cell's text reads as one."""
    if cell in ("True", "False"):
        return cell == "True"
    if isinstance(cell, str):
        try:
            found = json.loads(cell)
        except ValueError:
            return cell
        return plain(found) if isinstance(found, list | bool | int | float) else cell
    whole = isinstance(cell, float) and math.isfinite(cell) and cell == int(cell) and abs(cell) < 2**53
    return int(cell) if whole else cell
