"""Show which rows of results tables the report uses, and how well experiments are reproduced by other executions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from prunebert.report import origin
from prunebert.report.collect import Collected
from prunebert.report.page.page import Part
from prunebert.report.page.tables import Cell, Table, number, without_constants
from prunebert.report.statistics.ranking import Ranking
from prunebert.system.console import short

COMMIT = 7  # characters
TEXT = (
    "Of a run that is not at hand, the report has the row: scores, costs and settings, but no masks, topology and "
    "predictions. A row is compared with its own run, if that was read or is in the directory that the row names."
)
REPEATED = (
    " The run at hand counts in all tables, or else the row of the later table. A difference is the other score "
    "minus the one that counts."
)


def parts(collected: Collected) -> list[Part]:
    """Return the part on rows of results tables, and the one on experiments that were executed more than once."""
    found = []
    if collected.tables:
        found.append(Part("Rows of results tables", text=TEXT, table=_tables(collected)))
    if collected.repeats:
        text = origin.repeated(collected.repeats) + REPEATED
        inner = [Part(folded="Every pair of executions", table=_repeats(collected))]
        found.append(Part("Executed more than once", text=text, parts=inner))
    return found


def marked(table: Table, ranking: Ranking, runs: pd.DataFrame) -> Table:
    """Return the table of a ranking with a mark at each mean over rows of results tables, and a note on it.

    Args:
        table: a row for each row of the ranking; its second column and the next are the ranking's tables.
        ranking: the ranking.
        runs: the runs of all tables.
    """
    shown = runs[runs["table"].isin(ranking.tables) & runs["sparsity"].isin([0, ranking.sparsity])]
    cells = {(name, label) for name, label, _ in origin.marked(shown)}
    lines = []
    for row, line in zip(ranking.rows, table.rows, strict=True):
        columns = enumerate(line)
        names = dict(enumerate(ranking.tables, 1))
        lines.append([_with_mark(cell) if (names.get(i), row.label) in cells else cell for i, cell in columns])
    return replace(table, rows=lines, note=f"{table.note} {origin.note(shown)}".strip())


def _with_mark(cell: Cell) -> Cell:
    below = cell.below and replace(cell.below, text=cell.below.text + origin.MARK)
    return replace(cell, below=below) if below else replace(cell, text=cell.text + origin.MARK)


def _tables(collected: Collected) -> Table:
    """Return a row for each results table: how many rows are used or confirmed, and what made them."""
    columns = ["results table", "rows in this report", "rows that their own run confirms", "commits", "devices"]
    columns.append("versions of prunebert")
    from_tables = collected.runs[~collected.runs["has_files"]]
    lines = []
    for source in map(short, collected.tables):
        runs = from_tables[from_tables["source"] == source]
        line = [Cell(source, kind="long"), number(len(runs), "{:d}"), number(collected.agreeing[source], "{:d}")]
        line.append(_counted(str(commit)[:COMMIT] or "installed package" for commit in runs["git_commit"]))
        line.append(_counted(device or "unknown" for device in runs["device"]))
        line.append(_counted(_version(row) for row in runs["row"]))
        lines.append(line)
    return Table(columns, lines)


def _repeats(collected: Collected) -> Table:
    """Return a row for each pair of executions of one experiment."""
    labels = collected.runs.drop_duplicates("identity").set_index("identity")[["table", "label"]]
    columns = ["table", "method", "sparsity", "seed", "score", "other score", "difference", "executed on"]
    columns += ["other executed on", "other is"]
    lines = []
    for kept, other in ((pair.kept, pair.other) for pair in collected.repeats):
        if kept["identity"] not in labels.index:  # a newer run with the same settings has replaced both
            continue
        table, label = labels.loc[kept["identity"]]
        line = [Cell(table), Cell(label, kind="name"), number(kept["sparsity"], "{:g}"), number(kept["seed"], "{:d}")]
        line += [number(kept["score"]), number(other["score"])]
        line += [number(other["score"] - kept["score"], "{:+.4f}")]
        line += [Cell(origin.machine(kept)), Cell(origin.machine(other)), Cell(_place(other), kind="long")]
        lines.append(line)
    same = ("table", "sparsity", "executed on", "other executed on")
    return without_constants(Table(columns, lines), same)


def _place(facts: dict[str, Any]) -> str:
    return short(facts["directory"]) if facts["has_files"] else str(facts["position"])


def _version(row: dict[str, Any]) -> str:
    versions = row.get("versions")
    return str(versions.get("prunebert", "unknown")) if isinstance(versions, dict) else "unknown"


def _counted(values: Iterable[str]) -> Cell:
    """Return a cell with the different values, the commonest first, with their numbers if they are several."""
    counts = Counter(values).most_common()
    text = ", ".join(f"{value} ({n})" if len(counts) > 1 else value for value, n in counts)
    return Cell(text or "–", kind="long")
