"""Plot score against the number of steps: scripts/plot_steps.py results/budget OUT.png

There is a panel for each task, sparsity and seed of the folder. Runs that keep the pretrained weights
(keep_pretrained=true) are left out.
"""

from __future__ import annotations

import sys

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from results_files import read
from results_rows import COLUMNS, STEP_COLUMNS, total_steps

from prunebert.drawing.methods import METHODS
from prunebert.drawing.theme import LIGHT

PANEL = (3.6, 3.4)  # inches
LEGEND = 1.6  # inches


def draw(runs: pd.DataFrame) -> Figure:
    """Return a figure with a line for each method and a point for each number of steps.

    Args:
        runs: runs with several numbers of steps; they determine tasks, sparsities and seeds.
    """
    cells = runs[runs["sparsity"] > 0].groupby(["task", "sparsity", "seed"]).size().index
    runs = runs[runs["settings.keep_pretrained"].astype(str) != "True"]
    runs = runs.assign(steps=total_steps(runs))
    figure = Figure(figsize=(PANEL[0] * len(cells) + LEGEND, PANEL[1]), layout="constrained")
    panels = figure.subplots(1, len(cells), squeeze=False)[0]
    for axes, (task, sparsity, seed) in zip(panels, cells, strict=True):
        same_cell = (runs["task"] == task) & (runs["seed"] == seed) & runs["sparsity"].isin([0.0, sparsity])
        panel_runs = runs[same_cell]
        for method, method_runs in panel_runs.groupby("method", sort=False):
            colour, mark, style = METHODS[str(method)]
            line = method_runs.sort_values("steps")
            axes.plot(line["steps"], line["score"], color=colour, marker=mark, linestyle=style, label=method)
        constant = panel_runs["majority_score"].iloc[0]
        axes.axhline(constant, color="0.4", linestyle=":", linewidth=1, label="constant baseline")
        axes.set(xscale="log", xlabel="steps", ylabel=panel_runs["metric"].iloc[0])
        axes.set_title(f"{task} at {sparsity:g}, seed {seed}")
        ticks = sorted(panel_runs["steps"].unique())
        axes.set_xticks(ticks, [f"{steps:,}" for steps in ticks])
        axes.minorticks_off()
        axes.grid(color=LIGHT.grid)
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside right center")
    return figure


def main() -> None:
    """Read the runs and write the figure."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with rc_context(LIGHT.rc()):
        draw(read(sys.argv[1], [*COLUMNS, *STEP_COLUMNS])).savefig(sys.argv[2], dpi=150)


if __name__ == "__main__":
    main()
