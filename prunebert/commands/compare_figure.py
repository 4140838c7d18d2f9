"""Draw compare.png: a tree of the runs, a heat map of their overlaps, and each run's allocation to its layers.

Where runs predicted the same rows, a heat map of the agreement of their predictions follows.
The panels share their rows; a row is a run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from prunebert.drawing import scales
from prunebert.drawing.labels import POINTS, add_title, fit, text_width
from prunebert.drawing.methods import looks
from prunebert.drawing.png import png as png_of
from prunebert.drawing.theme import LIGHT
from prunebert.errors import visible

SQUARE = 0.36  # side of a square of the heat map, in inches
LEAST_SIDE = 6 * SQUARE  # of the heat map and of the layers, whose titles and scales are that wide
MAX_WRITTEN = 16  # up to this many runs, the values are written into the squares
MAX_HEIGHT = 24.0  # inches of the rows; the squares of more runs are smaller
LEAST_NAMED = 0.08  # inches; rows that are lower have numbers in place of names
NAME = 2.2  # inches of a name; a longer one takes two lines, or is shortened
MAX_LOG_RATIO = 6  # stronger favours have the colour of 2⁶
ALLOCATION_MAP = "RdBu_r"
NO_VALUE = LIGHT.grid  # the colour of a run with itself


def png(comparison: dict[str, Any]) -> bytes:
    """Return the picture of what comparison.comparison returned.

    Rows that are too low for a name are numbered from the top. The k-th of them is the k-th run of "order".
    """
    return png_of(lambda: draw(comparison))


def draw(comparison: dict[str, Any]) -> Figure:
    """Draw the tree, the heat map and the layers. See `png`."""
    order = comparison["order"]
    runs = [comparison["runs"][i] for i in order]
    overlaps = np.array(comparison["beyond_chance"], dtype=float)[np.ix_(order, order)]
    np.fill_diagonal(overlaps, np.nan)
    allocations, columns = relative_allocations(runs)
    side = min(SQUARE, MAX_HEIGHT / len(order))
    font = 8.0 if side == SQUARE else POINTS * side * 0.7
    lines = 2 if side == SQUARE else 1
    names = [fit(visible(comparison["labels"][i]), NAME * POINTS, font, lines) for i in order]
    named = side >= LEAST_NAMED
    parts = [fit(visible(column), NAME * POINTS, 8, 1) for column in columns]
    height, width = side * len(names), min(SQUARE, MAX_HEIGHT / len(columns)) * len(columns)
    panels = [1.2, max(height, LEAST_SIDE), max(width, LEAST_SIDE)]
    predictions = _predictions(comparison)
    panels += [max(height, LEAST_SIDE)] if predictions else []
    beside = max(text_width(line, font) for name in names for line in name.split("\n")) / POINTS if named else 0.6
    below = max(beside if named else 0.3, max(text_width(part, 8) for part in parts) / POINTS)
    figure = Figure(figsize=(sum(panels) + beside + 0.6, 1))
    title = add_title(figure, f"Masks of {len(names)} runs: overlap, and where the weights remain")
    figure.set_figheight(height + below + 1.4 + title)
    grid = figure.add_gridspec(2, len(panels), width_ratios=panels, height_ratios=[height, 0.12])
    tree, heat_map, layers = (figure.add_subplot(grid[0, i]) for i in range(3))
    _draw_tree(tree, comparison["linkage"], order)
    if named:
        method_looks = looks(run["method"] for run in runs)
        for row, run in enumerate(runs):
            colour, mark, _ = method_looks[run["method"]]
            size = min(6.0, POINTS * side * 0.5)
            tree.plot(0, 10 * row + 5, mark, color=colour, markersize=size, clip_on=False, zorder=3)
    low, high = scales.OVERLAP_LIMITS
    image = heat_map.imshow(overlaps, cmap=scales.OVERLAP_MAP, aspect="auto", vmin=low, vmax=high)
    _label(heat_map, names if named else [], names if named else [], "overlap beyond chance", font)
    heat_map.set_xlabel("0: as by chance, 1: one mask contains the other", fontsize=7)
    if not named:
        ticks = range(49, len(names), 50)
        heat_map.set_yticks(ticks, [f"row {k + 1}" for k in ticks], fontsize=8)
        heat_map.set_xlabel('row k is the k-th run of "order"\nin compare.json', fontsize=7)
    if len(names) <= MAX_WRITTEN:
        scales.write_values(heat_map, image, [["" if x != x else f"{x:z.2f}" for x in row] for row in overlaps], 6)
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[1, 1]), orientation="horizontal")
    bar.ax.tick_params(labelsize=7)
    limit = min(MAX_LOG_RATIO, max(1.0, np.nanmax(np.abs(allocations), initial=0.0)))
    image = layers.imshow(allocations, cmap=ALLOCATION_MAP, aspect="auto", vmin=-limit, vmax=limit)
    _label(layers, parts, [], "remaining fraction\n÷ that of the whole run")
    layers.set_xlabel("layer", fontsize=7)
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[1, 2]), orientation="horizontal", format=TIMES)
    bar.locator = MaxNLocator(4, integer=True)
    bar.ax.tick_params(labelsize=7)
    if predictions:
        heading, values, text = predictions
        values = values[np.ix_(order, order)]
        np.fill_diagonal(values, np.nan)
        agreements = figure.add_subplot(grid[0, 3])
        image = agreements.imshow(values, cmap=scales.OVERLAP_MAP, aspect="auto", vmin=low, vmax=high)
        _label(agreements, names if named else [], [], heading, font)
        agreements.set_xlabel(text, fontsize=7)
        if len(names) <= MAX_WRITTEN:
            scales.write_values(agreements, image, [["" if x != x else f"{x:z.2f}" for x in row] for row in values], 6)
        bar = figure.colorbar(image, cax=figure.add_subplot(grid[1, 3]), orientation="horizontal")
        bar.ax.tick_params(labelsize=7)
    return figure


def _predictions(comparison: dict[str, Any]) -> tuple[str, np.ndarray, str] | None:
    """Return the title, the square and the meaning of the agreement of predictions; None without predictions."""
    texts = {
        "beyond_accuracy": ("agreement of predictions\nbeyond accuracy", "0: as independent errors give, 1: the same"),
        "correlation": ("correlation of predictions", "Pearson's correlation"),
        "agreement": ("agreement of predictions", "fraction of rows with the same prediction"),
    }
    squares = comparison.get("predictions", {})
    for measure, (title, text) in texts.items():
        values = np.array(squares.get(measure, []), dtype=float)
        if values.size and not np.isnan(values[~np.eye(len(values), dtype=bool)]).all():
            return title, values, text
    return None


TIMES = FuncFormatter(lambda x, _: f"×{2**x:.3g}" if x >= 0 else f"×1/{2**-x:.3g}")  # of a log₂


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
    axes.add_collection(LineCollection(segments, colors=LIGHT.ink, linewidths=min(1.0, 100 / leaves)))
    axes.autoscale_view()
    axes.set_ylim(10 * leaves, 0)
    axes.invert_xaxis()
    axes.set_yticks([])
    axes.set_xlabel("1 - overlap", fontsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelsize=7)
    axes.spines["left"].set_visible(False)


def _label(axes: Axes, columns: list[str], rows: list[str], title: str, font: float = 8.0) -> None:
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=font)
    axes.set_yticks(range(len(rows)), rows, fontsize=font)
    axes.yaxis.tick_right()
    axes.set_facecolor(NO_VALUE)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8)
