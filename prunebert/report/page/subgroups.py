"""Show which classes and which groups of rows lose by pruning: the lowest one of each row, and all of them folded."""

from __future__ import annotations

from functools import partial

import pandas as pd

from prunebert.report.cells import format_mean
from prunebert.report.figures.subgroups import draw_subgroups
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number
from prunebert.report.statistics import subgroups
from prunebert.system.console import counted

TEXT = (
    "A mean over all rows may hide that some rows lose much. Recall is the accuracy on the rows of one true class. "
    "Groups are the values of a column (task.groups). The 95 % interval of a group is Wilson's over its rows, for the "
    "mean over the seeds. It does not contain how much seeds differ. That of a difference to dense is Newcombe's. It "
    "ignores that both have the same rows, so it is wide. The lowest of many groups is low by chance too."
)
CAPTION = "A mark is the mean over the seeds. A vertical line is dense. Groups are in the order of their rows."
MOST = 50  # groups of a table that lists all


def section(asked: Study, draw: Draw) -> Section:
    """Return the section with a part for each table of classes; without parts if there is none."""
    parts = []
    for name, runs in asked.tables:
        inner = []
        if len(found := subgroups.by_class(runs)):
            inner += _parts(subgroups.cells(found), name, ("Recall of each class", "class", "recall"), draw)
        for rows, found in subgroups.by_group(runs).items():
            where = "the run's own rows" if rows == subgroups.OWN else rows
            inner += _parts(subgroups.cells(found), name, (f"Groups of {where}", "group", "accuracy"), draw)
        if inner:
            parts.append(Part(heading=name, parts=inner))
    return Section("Classes and groups", "subgroups", [Part(text=TEXT), *parts] if parts else [])


def _parts(cells: pd.DataFrame, table: str, words: tuple[str, str, str], draw: Draw) -> list[Part]:
    """Return the summary, the figure, and all groups folded.

    Args:
        cells: see `subgroups.cells`.
        table: the table's name.
        words: the heading, what a group is, and what its accuracy is called.
        draw: draws a figure.
    """
    heading, kind, value = words
    if (count := cells["group"].nunique()) < 2:
        return []
    title = f"{table}: {heading.lower()}"
    figure = drawing(
        f"subgroups {table} {heading}", f"{title}. {CAPTION}", partial(draw_subgroups, cells, title=title, value=value)
    )
    shown = [Part(heading=heading, table=summary(cells, kind, value)), Part(figure=draw(figure))]
    if count <= MOST:
        shown.append(Part(folded=f"All {counted(count, kind)}", table=every_group(cells, kind, value)))
    return shown


def summary(cells: pd.DataFrame, kind: str, value: str) -> Table:
    """Return for each row its lowest group, and the group that lost most against dense.

    Args:
        cells: see `subgroups.cells`.
        kind: what a group is: "class" or "group".
        value: what its accuracy is called.
    """
    rows = []
    for (label, sparsity), found in cells.groupby(["label", "sparsity"], sort=False):
        lowest = found.loc[found["accuracy"].idxmin()]
        line = [Cell(str(label), kind="name"), number(sparsity, "{:g}"), Cell(lowest["group"])]
        line += [number(lowest["rows"], "{:,d}"), _mean(lowest), _interval(lowest, "low", "high", "")]
        if found["gap"].notna().any():
            most = found.loc[found["gap"].idxmin()]
            line += [Cell(most["group"]), number(most["gap"], "{:+.4f}"), _interval(most, "gap_low", "gap_high", "+")]
        else:
            line += [number(None)] * 3
        rows.append(line)
    columns = ["method", "sparsity", f"lowest {kind}", "rows", value, "95 % interval"]
    return Table([*columns, f"{kind} that lost most", "difference to dense", "its 95 % interval"], rows)


def every_group(cells: pd.DataFrame, kind: str, value: str) -> Table:
    """Return a row for each row, sparsity and group. Arguments: as `summary`."""
    rows = []
    for (label, sparsity), found in cells.groupby(["label", "sparsity"], sort=False):
        for cell in found.sort_values("accuracy", kind="stable").to_dict("records"):
            bold = "best" if cell["accuracy"] == found["accuracy"].min() else ""
            line = [Cell(str(label), kind="name"), number(sparsity, "{:g}"), Cell(cell["group"], kind=bold)]
            line += [number(cell["rows"], "{:,d}"), _mean(cell, bold), _interval(cell, "low", "high", "")]
            line += [number(cell["dense"]), number(cell["gap"], "{:+.4f}")]
            rows.append([*line, _interval(cell, "gap_low", "gap_high", "+")])
    columns = ["method", "sparsity", kind, "rows", value, "95 % interval", "dense", "difference to dense"]
    return Table([*columns, "its 95 % interval"], rows, f"Bold: the lowest {kind} of its row.")


def _mean(cell: dict | pd.Series, kind: str = "") -> Cell:
    return Cell(format_mean(cell["accuracy"], cell["sd"], cell["n"]), cell["accuracy"], kind)


def _interval(cell: dict | pd.Series, low: str, high: str, sign: str) -> Cell:
    if pd.isna(cell[low]):
        return number(None)
    return Cell(f"{cell[low]:{sign}.4f} to {cell[high]:{sign}.4f}", cell[low])
