"""Divide results.csv of `prunebert report` into a file for each task.

python scripts/results_files.py RESULTS.CSV FOLDER [PREFIX]

FOLDER gets TASK.csv for each task of RESULTS.CSV; its other files with rows of results are removed. A file has no
column that is empty in all of its rows. PREFIX is removed from the beginning of each path, so that no path of a machine
is published. `prunebert report FOLDER` reads the files.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

KEY = "identity"  # a column that every table of results has, and no other CSV file of a folder


def divide(results: Path, folder: Path, prefix: str = "") -> None:
    """Write the rows of `results` to `folder`, a file for each task."""
    with results.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    folder.mkdir(parents=True, exist_ok=True)
    for file in files(folder):
        file.unlink()
    for task in sorted({row["task"] for row in rows}):
        task_rows = [row for row in rows if row["task"] == task]
        columns = [column for column in rows[0] if any(row[column] for row in task_rows)]
        with (folder / f"{task}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {k: v.replace(f"{prefix}/", "") if prefix else v for k, v in row.items()} for row in task_rows
            )


def files(folder: str | Path) -> list[Path]:
    """Return the files with rows of results in a folder, in the order of their names."""
    found = []
    for file in sorted(Path(folder).glob("*.csv")):
        with file.open(newline="", encoding="utf-8") as stream:
            if KEY in next(csv.reader(stream), []):
                found.append(file)
    return found


def read(folder: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rows of all files of a folder with these columns, of which a file may lack some.

    Raises:
        FileNotFoundError: the folder has no such file.
    """
    if not (found := files(folder)):
        raise FileNotFoundError(f"{folder} has no file with rows of results")
    tables = [pd.read_csv(file, usecols=lambda column: column in columns, low_memory=False) for file in found]
    return pd.concat(tables, ignore_index=True).reindex(columns=list(dict.fromkeys(columns)))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    divide(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
