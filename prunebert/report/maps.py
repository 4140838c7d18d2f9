"""Maps: where in the network weights are left, and how far two runs kept the same ones."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.analysis.overlap import comparison
from prunebert.errors import BadInput
from prunebert.report.style import WIDTH, Theme
from prunebert.runs import artifacts

KINDS = ("query", "key", "value", "attention-output", "intermediate", "output")
SHORT = ("query", "key", "value", "att. out", "interm.", "output")
ACROSS = 4
LONG = 40  # letters
NAMED = 16  # a matrix of at most so many rows has its numbers written in


def remaining(runs: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]], list[str]]:
    """Of the runs of one sparsity, by label and as a mean over its runs: layer × kind, and what is outside the layers
    (pooler, embeddings); and a line for each run whose topology.json cannot be read."""
    inside: dict[str, list[np.ndarray]] = {}
    outside: dict[str, list[dict[str, float]]] = {}
    unread = []
    for _, run in runs.iterrows():
        try:
            grid, rest = _grid(artifacts.topology(Path(run["directory"])))
        except (BadInput, KeyError, TypeError, ValueError, AttributeError) as error:
            unread.append(f"topology.json of {run['directory']} cannot be read: {error}")
            continue
        inside.setdefault(run["short"], []).append(grid)
        outside.setdefault(run["short"], []).append(rest)
    means = {label: np.mean(grids, axis=0) for label, grids in inside.items()}
    rests = {label: pd.DataFrame(rows).mean().to_dict() for label, rows in outside.items()}
    return means, rests, unread


def _grid(topology: dict[str, Any]) -> tuple[np.ndarray, dict[str, float]]:
    matrices = topology["matrices"].values()
    grid = np.full((1 + max(m["layer"] for m in matrices), len(KINDS)), np.nan)
    rest = {}
    for matrix in matrices:
        if matrix["layer"] < 0:
            rest[matrix["kind"]] = float(matrix["remaining"])
        else:
            grid[matrix["layer"], KINDS.index(matrix["kind"])] = matrix["remaining"]
    return grid, rest


def density(means: dict[str, np.ndarray], rests: dict[str, dict[str, float]], theme: Theme) -> Figure:
    """A panel a method, all on one scale: layers downwards, kinds across, the fraction of weights that remain."""
    down = -(-len(means) // ACROSS)
    layers = max(len(grid) for grid in means.values())
    across = min(ACROSS, len(means))
    figure = Figure(figsize=(WIDTH if across > 1 else WIDTH / 2, down * (1.15 + 0.16 * max(layers, 4)) + 0.4))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    top = max(np.nanmax(grid) for grid in means.values())
    for axes, (label, grid) in zip(panels, means.items(), strict=False):
        image = axes.imshow(grid, vmin=0, vmax=top, cmap="viridis", aspect="auto")
        axes.set_title("\n".join(textwrap.wrap(label, 23)))
        axes.set_xticks(range(len(KINDS)), SHORT, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
        axes.set_yticks(range(len(grid)) if len(grid) <= 12 else range(0, len(grid), 4))
        axes.spines[:].set_visible(False)
        told = [f"{kind} {share:.1%} left" for kind, share in rests[label].items() if share < 1]
        axes.set_xlabel(", ".join(told), fontsize=7)
        if len(grid) <= 4:
            _write(axes, grid, top, "{:.0%}" if top > 0.05 else "{:.1%}", 5.5)
    for axes in panels[len(means) :]:
        axes.remove()
    for axes in panels[: len(means) : across]:
        axes.set_ylabel("layer")
    bar = figure.colorbar(image, ax=list(panels[: len(means)]), label="weights remaining", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    return figure


def overlap(labels: list[str], values: np.ndarray, theme: Theme, diagonal: str = "") -> Figure:
    """Of every two runs: 1 the same weights, 0 as many in common as chance gives, below 0 fewer; on the diagonal, what
    `diagonal` says."""
    n, size = len(labels), 7 if len(labels) <= 24 else 5
    longest = max(map(len, labels))
    below = longest > LONG  # too long to stand beside the rows
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
    if n <= NAMED:
        for (row, column), value in np.ndenumerate(values):
            told = f"{round(value, 2) + 0:.2f}" if value == value else "–"  # no -0.00
            axes.text(column, row, told, ha="center", va="center", fontsize=6, color=_on(abs(value) > 0.6))
    figure.colorbar(image, ax=axes, label="overlap beyond chance", shrink=0.8).outline.set_visible(False)
    return figure


def over_seeds(labels: list[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Each label once, with the means over all pairs of different runs; NaN for a label of one run with itself."""
    names = list(dict.fromkeys(labels))
    pairs = pd.DataFrame(values).where(~np.eye(len(labels), dtype=bool))
    long = pairs.set_axis(labels, axis=0).rename_axis("a").reset_index().melt("a", var_name="b")
    long["b"] = [labels[i] for i in long["b"]]
    return names, long.pivot_table("value", "a", "b", dropna=False).reindex(names, columns=names).to_numpy()


def _write(axes: Any, grid: np.ndarray, top: float, form: str, size: float) -> None:
    for (row, column), value in np.ndenumerate(grid):
        if not np.isnan(value):
            colour = _on(value < 0.6 * top)
            axes.text(column, row, form.format(value), ha="center", va="center", fontsize=size, color=colour)


def _on(dark: bool) -> str:
    return "white" if dark else "black"


def overlap_table(runs: list[Path]) -> tuple[list[int], np.ndarray]:
    """Which of `runs` removed anything, and the beyond-chance overlap of every two of these."""
    found = comparison(runs)
    taken = [i for i, run in enumerate(runs) if str(run) not in found["left_out"]]
    return taken, np.asarray(found["beyond_chance"], dtype=float)
