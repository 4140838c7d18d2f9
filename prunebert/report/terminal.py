"""What `prunebert report` prints: each table of scores, which runs are in no table and why, and the page to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from prunebert.report import cells
from prunebert.report.collect import Trouble
from prunebert.report.findings import text
from prunebert.system import table
from prunebert.system.console import counted, say, short
from prunebert.system.table import Column

MAX_TABLES = 8  # that are printed
UNUSED = ("replaced", "not used", "did not finish", "missing")  # kinds of trouble of a run that is in no table


def show_scores(runs: pd.DataFrame, wide: bool = False) -> None:
    """Print the mean scores, a table for each task with its model.

    Args:
        runs: the runs of all tables.
        wide: print whole lines at any width.
    """
    groups = list(runs.groupby("table", sort=False))
    for name, table_runs in groups[:MAX_TABLES]:
        cell_means = cells.cells(table_runs)
        texts, _ = cells.grid(cell_means)
        pruned = cell_means[cell_means["sparsity"] > 0].groupby("label")["denominator"].first()
        deviation = "± standard deviation " if (cell_means["n"] > 1).any() else ""
        table.say_wrapped(f"{name}: {table_runs['metric'].iloc[0]}, mean {deviation}(seeds)")
        columns = [Column("method", list(texts.index), shortest=16, from_middle=True)]
        columns.append(Column("sparsity of", [pruned.get(label) for label in texts.index], rank=99, shared=True))
        rank = 99 - len(texts.columns)  # the largest sparsities stay longest
        for index, sparsity in enumerate(texts):
            values = [text or None for text in texts[sparsity]]
            columns.append(Column(f"{sparsity:g}", values, number=True, rank=max(1, rank + len(texts.columns) - index)))
        table.show(columns, wide=wide, more="--wide and the page show all")
    if len(groups) > MAX_TABLES:
        say(f"{counted(len(groups) - MAX_TABLES, 'more table')} on the page")


def show_finding(sentence: str) -> None:
    """Print the first sentence of the findings, which names the best row; nothing if there is none.

    Args:
        sentence: with its names marked, see `findings.text`.
    """
    if sentence:
        table.say_wrapped(text.plain(sentence))


def show_troubles(runs: pd.DataFrame, troubles: Sequence[Trouble]) -> None:
    """Print how many runs are in the tables and how many are not, and a line for each kind of trouble."""
    kinds: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        kinds.setdefault(trouble.kind, []).append(trouble)
    unused = sum(len(kinds.get(kind, [])) for kind in UNUSED)
    say(f"{counted(len(runs), 'run')} in the tables" + (f", {unused} not:" if unused else ""))
    for kind in sorted(kinds, key=lambda kind: kind not in UNUSED):
        first = kinds[kind][0]
        more = f"; and {len(kinds[kind]) - 1} more, which the page lists" if len(kinds[kind]) > 1 else ""
        table.say_wrapped(f"{first.location}: {first.reason}{more}", f"  {len(kinds[kind])} {kind}: ")


def show_file(file: Path) -> None:
    """Print which page to open."""
    say(f"open {short(file)} in a browser")
