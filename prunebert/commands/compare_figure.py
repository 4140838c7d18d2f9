"""Draw compare.png: a tree of the runs, a heat map of their overlaps, and each run's allocation to its layers.

The three panels share their rows; a row is a run.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.cluster.hierarchy import dendrogram

SQUARE = 0.36  # side of a square of the heat map, in inches
MIN_BRIGHTEST = 0.2  # the brightest colour means at least this overlap, or noise would look strong
MAX_WRITTEN = 16  # up to this many runs, the values are written into the squares


def png(comparison: dict[str, Any]) -> bytes:
    """Return the picture of what overlap.comparison returned."""
    order = comparison["order"]
    names = [comparison["labels"][i] for i in order]
    overlaps = np.array(comparison["beyond_chance"], dtype=float)[np.ix_(order, order)]
    np.fill_diagonal(overlaps, np.nan)
    allocations, columns = relative_allocations([comparison["runs"][i] for i in order])
    panels = [1.2, SQUARE * max(len(names), 6), SQUARE * max(len(columns), 6)]
    longest = 0.09 * max(map(len, names))
    inches = (sum(panels) + longest + 0.6, SQUARE * len(names) + longest + 1.8)
    figure = Figure(figsize=inches, layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=panels, height_ratios=[SQUARE * len(names), 0.12])
    tree, heat_map, layers = (figure.add_subplot(grid[0, i]) for i in range(3))
    _draw_tree(tree, comparison["linkage"], len(names))
    low, high = np.nanmin(overlaps, initial=0.0), np.nanmax(overlaps, initial=MIN_BRIGHTEST)
    image = heat_map.imshow(overlaps, cmap="viridis", aspect="auto", vmin=low, vmax=high)
    _label(heat_map, names, names, "overlap beyond chance\n(0: as by chance, 1: nested)")
    if len(names) <= MAX_WRITTEN:
        _write_values(heat_map, overlaps, image)
    figure.colorbar(image, cax=figure.add_subplot(grid[1, 1]), orientation="horizontal")
    limit = max(1.0, np.nanmax(np.abs(allocations), initial=0.0))
    image = layers.imshow(allocations, cmap="RdBu_r", aspect="auto", vmin=-limit, vmax=limit)
    _label(layers, columns, [], "remaining fraction of a layer\nrelative to the whole run")
    times = FuncFormatter(lambda x, _: f"×{2**x:.3g}")
    scale = figure.colorbar(image, cax=figure.add_subplot(grid[1, 2]), orientation="horizontal", format=times)
    scale.locator = MaxNLocator(8, integer=True)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def relative_allocations(runs: list[dict[str, Any]]) -> tuple[np.ndarray, list[str]]:
    """Return how every run favours its layers, and the names of the columns.

    Returns:
        [runs, columns] log₂ of (remaining fraction of the layer / of the run). NaN if the run has no mask there or
        keeps nothing.
        The columns: the layers, and pooler and embeddings if a run has masks for them.
    """
    columns = sorted(
        {layer for run in runs for layer in run["layers"]}, key=lambda x: (int(x) if x.isdigit() else 999, x)
    )
    ratios = np.array([[run["layers"].get(c, 0) * run["size"] / run["kept"] for c in columns] for run in runs])
    return np.log2(ratios, where=ratios > 0, out=np.full_like(ratios, np.nan)), columns


def _draw_tree(axes: Axes, linkage: list[list[float]], leaves: int) -> None:
    """Draw the dendrogram with its leaves beside the rows of the heat map."""
    tree: Any = dendrogram(np.array(linkage), no_plot=True)
    for distances, positions in zip(tree["dcoord"], tree["icoord"], strict=True):
        axes.plot(distances, positions, color="0.3", linewidth=1)
    axes.set_ylim(10 * leaves, 0)  # scipy puts the leaves at 5, 15, …
    axes.invert_xaxis()
    axes.set_yticks([])
    axes.set_xlabel("1 - overlap", fontsize=8)
    axes.tick_params(labelsize=7)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _label(axes: Axes, columns: list[str], rows: list[str], title: str) -> None:
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.yaxis.tick_right()
    axes.set_facecolor("0.85")
    axes.set_title(title, fontsize=9)


def _write_values(axes: Axes, values: np.ndarray, image: Any) -> None:
    """Write every value into its square, white on dark colours and black on bright ones."""
    for (i, j), x in np.ndenumerate(values):
        if not np.isnan(x):
            dark = sum(image.cmap(image.norm(x))[:3]) < 1.5
            axes.text(j, i, f"{x:z.2f}", ha="center", va="center", fontsize=6, color="white" if dark else "black")
