"""Draw compare.png: a tree of the runs, a heat map of their overlaps, and each run's allocation to its layers.

The three panels share their rows; a row is a run.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from prunebert.errors import visible
from prunebert.system.names import brief

SQUARE = 0.36  # side of a square of the heat map, in inches
MIN_BRIGHTEST = 0.2  # the brightest colour means at least this overlap, or noise would look strong
MAX_WRITTEN = 16  # up to this many runs, the values are written into the squares
MAX_HEIGHT = 24.0  # inches of the rows; the squares of more runs are smaller
LEAST_NAMED = 0.08  # inches; rows that are lower have numbers in place of names
MAX_NAME = 60  # characters of a run's name


def png(comparison: dict[str, Any]) -> bytes:
    """Return the picture of what comparison.comparison returned.

    Rows that are too low for a name are numbered from the top. The k-th of them is the k-th run of "order".
    """
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():  # a $ in a name is no formula
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box
        return _png(comparison)


def _png(comparison: dict[str, Any]) -> bytes:
    order = comparison["order"]
    names = [brief(visible(comparison["labels"][i]), MAX_NAME) for i in order]
    overlaps = np.array(comparison["beyond_chance"], dtype=float)[np.ix_(order, order)]
    np.fill_diagonal(overlaps, np.nan)
    allocations, columns = relative_allocations([comparison["runs"][i] for i in order])
    side = min(SQUARE, MAX_HEIGHT / len(names))
    font = 8.0 if side == SQUARE else 72 * side * 0.7
    height, width = side * len(names), min(SQUARE, MAX_HEIGHT / len(columns)) * max(len(columns), 6)
    panels = [1.2, max(height, 6 * SQUARE), width]
    longest = 0.09 * max(map(len, names)) * font / 8 if side >= LEAST_NAMED else 0.5
    figure = Figure(figsize=(sum(panels) + longest + 0.6, height + longest + 1.8), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=panels, height_ratios=[height, 0.12])
    tree, heat_map, layers = (figure.add_subplot(grid[0, i]) for i in range(3))
    _draw_tree(tree, comparison["linkage"], order)
    low, high = np.nanmin(overlaps, initial=0.0), np.nanmax(overlaps, initial=MIN_BRIGHTEST)
    image = heat_map.imshow(overlaps, cmap="viridis", aspect="auto", vmin=low, vmax=high)
    shown = names if side >= LEAST_NAMED else []
    _label(heat_map, shown, shown, "overlap beyond chance\n(0: as by chance, 1: nested)", font)
    if not shown:
        ticks = range(49, len(names), 50)
        heat_map.set_yticks(ticks, [f"row {k + 1}" for k in ticks], fontsize=8)
        heat_map.set_xlabel('row k is the k-th run of "order" in compare.json', fontsize=8)
    if len(names) <= MAX_WRITTEN:
        _write_values(heat_map, overlaps, image)
    figure.colorbar(image, cax=figure.add_subplot(grid[1, 1]), orientation="horizontal")
    limit = max(1.0, np.nanmax(np.abs(allocations), initial=0.0))
    image = layers.imshow(allocations, cmap="RdBu_r", aspect="auto", vmin=-limit, vmax=limit)
    parts = [brief(visible(column), MAX_NAME) for column in columns]
    _label(layers, parts, [], "remaining fraction of a layer\nrelative to the whole run")
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


def _draw_tree(axes: Axes, linkage: list[list[float]], order: list[int]) -> None:
    """Draw the dendrogram with its leaves beside the rows of the heat map."""
    leaves = len(order)
    nodes = {leaf: (0.0, 10 * row + 5.0) for row, leaf in enumerate(order)}  # distance, position
    segments = []
    for number, (first, second, distance, _) in enumerate(linkage):
        (x, y), (other_x, other_y) = nodes[int(first)], nodes[int(second)]
        segments.append([(x, y), (distance, y), (distance, other_y), (other_x, other_y)])
        nodes[leaves + number] = (distance, (y + other_y) / 2)
    axes.add_collection(LineCollection(segments, colors="0.3", linewidths=min(1.0, 100 / leaves)))
    axes.autoscale_view()
    axes.set_ylim(10 * leaves, 0)
    axes.invert_xaxis()
    axes.set_yticks([])
    axes.set_xlabel("1 - overlap", fontsize=8)
    axes.tick_params(labelsize=7)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _label(axes: Axes, columns: list[str], rows: list[str], title: str, font: float = 8.0) -> None:
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=font)
    axes.set_yticks(range(len(rows)), rows, fontsize=font)
    axes.yaxis.tick_right()
    axes.set_facecolor("0.85")
    axes.set_title(title, fontsize=9)


def _write_values(axes: Axes, values: np.ndarray, image: Any) -> None:
    """Write every value into its square, white on dark colours and black on bright ones."""
    for (i, j), x in np.ndenumerate(values):
        if not np.isnan(x):
            dark = sum(image.cmap(image.norm(x))[:3]) < 1.5
            axes.text(j, i, f"{x:z.2f}", ha="center", va="center", fontsize=6, color="white" if dark else "black")
