"""Find the results tables that lie directly in a folder, among other CSV and Parquet files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.report import rows
from prunebert.runs import reading
from prunebert.system.names import in_order

NAMES = ("results.csv", "results.csv.gz", "results.parquet")  # a file with such a name is always meant as a table


def in_folder(folder: Path, replaced: Collection[Path] = ()) -> list[Path]:
    """List the results tables in a folder. Tables in the folders below it are not listed.

    A report leaves its own tables in a folder below that of the runs. They are not the folder's own results.

    Args:
        folder: the folder.
        replaced: absolute paths of tables that are left out.
    """
    try:
        names = [path for path in folder.iterdir() if path.name.endswith(rows.ENDINGS)]
    except OSError:
        return []  # the search for runs has warned
    files = sorted((path for path in names if not path.name.startswith(".") and reading.is_file(path)), key=in_order)
    return [file for file in files if file.resolve() not in replaced and is_results_table(file)]


def is_results_table(file: Path) -> bool:
    """Return whether the first line of a file is that of a results table, or its name is results.csv or .parquet.

    A table that lacks columns or has other separators is one too: `rows.read` says what is wrong with it.
    """
    if file.name in NAMES:
        return True
    try:
        names = rows.column_names(file)
    except BadInput:
        return False
    header = ",".join(names)
    return {*names} >= rows.COLUMNS or {*names} >= rows.REPORT_COLUMNS or rows.foreign_separator(header) != ""


def below(folder: Path) -> list[Path]:
    """List the folders directly below a folder that hold results tables, for a hint where it has none itself."""
    try:
        folders = sorted((path for path in folder.iterdir() if reading.is_folder(path)), key=in_order)
    except OSError:
        return []
    return [path for path in folders if in_folder(path)]
