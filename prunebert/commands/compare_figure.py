"""The picture of a comparison: a tree of the runs, a heat map of their overlaps and their layer budgets, row by row."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.cluster.hierarchy import dendrogram

CELL = 0.36  # inches
FAINT = 0.2  # the brightest colour stands for at least this overlap
WRITTEN = 16  # up to this many runs, a cell's value is written into it


def png(found: dict[str, Any]) -> bytes:
    """`found`: what overlap.comparison returns."""
    order = found["order"]
    names = [found["labels"][i] for i in order]
    overlaps = np.array(found["beyond_chance"], dtype=float)[np.ix_(order, order)]
    np.fill_diagonal(overlaps, np.nan)
    budgets, columns = relative_budgets([found["runs"][i] for i in order])
    panels = [1.2, CELL * max(len(names), 6), CELL * max(len(columns), 6)]
    inches = (sum(panels) + 0.09 * max(map(len, names)) + 0.6, CELL * len(names) + 0.09 * max(map(len, names)) + 1.8)
    figure = Figure(figsize=inches, layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=panels, height_ratios=[CELL * len(names), 0.12])
    tree, shared, budget = (figure.add_subplot(grid[0, i]) for i in range(3))
    _tree(tree, found["linkage"], len(names))
    low, high = np.nanmin(overlaps, initial=0.0), np.nanmax(overlaps, initial=FAINT)
    image = shared.imshow(overlaps, cmap="viridis", aspect="auto", vmin=low, vmax=high)
    _ticks(shared, names, names, "overlap beyond chance\n(0: as by chance, 1: nested)")
    if len(names) <= WRITTEN:
        _write(shared, overlaps, image)
    figure.colorbar(image, cax=figure.add_subplot(grid[1, 1]), orientation="horizontal")
    limit = max(1.0, np.nanmax(np.abs(budgets), initial=0.0))
    image = budget.imshow(budgets, cmap="RdBu_r", aspect="auto", vmin=-limit, vmax=limit)
    _ticks(budget, columns, [], "remaining fraction of a layer\nagainst that of the run")
    times = FuncFormatter(lambda x, _: f"×{2**x:.3g}")
    scale = figure.colorbar(image, cax=figure.add_subplot(grid[1, 2]), orientation="horizontal", format=times)
    scale.locator = MaxNLocator(8, integer=True)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def relative_budgets(runs: list[dict[str, Any]]) -> tuple[np.ndarray, list[str]]:
    """log₂ of (remaining fraction of a layer / of the run), a row a run; NaN where it has no mask or keeps nothing.

    Then what the columns are: the layers, and pooler and embeddings where a run has masks for them.
    """
    columns = sorted(
        {layer for run in runs for layer in run["layers"]}, key=lambda x: (int(x) if x.isdigit() else 999, x)
    )
    found = np.array([[run["layers"].get(c, 0) * run["size"] / run["kept"] for c in columns] for run in runs])
    return np.log2(found, where=found > 0, out=np.full_like(found, np.nan)), columns


def _tree(axes: Axes, linkage: list[list[float]], leaves: int) -> None:
    """The dendrogram, its leaves at the rows of the heat map."""
    drawn: Any = dendrogram(np.array(linkage), no_plot=True)
    for along, across in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        axes.plot(along, across, color="0.3", linewidth=1)
    axes.set_ylim(10 * leaves, 0)  # scipy's leaves lie at 5, 15, …
    axes.invert_xaxis()
    axes.set_yticks([])
    axes.set_xlabel("1 - overlap", fontsize=8)
    axes.tick_params(labelsize=7)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _ticks(axes: Axes, columns: list[str], rows: list[str], title: str) -> None:
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.yaxis.tick_right()
    axes.set_facecolor("0.85")
    axes.set_title(title, fontsize=9)


def _write(axes: Axes, values: np.ndarray, image: Any) -> None:
    """Every value into its cell, legible on its colour."""
    for (i, j), x in np.ndenumerate(values):
        if not np.isnan(x):
            dark = sum(image.cmap(image.norm(x))[:3]) < 1.5
            axes.text(j, i, f"{x:z.2f}", ha="center", va="center", fontsize=6, color="white" if dark else "black")
