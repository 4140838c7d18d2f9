"""Draw the second singular value of every mask, relative to random masks, by layer and kind."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prunebert.drawing import scales
from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.report.figures.maps import (
    ACROSS,
    CELL_TEXT,
    LEAST_ROW,
    MAX_NUMBERED_LAYERS,
    MAX_NUMBERS,
    PANEL,
    PANEL_TITLE,
    ROW,
    SHORT,
)

SHOWN = {"unweighted ratio": "", "weighted ratio": ", weighted"}  # a panel each


def means(runs: pd.DataFrame) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Return the numbers of `topologies.Topology.spectra`, as means over the runs of each label.

    runs: the runs of one sparsity. Those of earlier versions lack the numbers and are left out.

    Returns:
        The numbers by label and name; and a message for each run whose numbers cannot be read.
    """
    found: dict[str, list[Mapping[str, np.ndarray]]] = {}
    messages = []
    for label, directory, topology in zip(runs["short_label"], runs["directory"], runs["topology"], strict=True):
        if isinstance(topology.spectra, str):
            messages.append(f"the spectra in topology.json of {directory} cannot be read: {topology.spectra}")
        elif topology.spectra:
            found.setdefault(label, []).append(topology.spectra)
    label_means = {}
    for label, spectra in found.items():
        common = [name for name in spectra[0] if all(name in each for each in spectra)]
        label_means[label] = {name: np.mean([each[name] for each in spectra], axis=0) for name in common}
    return label_means, messages


def is_drawn(grids: Mapping[str, np.ndarray]) -> bool:
    """Return whether `draw_spectra` has something to draw of a label."""
    return any(name in grids and not np.isnan(grids[name]).all() for name in SHOWN)


def draw_spectra(label_means: dict[str, dict[str, np.ndarray]], *, table: str, theme: Theme) -> Figure:
    """Draw two panels per label, unweighted and weighted: σ₂ ÷ that of random masks by layer (down) and kind (across).

    A colour means the same in all figures, see `scales.ratio_norm`.

    Args:
        label_means: see `means`.
        table: the name of the table with the sparsity, for the title.
        theme: the figure's colours.
    """
    panels = [
        (f"{label}{words}", grids[name])
        for label, grids in label_means.items()
        for name, words in SHOWN.items()
        if is_drawn({name: grids[name]} if name in grids else {})
    ]
    used = np.any([(~np.isnan(grid)).any(0) for _, grid in panels], axis=0)
    panels = [(name, grid[:, used]) for name, grid in panels]
    kinds = [name for name, shown in zip(SHORT, used, strict=True) if shown]
    down, across = -(-len(panels) // ACROSS), min(ACROSS, len(panels))
    layers = max(len(grid) for _, grid in panels)
    numbered = layers <= MAX_NUMBERED_LAYERS and sum(grid.size for _, grid in panels) <= MAX_NUMBERS
    width = WIDTH if across > 2 else 0.7 * WIDTH
    figure = Figure(figsize=(width, 1))
    axes_grid = figure.subplots(down, across, squeeze=False).ravel()
    titles = [fit(name, (PANEL if across > 2 else 1.5) * POINTS, PANEL_TITLE) for name, _ in panels]
    for i, (axes, title, (_, grid)) in enumerate(zip(axes_grid, titles, panels, strict=False)):
        image = axes.imshow(grid, norm=scales.ratio_norm(), cmap=scales.OVERLAP_MAP, aspect="auto")
        axes.set_title(title, fontsize=PANEL_TITLE)
        axes.spines[:].set_visible(False)
        if numbered:
            texts = [["" if np.isnan(value) else f"{value:.1f}" for value in row] for row in grid]
            scales.write_values(axes, image, texts, CELL_TEXT)
        axes.set_xticks(range(len(kinds)) if i + across >= len(panels) else [])
        axes.set_yticks(range(0, len(grid), 1 if len(grid) <= 12 else 4) if i % across == 0 else [])
        axes.tick_params(labelsize=7)
        if len(axes.get_xticks()):
            axes.set_xticklabels(kinds, rotation=90)
        if i % across == 0:
            axes.set_ylabel("layer", fontsize=7)
    for axes in axes_grid[len(panels) :]:
        axes.remove()
    lines = max(title.count("\n") + 1 for title in titles) * 0.13
    height = max(1.9, down * (0.25 + lines + (ROW if numbered else LEAST_ROW) * max(layers, 4)) + 0.6)
    figure.set_figheight(height + add_title(figure, f"{table}: σ₂ of masks ÷ that of random masks"))
    bar = figure.colorbar(image, ax=list(axes_grid[: len(panels)]), aspect=30, pad=0.02, extend="both")
    bar.set_ticks(scales.RATIO_TICKS, labels=[f"{tick:g}" for tick in scales.RATIO_TICKS])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=7)
    bar.set_label(fit("1: as of a random mask", height * 0.8 * POINTS, 7), fontsize=7)
    bar.outline.set_visible(False)
    return figure
