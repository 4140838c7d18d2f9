"""Draw where weights remain in the network, and how far the masks of two runs overlap."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.analysis.comparison import beyond_chance
from prunebert.report.figures.style import WIDTH, Theme
from prunebert.report.topologies import KINDS
from prunebert.system.names import brief

SHORT = ("query", "key", "value", "att. out", "interm.", "output")
ACROSS = 4
MAX_TITLE = 100  # letters of a panel's title
MAX_LABEL = 40  # letters; longer labels go below the matrix
MAX_NUMBERED = 16  # rows; a larger overlap matrix has no numbers in its cells


def remaining(runs: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]], list[str]]:
    """Return the fraction of weights that remains, as means over the runs of each label.

    Args:
        runs: the runs of one sparsity.

    Returns:
        By label, an array layer × kind; by label, the fractions outside the layers (pooler, embeddings); and a message
        for each run whose topology.json cannot be read.
    """
    inside: dict[str, list[np.ndarray]] = {}
    outside: dict[str, list[dict[str, float]]] = {}
    messages = []
    for label, directory, topology in zip(runs["short_label"], runs["directory"], runs["topology"], strict=True):
        if isinstance(topology.remaining, str):
            messages.append(f"topology.json of {directory} cannot be read: {topology.remaining}")
            continue
        grid, others = topology.remaining
        inside.setdefault(label, []).append(grid)
        outside.setdefault(label, []).append(others)
    layer_means = {label: np.mean(grids, axis=0) for label, grids in inside.items()}
    outside_means = {label: pd.DataFrame(rows).mean().to_dict() for label, rows in outside.items()}
    return layer_means, outside_means, messages


def draw_density(
    layer_means: dict[str, np.ndarray], outside_means: dict[str, dict[str, float]], theme: Theme
) -> Figure:
    """Draw a panel per label with the remaining fraction by layer (down) and kind (across), all on one scale.

    Args:
        layer_means: by label, an array layer × kind.
        outside_means: by label, the fractions outside the layers; they are written below the panel.
        theme: the figure's colours.
    """
    down = -(-len(layer_means) // ACROSS)
    layers = max(len(grid) for grid in layer_means.values())
    across = min(ACROSS, len(layer_means))
    figure = Figure(figsize=(WIDTH if across > 1 else WIDTH / 2, down * (1.15 + 0.16 * max(layers, 4)) + 0.4))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    top = max(np.nanmax(grid) for grid in layer_means.values())
    for axes, (label, grid) in zip(panels, layer_means.items(), strict=False):
        image = axes.imshow(grid, vmin=0, vmax=top, cmap="viridis", aspect="auto")
        axes.set_title("\n".join(textwrap.wrap(brief(label, MAX_TITLE), 23)))
        axes.set_xticks(range(len(KINDS)), SHORT, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
        axes.set_yticks(range(len(grid)) if len(grid) <= 12 else range(0, len(grid), 4))
        axes.spines[:].set_visible(False)
        pruned = [f"{kind} {fraction:.1%} left" for kind, fraction in outside_means[label].items() if fraction < 1]
        axes.set_xlabel(", ".join(pruned), fontsize=7)
        if len(grid) <= 4:
            _write_numbers(axes, grid, top, "{:.0%}" if top > 0.05 else "{:.1%}", 5.5)
    for axes in panels[len(layer_means) :]:
        axes.remove()
    for i, axes in enumerate(panels[: len(layer_means)]):
        axes.tick_params(labelbottom=i + across >= len(layer_means), labelleft=i % across == 0)
    for axes in panels[: len(layer_means) : across]:
        axes.set_ylabel("layer")
    bar = figure.colorbar(image, ax=list(panels[: len(layer_means)]), label="weights remaining", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    return figure


def draw_overlap(labels: list[str], values: np.ndarray, theme: Theme, diagonal: str = "") -> Figure:
    """Draw the overlap beyond chance of every two runs, or rows, as a matrix.

    Args:
        labels: the names of rows and columns.
        values: the matrix; 1 for equal masks, 0 for as many common weights as chance gives, below 0 for fewer.
        theme: the figure's colours.
        diagonal: what the diagonal shows; it is written below the matrix.
    """
    n = len(labels)
    size = 7 if n <= 24 else 5
    longest = max(map(len, labels))
    below = longest > MAX_LABEL
    side = min(WIDTH - 2.4, 1.2 + 0.36 * n)
    numbers = [str(i) for i in range(1, n + 1)]
    figure = Figure(figsize=(WIDTH if n > 6 or below else side + 2.4, side + (0.2 if below else 0.05 * longest)))
    axes = figure.subplots()
    if below:
        lines = ["\n".join(textwrap.wrap(f"{i}  {label}", 110)) for i, label in enumerate(labels, 1)]
        figure.set_figheight(side + 0.2 + 0.14 * sum(line.count("\n") + 1 for line in lines))
        empty = [Line2D([], [], linestyle="") for _ in lines]
        figure.legend(empty, lines, loc="outside lower left", handlelength=0, fontsize=6)
    image = axes.imshow(values, vmin=-1, vmax=1, cmap="PuOr_r")
    slope: dict[str, Any] = {} if below else {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(n), numbers if below else labels, fontsize=size, **slope)
    axes.set_yticks(range(n), numbers if below else labels, fontsize=size)
    axes.set_xlabel(diagonal and f"on the diagonal: {diagonal}", fontsize=7)
    axes.spines[:].set_visible(False)
    if n <= MAX_NUMBERED:
        for (row, column), value in np.ndenumerate(values):
            text = f"{round(value, 2) + 0:.2f}" if value == value else "–"  # + 0 turns -0.00 into 0.00
            colour = _text_colour(abs(value) > 0.6)
            _write(axes, column, row, text, 6, colour)
    figure.colorbar(image, ax=axes, label="overlap beyond chance", shrink=0.8).outline.set_visible(False)
    return figure


def over_seeds(labels: list[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return each label once, and the mean overlap of all pairs of different runs for every two labels.

    A label with only one run has NaN on the diagonal.
    """
    names = list(dict.fromkeys(labels))
    membership = np.array([[label == name for label in labels] for name in names])
    pairs = ~(np.isnan(values) | np.eye(len(labels), dtype=bool))
    overlaps = [[values[np.ix_(a, b)][pairs[np.ix_(a, b)]] for b in membership] for a in membership]
    return names, np.array([[pair.mean() if pair.size else np.nan for pair in row] for row in overlaps])


def _write_numbers(axes: Any, grid: np.ndarray, top: float, form: str, size: float) -> None:
    """Write each value into its cell, in a colour that stands out. `top` is the value of the brightest cell."""
    for (row, column), value in np.ndenumerate(grid):
        if not np.isnan(value):
            colour = _text_colour(value < 0.6 * top)
            _write(axes, column, row, form.format(value), size, colour)


def _write(axes: Any, column: int, row: int, text: str, size: float, colour: str) -> None:
    """Write into a cell. The layout of the figure need not measure what lies inside the panel."""
    axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour).set_in_layout(False)


def _text_colour(dark: bool) -> str:
    return "white" if dark else "black"


def overlap_table(runs: dict[Path, dict[str, Any] | None]) -> tuple[list[int], np.ndarray, list[str]]:
    """Return the indices of the runs that removed weights, their square of overlaps, and why masks cannot be read.

    runs: by directory, the run's verified result; None to read it.
    """
    directories, values, messages = beyond_chance(runs)
    index = {run: i for i, run in enumerate(runs)}
    return [index[run] for run in directories], values, messages
