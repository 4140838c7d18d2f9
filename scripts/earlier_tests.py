"""Differences whose predictions are not at hand, as an earlier report tested them: earlier_tests.py NEW.TEX EARLIER.TEX

A table of differences in NEW of which no row could be tested example by example is replaced by that of the same caption
in EARLIER, where both tell the same differences over the same seeds.
"""

import sys
from pathlib import Path

BEGIN, END = "\\begin{table}", "\\end{table}"
UNTESTED = "predictions not at hand"


def joined(new: str, earlier: str) -> str:
    """`new` with these tables of `earlier`."""
    before = {caption(block): block for block in blocks(earlier)}
    for block in blocks(new):
        old = before.get(caption(block), "")
        lines = told(block)
        if lines and all(UNTESTED in line for line in lines) and differences(block) == differences(old):
            new = new.replace(block, old)
    return new


def blocks(text: str) -> list[str]:
    """Its tables."""
    return [part.partition(END)[0] for part in text.split(BEGIN)[1:]]


def caption(block: str) -> str:
    """Its line."""
    return next((line for line in block.splitlines() if line.startswith("\\caption")), "")


def told(block: str) -> list[str]:
    """The rows of a table of differences, none of another."""
    rows = [line for line in block.splitlines() if line.endswith("\\\\")][1:]
    return rows if "p, examples" in block else []


def differences(block: str) -> list[list[str]]:
    """Method, sparsity, seeds and difference of each row."""
    return [row.split(" & ")[:4] for row in told(block)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/earlier_tests.py NEW.TEX EARLIER.TEX")
    file, earlier = map(Path, sys.argv[1:])
    file.write_text(joined(file.read_text("utf-8"), earlier.read_text("utf-8")), "utf-8")
