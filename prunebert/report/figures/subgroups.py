"""Draw the accuracy of each class or group: a row for each group, a mark for each method, and dense as a line."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.errors import visible
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.style import WIDTH, Theme, looks

MOST = 12  # groups that are drawn: those that lost most against dense, or else the lowest
ROW = 0.3  # inches
NAME = 1.8  # inches of a group's name
DENSE = "dense"


def draw_subgroups(cells: pd.DataFrame, *, title: str, value: str, theme: Theme) -> Figure:
    """Draw the groups at the highest sparsity that most methods have.

    Args:
        cells: see `statistics.subgroups.cells`.
        title: of the figure.
        value: what an accuracy is called.
        theme: the figure's colours.
    """
    pruned = cells[cells["sparsity"] > 0]
    sparsity = _shown(pruned) if len(pruned) else 0.0
    shown = cells[(cells["sparsity"] == sparsity) & (cells["method"] != DENSE)] if len(pruned) else cells
    dense = cells[cells["method"] == DENSE].groupby("group")["accuracy"].first()
    by = "gap" if shown["gap"].notna().any() else "accuracy"
    groups = shown.groupby("group")[by].mean().sort_values(kind="stable").index[:MOST]
    sizes = cells.groupby("group")["rows"].first()
    groups = sorted(groups, key=lambda group: (sizes[group], str(group)))
    figure = Figure(figsize=(WIDTH, ROW * len(groups) + 0.6))
    axes = figure.subplots()
    method_looks = looks(cells["method"])
    for y, group in enumerate(groups):
        if group in dense:
            axes.plot([dense[group]] * 2, [y - 0.35, y + 0.35], color=method_looks[DENSE][0], linewidth=2.5)
        of_group = shown[shown["group"] == group].to_dict("records")
        for i, cell in enumerate(of_group):
            colour, mark, _ = method_looks[cell["method"]]
            place = y + 0.5 * ((i + 0.5) / len(of_group) - 0.5)
            axes.plot([cell["low"], cell["high"]], [place, place], color=colour, linewidth=0.8)
            axes.plot([cell["accuracy"]], [place], mark, color=colour)
    names = [fit(visible(f"{group} ({sizes[group]:,})"), NAME * POINTS, 7, 1) for group in groups]
    axes.set_yticks(range(len(groups)), names, fontsize=7)
    axes.set_ylim(-0.6, len(groups) - 0.4)
    axes.set_xlabel(f"{value} (line: 95 % interval over the group's rows)")
    axes.grid(True, axis="x", linewidth=0.4)
    axes.set_axisbelow(True)
    handles = [
        Line2D([], [], color=colour, marker="|" if method == DENSE else mark, markersize=9 if method == DENSE else 5)
        for method, (colour, mark, _) in method_looks.items()
    ]
    for handle, method in zip(handles, method_looks, strict=True):
        handle.set(linestyle="", label=visible(method))
        handle.set_markeredgewidth(2.5 if method == DENSE else 1)
    more = f", {len(groups)} of {len(sizes)}" if len(groups) < len(sizes) else ""
    height = figure.get_figheight() + add_title(figure, f"{title}, sparsity {sparsity:g} (rows in brackets{more})")
    figure.set_figheight(height + add_legend(figure, handles))
    return figure


def _shown(pruned: pd.DataFrame) -> float:
    """Return the sparsity that most rows have; of equals, the highest."""
    counts = pruned.groupby("sparsity")["label"].nunique()
    return float(counts[counts == counts.max()].index.max())
