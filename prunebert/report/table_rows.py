"""Read the rows of a results table as runs. Leave out and name every row that cannot be trusted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.report import cell_values, facts, plausible, rows
from prunebert.report.trouble import Trouble
from prunebert.system.console import short


def read(file: Path) -> tuple[list[dict[str, Any]], list[Trouble]]:
    """Return the facts of each row, and a trouble for each row that is damaged. A row counts as older than any run.

    Besides what `facts.of_result` gives and the columns of `collect.Collected`, the facts have `position`, which names
    the table and the row, and `columns`, the names of the table's columns.

    Raises:
        BadInput: the file is not a results table.
    """
    results, troubles = [], []
    names, lines = rows.read(file)
    columns = frozenset(names)
    if not lines:
        troubles.append(Trouble("not used", short(file), "it has no rows"))
    for number, line in enumerate(lines, 1):
        position = f"{short(file)}, row {number}"
        try:
            found = _facts(names, line)
        except BadInput as error:
            troubles.append(Trouble("not used", position, str(error)))
            continue
        results.append(found | {"source": short(file), "position": position, "columns": columns})
    return results, troubles


def from_folder(file: Path) -> tuple[list[dict[str, Any]], list[Trouble]]:
    """Return the same for a table that was found in a folder. One that cannot be read at all is a trouble."""
    try:
        return read(file)
    except BadInput as error:
        return [], [Trouble("not used", short(file), str(error).removeprefix(str(file)).lstrip(":, "))]


def _facts(names: list[str], line: list[Any]) -> dict[str, Any]:
    """Return the facts of one row. Raises BadInput if it is damaged, or its numbers contradict each other."""
    row = rows.parse_row(names, line)
    cells = dict(zip(names, line, strict=True))
    measured = cells.get("measured")
    directory = row.pop("directory", "unknown")
    denominator = row.pop("of", "")  # older tables lack it; then `prunable` is trusted
    disk_bytes = row.pop("disk_bytes", None)
    found = facts.of_result(row, "it")
    fraction = None if rows.is_empty(measured) else facts.number(cell_values.read("measured", measured))
    plausible.refuse(row | {"disk_bytes": disk_bytes} | ({"of": denominator} if denominator else {}), fraction)
    return found | {
        "directory": directory,
        "has_files": False,
        "topology": None,
        "seal": None,
        "disk_bytes": facts.number(disk_bytes),
        "written": -math.inf,
        "has_pooler": (denominator, row.get("prunable")) != ("encoder", "encoder_pooler"),
        "own_run": None,
    }
