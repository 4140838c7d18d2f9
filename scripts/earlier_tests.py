"""Copy tests over examples from an earlier report: python scripts/earlier_tests.py NEW.TEX EARLIER.TEX

A new report cannot test over examples if the predictions are gone. A table of differences in NEW without any such test
is replaced by the table of EARLIER with the same caption. Both must list the same differences over the same seeds.
"""

import sys
from pathlib import Path

BEGIN, END = "\\begin{table}", "\\end{table}"
UNTESTED = "predictions not available"


def merge(new: str, earlier: str) -> str:
    """Return `new` with such tables replaced by those of `earlier`."""
    earlier_tables = {caption(table): table for table in split_tables(earlier)}
    for table in split_tables(new):
        earlier_table = earlier_tables.get(caption(table), "")
        rows = difference_rows(table)
        untested = rows and all(UNTESTED in row for row in rows)
        if untested and differences(table) == differences(earlier_table):
            new = new.replace(table, earlier_table)
    return new


def split_tables(text: str) -> list[str]:
    """Return the inside of each table."""
    return [part.partition(END)[0] for part in text.split(BEGIN)[1:]]


def caption(table: str) -> str:
    """Return the line with the table's caption, or ""."""
    return next((line for line in table.splitlines() if line.startswith("\\caption")), "")


def difference_rows(table: str) -> list[str]:
    """Return the rows of a table of differences; [] for any other table."""
    rows = [line for line in table.splitlines() if line.endswith("\\\\")][1:]
    return rows if "p, examples" in table else []


def differences(table: str) -> list[list[str]]:
    """Return the method, sparsity, seeds and difference of each row."""
    return [row.split(" & ")[:4] for row in difference_rows(table)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/earlier_tests.py NEW.TEX EARLIER.TEX")
    new_file, earlier_file = map(Path, sys.argv[1:])
    new_file.write_text(merge(new_file.read_text("utf-8"), earlier_file.read_text("utf-8")), "utf-8")
