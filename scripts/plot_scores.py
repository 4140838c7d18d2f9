"""Draw the README's picture: mean accuracy against the fraction of weights removed, once for each theme.

python scripts/plot_scores.py results/tiny docs/images

Writes score-light.png and score-dark.png. A point is the mean over tasks of each task's mean over seeds, as in the
table of docs/results/scores.md. Tasks with another metric than accuracy are left out.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.pyplot import rc_context
from matplotlib.ticker import MultipleLocator, PercentFormatter
from PIL import Image
from results_files import read
from results_rows import COLUMNS, SHOWN, row_names

from prunebert.drawing.methods import METHODS
from prunebert.drawing.theme import DARK, LIGHT, Theme
from prunebert.report.figures.scales import sparsity_axis

METRIC = "accuracy"
NAMES = {"smp": "SMP", "gmp": "GMP"}
SIZE = (7.0, 3.7)  # inches
COLOURS = 64
DPI = 200  # twice the 700 pixels at which the README shows it
LABEL_GAP = 0.013  # of accuracy, between the labels at the ends of two lines
MARGIN = 0.012  # of accuracy, above and below all lines


def points(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy by label (rows) and sparsity (columns).

    Raises:
        ValueError: a method did not run on every task at every sparsity.
    """
    runs = runs[runs["metric"] == METRIC]
    runs = runs.assign(label=row_names(runs))
    runs = runs[runs["label"].isin(("dense", *SHOWN))]
    means = runs.groupby(["label", "sparsity", "task"])["score"].mean().unstack("task")
    if means.isna().any(axis=None):
        raise ValueError(f"a task is missing: {means[means.isna().any(axis=1)].index.tolist()}")
    return means.mean(axis=1).unstack("sparsity")


def label_heights(ends: dict[str, float]) -> dict[str, float]:
    """Return a height for each line's label: near the line's end, and LABEL_GAP or more above the next lower one."""
    heights: dict[str, float] = {}
    lowest = float("-inf")
    for label, end in sorted(ends.items(), key=lambda item: item[1]):
        heights[label] = lowest = max(end, lowest + LABEL_GAP)
    return heights


def draw(runs: pd.DataFrame, theme: Theme) -> Figure:
    """Return the picture in a theme's colours."""
    means = points(runs)
    accuracy_runs = runs[runs["metric"] == METRIC]
    by_task = accuracy_runs.groupby("task")
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    pruned = means.loc[list(SHOWN)].drop(columns=0.0, errors="ignore")
    sparsity_axis(axes, list(pruned.columns))
    for label, line in pruned.iterrows():
        colour, mark, style = METHODS[str(label)]
        axes.plot(line.index, line, color=colour, marker=mark, linestyle=style, linewidth=2, markersize=6)
    for label, height in label_heights(pruned.iloc[:, -1].to_dict()).items():
        axes.annotate(
            NAMES.get(label, label),
            (1, height),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            verticalalignment="center",
            color=METHODS[label][0],
            fontweight="bold",
        )
    _level(axes, means.loc["dense", 0.0], "dense: nothing removed", 4, theme)
    constant_score = by_task["majority_score"].first().mean()
    _level(axes, constant_score, "constant baseline: always the commonest label", -12, theme)
    seeds = accuracy_runs[accuracy_runs["label"] != "dense"]["seed"].nunique()
    axes.set_title(f"Mean accuracy on {len(by_task)} tasks, 2-layer BERT, {seeds} seeds", loc="left", fontweight="bold")
    axes.set_xlabel("fraction of the prunable weights removed (encoder and word embeddings)")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_locator(MultipleLocator(0.05))
    low, high = axes.get_ylim()
    axes.set_ylim(low - MARGIN, high + MARGIN)  # room for the labels of the horizontal lines
    axes.grid(axis="y", linewidth=0.5)
    return figure


def _level(axes: Axes, height: float, text: str, offset: float, theme: Theme) -> None:
    """Draw a horizontal line, and its label `offset` points above it, at the left."""
    axes.axhline(height, color=theme.ink, linewidth=1, linestyle="--", alpha=0.7)
    position = ("axes fraction", "data")
    axes.annotate(text, (0, height), (4, offset), xycoords=position, textcoords="offset points", fontsize=9)


def main() -> None:
    """Read the runs and write both pictures."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    runs = read(sys.argv[1], COLUMNS)
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for theme in (LIGHT, DARK):
        with rc_context(theme.rc() | {"font.size": 10, "axes.titlesize": 11}):
            picture = BytesIO()
            draw(runs, theme).savefig(picture, dpi=DPI)
        few_colours = Image.open(picture).convert("RGB").quantize(COLOURS)  # a third of the bytes
        few_colours.save(folder / f"score-{theme.name}.png", optimize=True)


if __name__ == "__main__":
    main()
