"""Draw scores on other tasks against the scores on the runs' own task."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.errors import visible
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.scales import DOTTED, MARGIN
from prunebert.report.figures.style import WIDTH, Theme, looks

ACROSS = 3  # panels in a row
HEIGHT = 2.4  # inches of a row of panels
ROOM = WIDTH / ACROSS - 0.7  # inches of a panel's title and of the label below it
SIZE = 8.0  # of their font in points
LINES = 2  # that each of them has at most
LEAST_MARGIN = 0.01  # of an axis beside its cells, so that the ticks of a single cell have few digits


def draw_elsewhere(cell_means: pd.DataFrame, *, table: str, theme: Theme) -> Figure:
    """Draw a panel for each other task: a mark for each cell, with one standard deviation both ways.

    Args:
        cell_means: see `statistics.elsewhere.cells`.
        table: the name of the runs' table, for the title.
        theme: the figure's colours.
    """
    panels = list(cell_means.groupby(["other", "metric"], sort=False))
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(WIDTH * max(across, 2) / ACROSS, HEIGHT * down))
    grid = figure.subplots(down, across, squeeze=False)
    method_looks = looks(cell_means["method"])
    for axes, ((other, metric), cells) in zip(grid.flat, panels, strict=False):
        for _, row in cells.groupby("label", sort=False):
            row = row.sort_values("sparsity")
            colour, mark, _ = method_looks[row["method"].iloc[0]]
            axes.plot(row["here"], row["there"], color=colour, linewidth=0.8, alpha=0.6)
            errors = {"xerr": row["here_sd"], "yerr": row["there_sd"], "capsize": 2, "elinewidth": 0.8}
            axes.errorbar(row["here"], row["there"], **errors, linestyle="", color=colour)
            axes.plot(row["here"], row["there"], mark, color=colour)
            if len(row) > 1:  # the highest sparsity is hollow
                end = row.iloc[-1]
                axes.plot(end["here"], end["there"], mark, color=colour, markerfacecolor=theme.paper)
        _finish(axes, cells, theme)
        axes.set_title(_fit(other, ROOM))
        axes.set_ylabel(_fit(metric, HEIGHT - 1.0))
        axes.set_xlabel(_fit(f"own task: {cells['own_metric'].iloc[0]}", ROOM))
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", label=visible(method))
        for method, (colour, mark, _) in method_looks.items()
    ]
    handles.append(Line2D([], [], color=theme.ink, linestyle=DOTTED, linewidth=1, label="constant baseline there"))
    if cell_means["gap"].notna().any():
        handles.append(Line2D([], [], color=theme.ink, linewidth=0.6, label="equal scores"))
    height = figure.get_figheight() + add_title(figure, f"{table}: on other tasks")
    figure.set_figheight(height + add_legend(figure, handles))
    return figure


def _fit(text: object, inches: float) -> str:
    return fit(visible(str(text)), inches * POINTS, SIZE, LINES)


def _finish(axes: Axes, cells: pd.DataFrame, theme: Theme) -> None:
    """Draw the constant baseline and the line of equal scores, and limit the axes to what the cells need."""
    for direction, mean, more in (("x", "here", []), ("y", "there", list(cells["constant"].dropna()))):
        sd = cells[f"{mean}_sd"].fillna(0)
        ends = [*(cells[mean] - sd), *(cells[mean] + sd), *more]
        margin = max(MARGIN * (max(ends) - min(ends)), LEAST_MARGIN)
        (axes.set_xlim if direction == "x" else axes.set_ylim)(min(ends) - margin, max(ends) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for constant in cells["constant"].dropna().unique():
        axes.axhline(constant, color=theme.ink, linewidth=1, linestyle=DOTTED)
    if cells["gap"].notna().any():
        axes.axline((0, 0), slope=1, color=theme.ink, linewidth=0.6)
    axes.grid(True, linewidth=0.4)
    axes.set_axisbelow(True)
