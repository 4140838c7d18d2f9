"""Draw where weights remain in the network, and how far the masks of two runs overlap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.analysis.comparison import beyond_chance
from prunebert.drawing import scales
from prunebert.drawing.labels import POINTS, add_title, fit, text_width
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.report.figures.legend import add_legend
from prunebert.report.topologies import KINDS, MULTIPLIER

SHORT = ("query", "key", "value", "att. out", "interm.", "mult.", "output")  # KINDS on an axis
ACROSS = 4  # panels beside each other
PANEL = 1.32  # inches, the width of one of them without its labels
PANEL_TITLE = 7.0  # size of its font in points
CELL_TEXT = 5.5  # size of the numbers in cells in points
ROW = 0.16  # inches, the height of a layer
LEAST_ROW = 0.1  # the same without numbers
MAX_NUMBERED_LAYERS = 12
MAX_NUMBERS = 150  # cells of a figure; numbers in more of them take too long to draw
MAX_LABEL = 190.0  # points; longer labels go below the matrix
MAX_NUMBERED = 16  # rows; a larger overlap matrix has no numbers in its cells
CELL = 0.36  # inches, a cell of the overlap matrix
MAX_SIDE = 10.0  # inches of an overlap matrix
LEAST_NAMED = 6.0  # points; rows that are lower are not all named


def remaining(runs: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]], list[str]]:
    """Return the fraction of weights that remains, as means over the runs of each label.

    Args:
        runs: the runs of one sparsity.

    Returns:
        By label, an array layer × KINDS; by label, the fractions outside the layers (pooler, embeddings); and a message
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
    layer_means: dict[str, np.ndarray], outside_means: dict[str, dict[str, float]], *, table: str, theme: Theme
) -> Figure:
    """Draw a panel per label with the remaining fraction by layer (down) and kind (across).

    The colours mean the same in all panels and in the figures of all sparsities and tasks, see `scales.density_norm`.

    Args:
        layer_means: by label, an array layer × KINDS. NaN: the network has no such matrix.
        outside_means: by label, the fractions outside the layers; they are written below the panel.
        table: the name of the table with the sparsity, for the title.
        theme: the figure's colours.
    """
    kinds = _shown_kinds(layer_means)
    layer_means = {label: grid[:, kinds] for label, grid in layer_means.items()}
    down, across = -(-len(layer_means) // ACROSS), min(ACROSS, len(layer_means))
    layers = max(len(grid) for grid in layer_means.values())
    numbered = layers <= MAX_NUMBERED_LAYERS and sum(grid.size for grid in layer_means.values()) <= MAX_NUMBERS
    width = WIDTH if across > 2 else 0.7 * WIDTH
    figure = Figure(figsize=(width, 1))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    panel_width = (PANEL if across > 2 else 1.5) * POINTS
    names = [fit(label, panel_width, PANEL_TITLE) for label in layer_means]
    notes = [fit(_outside(outside_means[label]), panel_width, 6) for label in layer_means]
    for axes, name, note, grid in zip(panels, names, notes, layer_means.values(), strict=False):
        image = axes.imshow(grid, norm=scales.density_norm(), cmap=scales.DENSITY_MAP, aspect="auto")
        axes.set_title(name, fontsize=PANEL_TITLE)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(note, fontsize=6)
        if numbered:
            texts = [["" if np.isnan(value) else scales.percent(value) for value in row] for row in grid]
            scales.write_values(axes, image, texts, CELL_TEXT)
    for axes in panels[len(layer_means) :]:
        axes.remove()
    for i, (axes, grid) in enumerate(zip(panels, layer_means.values(), strict=False)):
        axes.set_xticks(range(len(kinds)) if i + across >= len(layer_means) else [])
        axes.set_yticks(range(0, len(grid), 1 if len(grid) <= 12 else 4) if i % across == 0 else [])
        axes.tick_params(labelsize=7)
        if len(axes.get_xticks()):
            axes.set_xticklabels([SHORT[kind] for kind in kinds], rotation=90)
    for axes in panels[: len(layer_means) : across]:
        axes.set_ylabel("layer", fontsize=7)
    lines = (
        max(text.count("\n") + 1 for text in names) * 0.13 + max(text.count("\n") + bool(text) for text in notes) * 0.11
    )
    height = down * (0.25 + lines + (ROW if numbered else LEAST_ROW) * max(layers, 4)) + 0.6
    title = add_title(figure, f"{table}: weights that remain, in %")
    figure.set_figheight(max(height, 1.9) + title)
    bar = figure.colorbar(image, ax=list(panels[: len(layer_means)]), aspect=30, pad=0.02)
    ticks = scales.density_ticks((height - 0.6) * 0.8 * POINTS)
    bar.set_ticks(ticks, labels=[scales.percent(tick) for tick in ticks])
    bar.ax.tick_params(labelsize=7)
    bar.set_label(fit("remaining, %; one scale in every figure", max(height, 1.9) * 0.8 * POINTS, 7), fontsize=7)
    bar.outline.set_visible(False)
    return figure


def _shown_kinds(layer_means: dict[str, np.ndarray]) -> list[int]:
    """Return the columns to draw: of all KINDS, but of the multiplier only if a network has it."""
    multiplier = KINDS.index(MULTIPLIER)
    gated = any((~np.isnan(grid[:, multiplier])).any() for grid in layer_means.values())
    return [kind for kind in range(len(KINDS)) if kind != multiplier or gated]


def _outside(fractions: dict[str, float]) -> str:
    """Return what is pruned outside the layers."""
    return ", ".join(f"{kind} {fraction:.1%} left" for kind, fraction in fractions.items() if fraction < 1)


@dataclass(frozen=True)
class Look:
    """What a matrix of every two runs shows, in words."""

    measure: str  # its name
    title: str  # after the table's name
    scale: str  # beside the colours
    caption: str = ""  # below the figure on a page


OVERLAP = Look("beyond_chance", "overlap of masks", "overlap beyond chance")


def draw_overlap(
    labels: list[str],
    values: np.ndarray,
    *,
    table: str,
    theme: Theme,
    diagonal: str = "",
    look: Look = OVERLAP,
) -> Figure:
    """Draw the overlap beyond chance, or another measure from -1 to 1, of every two runs, or rows, as a matrix.

    Long names are listed below the matrix. A matrix of so many rows that their names would touch names every k-th row
    by its number.

    Args:
        labels: the names of rows and columns.
        values: the matrix; 1 for equal masks, 0 for as many common weights as chance gives, below 0 for fewer.
        table: the name of the table with the sparsity, for the title.
        theme: the figure's colours.
        diagonal: what the diagonal shows; it is written below the matrix.
        look: what is shown.
    """
    n = len(labels)
    side = min(MAX_SIDE, max(min(WIDTH - 2.4, CELL * n), n * LEAST_NAMED / POINTS))
    row = side / n * POINTS
    size = min(7.0, row * 0.9)
    longest = max(text_width(label, size) for label in labels)
    below = longest > MAX_LABEL or row < LEAST_NAMED or longest / POINTS + side > WIDTH - 1
    beside = 0.3 if below else longest / POINTS
    figure = Figure(figsize=(max(side + beside + 1.1, 0.6 * WIDTH), 1))
    axes = figure.subplots()
    step = max(1, -(-int(LEAST_NAMED) // max(1, int(row))))
    ticks = range(0, n, step) if below else range(n)
    names = [str(i + 1) for i in ticks] if below else labels
    image = axes.imshow(values, vmin=scales.OVERLAP_LIMITS[0], vmax=scales.OVERLAP_LIMITS[1], cmap=scales.OVERLAP_MAP)
    axes.set_xticks(ticks, names, fontsize=size, rotation=90)
    axes.set_yticks(ticks, names, fontsize=size)
    axes.set_xlabel(fit(diagonal and f"on the diagonal: {diagonal}", max(side, 2.3) * POINTS, 7), fontsize=7)
    axes.spines[:].set_visible(False)
    if n <= MAX_NUMBERED:  # + 0 turns -0.00 into 0.00
        texts = [[f"{round(value, 2) + 0:.2f}" if value == value else "–" for value in line] for line in values]
        scales.write_values(axes, image, texts, 6)
    bar = figure.colorbar(image, ax=axes, shrink=0.8 if n > 4 else 1)
    bar.set_label(fit(look.scale, max(side, 0.8) * 0.8 * POINTS, 7), fontsize=7)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    height = max(side, 0.8) + beside + 0.5 + add_title(figure, f"{table}: {look.title}")
    if below:
        entries = [Line2D([], [], linestyle="", label=f"{i}: {label}") for i, label in enumerate(labels, 1)]
        height += add_legend(figure, entries, size=6, handle=0)
    figure.set_figheight(height)
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


def overlap_table(runs: dict[Path, dict[str, Any] | None]) -> tuple[list[int], np.ndarray, list[str]]:
    """Return the indices of the runs that removed weights, their square of overlaps, and why masks cannot be read.

    runs: by directory, the run's verified result; None to read it.
    """
    directories, values, messages = beyond_chance(runs)
    index = {run: i for i, run in enumerate(runs)}
    return [index[run] for run in directories], values, messages
