"""Read the cells of a results table: numbers, truth values, lists and texts. Refuse what a spreadsheet made of them."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from prunebert.errors import BadInput, cut
from prunebert.runs import schema

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NOT_FINITE = ("Infinity", "-Infinity", "NaN", "inf", "-inf", "nan")
LONGEST_NUMBER = 400  # characters; Python refuses to read whole numbers of more than 4,300 digits
KINDS = {**schema.REQUIRED, **schema.LATER, **schema.OPTIONAL, "disk_bytes": (int,), "measured": (float,)}
NUMERIC = {name for name, kinds in KINDS.items() if {*kinds} <= {int, float, schema.MAYBE}}
WHOLE = {name for name in NUMERIC if float not in KINDS[name]}
NUMERIC_GROUPS = ("metrics.", "majority.", "data.rows.")
NUMERIC_PATHS = re.compile(
    r"evaluations\.[^.]+\.(?:score|constant|(?:metrics|constants)\.[^.]+)|phases\.[^.]+\.(?:steps|seconds|score)"
)
NAMES = ("method", "task", "metric")  # a spreadsheet or a person may leave spaces around them
TEXTS = {name for name, kinds in KINDS.items() if str in kinds} | {"directory", "of", "checksum"}
TEXT_GROUPS = {"versions", "checkpoint", "fingerprint", "package"}  # all their values are text
FREE = "data."  # names of a user's data, which may look like a number or a date
MONTH = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zé]*\.?"
REWRITTEN = {  # what a spreadsheet writes in place of a number or of a text
    "a decimal comma": r"[+-]?\d+(?:[.’' ]\d{3})*,\d+(?:[eE][+-]?\d+)?",
    "a percentage": r"[+-]?\d+(?:[.,]\d+)?\s?%",
    "a date": r"\d{4}-\d{1,2}-\d{1,2}(?:[ T].*)?|\d{1,2}\.\d{1,2}\.\d{4}|\d{1,2}/\d{1,2}/\d{2,4}"
    rf"|\d{{1,2}}[-. ]+{MONTH}(?:[-. ]\d{{2,4}})?|{MONTH}[-. ]\d{{1,4}}",
    "a time": r"0\d:\d\d|\d{1,2}:\d\d:\d\d",
    "an error of a formula": r"#[A-Z/]+[0!?A]*|#{2,}",
}


def read(name: str, cell: Any) -> Any:
    """Return what a cell of the column `name` says. The cell is not empty.

    Raises:
        BadInput: the column has numbers and the cell has none, or a spreadsheet has rewritten it.
    """
    groups = name.split(".")[:-1]
    if not isinstance(cell, str | int | float):
        raise BadInput(f"it is damaged: {name} is {_shown(cell)}, a {type(cell).__name__}")
    if name in TEXTS or not TEXT_GROUPS.isdisjoint(groups):
        return str(cell).strip() if name in NAMES else str(cell)
    if name in NUMERIC or name.startswith(NUMERIC_GROUPS) or NUMERIC_PATHS.fullmatch(name):
        return _number(name, cell)
    if isinstance(cell, str) and not name.startswith(FREE) and (made := rewritten(cell)):
        raise BadInput(f"it is damaged: {name} is {_shown(cell)}, {made} that a spreadsheet wrote")
    return parse_cell(cell)


def rewritten(text: str) -> str:
    """Return what a spreadsheet has made of a cell, such as "a decimal comma", or "" if it made nothing."""
    return next((made for made, form in REWRITTEN.items() if re.fullmatch(form, text.strip(), re.IGNORECASE)), "")


def parse_cell(cell: Any) -> Any:
    """Return the number (1.0 becomes 1), list or truth value that a cell's text spells, or else the cell itself."""
    if cell in ("True", "False", "TRUE", "FALSE"):  # spreadsheets write capitals
        return cell in ("True", "TRUE")
    if isinstance(cell, str):
        try:
            value = json.loads(cell)
        except ValueError:
            return cell
        return parse_cell(value) if isinstance(value, list | bool | int | float) else cell
    is_whole = isinstance(cell, float) and math.isfinite(cell) and cell == int(cell) and abs(cell) < 2**53
    return int(cell) if is_whole else cell


def _number(name: str, cell: Any) -> float | int:
    """Return the number in a cell. Raises BadInput if there is none, or a broken one where it must be whole."""
    value = cell
    if isinstance(cell, str):
        text = cell.strip()
        is_number = text in NOT_FINITE or (len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text))
        value = (int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)) if is_number else None
    if value is None or isinstance(value, bool):
        made = f" but {made} that a spreadsheet wrote" if (made := rewritten(str(cell))) else ""
        raise BadInput(f"it is damaged: {name} is {_shown(cell)}, not a number{made}")
    value = parse_cell(value)
    if name in WHOLE and not isinstance(value, int):
        raise BadInput(f"it is damaged: {name} is {_shown(cell)}, not a whole number")
    return value


def _shown(cell: Any) -> str:
    return cut(" ".join(str(cell).split()))[:60]
