"""Find rows of a CSV or TSV file that end too early. pandas reads the values that such a row lacks as empty text."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def with_whole_rows(table: pd.DataFrame, path: Path, **dialect: Any) -> pd.DataFrame:
    """Return `table`, which was read from `path`.

    Args:
        dialect: of the file, as csv.reader takes it.

    Raises ValueError for a row with fewer values than the header. The file is read again only if the last column has an
    empty value.
    """
    if len(table.columns) < 2 or not (table.iloc[:, -1] == "").any():
        return table
    limit = csv.field_size_limit(sys.maxsize)  # the default is 128 KB
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = (row for row in csv.reader(stream, **dialect) if row)
            width = len(next(rows))
            for number, row in enumerate(rows, start=1):
                if len(row) < width:
                    values = f"{len(row)} of the header's {width} values"
                    raise ValueError(f"row {number} (rows count from 1, without a header) has {values}")
    finally:
        csv.field_size_limit(limit)
    return table
