"""Draw reliability diagrams: accuracy against confidence, a panel for each sparsity, with dense in each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.drawing.labels import add_title
from prunebert.errors import visible
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.scales import DOTTED
from prunebert.report.figures.style import WIDTH, Theme, looks

ACROSS = 3  # panels in a row
MOST = 6  # panels; of more sparsities, the highest are drawn
HEIGHT = 2.3  # inches of a row of panels
LEAST = 10  # predictions of a bin that is drawn
DENSE = "dense"
Dash = str | tuple[float, Sequence[float]]
DASHES: tuple[Dash, ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (6, 1, 1, 1, 1, 1)),
    (0, (3, 4)),
)  # of the variants of a method, in turn
MOST_NAMED = 12  # lines in the legend
SAMPLE = 5.0  # length of a line in the legend, in widths of the font, so that dashes can be told apart


def draw_calibration(cell_means: pd.DataFrame, *, table: str, theme: Theme) -> Figure:
    """Draw the panels.

    Args:
        cell_means: see `statistics.calibration.cells`.
        table: the name of the runs' table, for the title.
        theme: the figure's colours.
    """
    sparsities = sorted({*cell_means["sparsity"][cell_means["sparsity"] > 0]})[-MOST:] or [0.0]
    across = min(ACROSS, len(sparsities))
    down = -(-len(sparsities) // across)
    figure = Figure(figsize=(WIDTH * max(across, 2) / ACROSS, HEIGHT * down))
    grid = figure.subplots(down, across, squeeze=False)
    method_looks = looks(cell_means["method"])
    lines = cell_means.drop_duplicates("label")
    ranks = lines.groupby("method").cumcount()
    dashes = {label: DASHES[rank % len(DASHES)] for label, rank in zip(lines["label"], ranks, strict=True)}
    for axes, sparsity in zip(grid.flat, sparsities, strict=False):
        shown = cell_means[(cell_means["sparsity"] == sparsity) | (cell_means["method"] == DENSE)]
        lows = [
            _draw(axes, cell["bins"], method_looks[cell["method"]], dashes[cell["label"]])
            for cell in shown.to_dict("records")
        ]
        low = min(lows, default=0.0) - 0.03
        axes.plot([low, 1], [low, 1], color=theme.ink, linewidth=0.8, linestyle=DOTTED)
        axes.set_xlim(low, 1.02)
        axes.set_ylim(top=1.02)
        axes.set_title(f"sparsity {sparsity:g}")
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy")
        axes.grid(True, linewidth=0.4)
        axes.set_axisbelow(True)
    for axes in grid.flat[len(sparsities) :]:
        axes.remove()
    if len(lines) > MOST_NAMED:  # of so many, the methods alone are named
        lines = lines.drop_duplicates("method").assign(label=lambda rows: rows["method"])
    handles = []
    for label, method in zip(lines["label"], lines["method"], strict=True):
        colour, mark, _ = method_looks[method]
        dash = dashes.get(label, "-")
        handles.append(Line2D([], [], color=colour, marker=mark, linewidth=1, linestyle=dash, label=visible(label)))
    handles.append(Line2D([], [], color=theme.ink, linestyle=DOTTED, linewidth=1, label="confidence = accuracy"))
    height = figure.get_figheight() + add_title(figure, f"{table}: accuracy of predictions by their confidence")
    figure.set_figheight(height + add_legend(figure, handles, handle=SAMPLE))
    return figure


def _draw(axes: Axes, bins: pd.DataFrame, look: tuple, dash: Dash) -> float:
    """Draw the bins of a cell, and return the lowest confidence."""
    bins = bins[bins["rows"] >= LEAST]
    colour, mark, _ = look
    x, y = bins["confidence"] / bins["rows"], bins["right"] / bins["rows"]
    axes.plot(x, y, color=colour, marker=mark, markersize=4, linewidth=1, linestyle=dash)
    return float(x.min()) if len(x) else 1.0
