"""Fill the tables of docs/results/collapse.md: why_table.py RESULTS.CSV RUN.LOG PAGE.MD. A test compares them.

RESULTS.CSV is results/collapse/results.csv, of `prunebert report`. RUN.LOG is results/collapse/first_cut.log, of the
run `first_cut` of scripts/why_movement_collapses.sh. These marks begin a table, and `<!-- end -->` ends it:

    <!-- collapse: runs -->         a row begins with the run's name in backticks; the third cell gets its score
    <!-- collapse: first cut -->    the whole table: the loss by ranking and fraction removed
"""

import re
import sys
from pathlib import Path

import pandas as pd

END = "<!-- end -->"
RUNS = "<!-- collapse: runs -->"
FIRST_CUT = "<!-- collapse: first cut -->"
LOSSES = re.compile(r"(\w+): (0:[\d.]+(?: [\d.]+:[\d.]+)+)$")


def fill(page: str, results: pd.DataFrame, log: str) -> str:
    """Return the page with the scores of its runs and with the table of the first cut.

    Raises:
        ValueError: a mark is missing, a row names no run, or a run has no row.
    """
    scores = {
        Path(directory).name: score for directory, score in zip(results["directory"], results["score"], strict=True)
    }
    before, rows, after = section(page, RUNS)
    head, filled, named = rows[:2], [], []
    for row in rows[2:]:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        name = cells[0].strip("` ")
        if name not in scores:
            raise ValueError(f"no run is called {name}; there are {', '.join(sorted(scores))}")
        named.append(name)
        cells[2] = f"{scores[name]:.3f}"
        filled.append(f"| {' | '.join(cells)} |")
    if missing := scores.keys() - set(named):
        raise ValueError(f"the table has no row of {', '.join(sorted(missing))}")
    page = before + "\n".join([*head, *filled]) + after
    before, _, after = section(page, FIRST_CUT)
    return before + first_cut_table(log) + after


def section(page: str, mark: str) -> tuple[str, list[str], str]:
    """Return the text up to and with the mark, the lines between it and the next end, and the rest from that end on."""
    before, found, rest = page.partition(f"{mark}\n")
    lines, ended, after = rest.partition(f"\n{END}")
    if not (found and ended):
        raise ValueError(f"there must be one {mark} and after it one {END}")
    return before + found, lines.splitlines(), ended + after


def first_cut_table(log: str) -> str:
    """Return a row per ranking and a column per fraction removed, of the losses in a run.log."""
    table: dict[str, dict[str, str]] = {}
    for line in log.splitlines():
        if match := LOSSES.search(line):
            table[match[1]] = dict(pair.split(":") for pair in match[2].split())
    if not table:
        raise ValueError("the log has no losses of a first cut")
    fractions = list(next(iter(table.values())))
    rows = [["removed first", *(f"{100 * float(s):g} %" for s in fractions)], ["---"] * (len(fractions) + 1)]
    rows += [[name, *(losses[s] for s in fractions)] for name, losses in table.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python scripts/why_table.py RESULTS.CSV RUN.LOG PAGE.MD")
    page_file = Path(sys.argv[3])
    csv, log_file = pd.read_csv(sys.argv[1]), Path(sys.argv[2])
    page_file.write_text(fill(page_file.read_text("utf-8"), csv, log_file.read_text("utf-8")), "utf-8")
