"""What `prunebert report` prints: each table of scores, which runs are in no table and why, and the page to open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from prunebert.report import cells, origin
from prunebert.report.collect import Trouble
from prunebert.report.executions import Repeat
from prunebert.report.findings import text
from prunebert.system import table
from prunebert.system.console import counted, say, short
from prunebert.system.table import Column

MAX_TABLES = 8  # that are printed
UNUSED = ("contradictory", "replaced", "not used", "did not finish", "missing")  # kinds of a run that is in no table
NAMED = {"contradictory": 5}  # of other kinds only the first is named


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
        marked = {(label, sparsity) for _, label, sparsity in origin.marked(table_runs)}
        pruned = cell_means[cell_means["sparsity"] > 0].groupby("label")["denominator"].first()
        deviation = "± standard deviation " if (cell_means["n"] > 1).any() else ""
        table.say_wrapped(f"{name}: {table_runs['metric'].iloc[0]}, mean {deviation}(seeds)")
        columns = [Column("method", list(texts.index), shortest=16, from_middle=True)]
        columns.append(Column("sparsity of", [pruned.get(label) for label in texts.index], rank=99, shared=True))
        rank = 99 - len(texts.columns)  # the largest sparsities stay longest
        for index, sparsity in enumerate(texts):
            values: list[str | None] = [text or None for text in texts[sparsity]]
            if any((label, sparsity) in marked for label in texts.index):
                ends = [origin.MARK if (label, sparsity) in marked else " " for label in texts.index]
                values = [value and value + end for value, end in zip(values, ends, strict=True)]
            columns.append(Column(f"{sparsity:g}", values, number=True, rank=max(1, rank + len(texts.columns) - index)))
        table.show(columns, wide=wide, more="--wide and the page show all")
        if marked or (runs["has_files"].any() and not table_runs["has_files"].any()):
            table.say_wrapped(origin.note(table_runs), "")
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
        named = NAMED.get(kind, 1)
        left = len(kinds[kind]) - named
        reasons = [f"{trouble.location}: {trouble.reason}" for trouble in kinds[kind][:named]]
        reasons[-1] += f"; and {left} more, which the page lists" if left > 0 else ""
        for number, why in enumerate(reasons):
            beginning = f"  {len(kinds[kind])} {kind}: "
            table.say_wrapped(why, beginning if number == 0 else " " * len(beginning))


def show_repeats(repeats: list[Repeat]) -> None:
    """Print how far the scores of experiments differ that were executed more than once."""
    if repeats:
        table.say_wrapped(origin.repeated(repeats), "")


def show_file(file: Path) -> None:
    """Print which page to open."""
    say(f"open {short(file)} in a browser")
