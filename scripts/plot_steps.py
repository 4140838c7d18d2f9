"""Plot score against the number of steps.

scripts/plot_steps.py results/budget results/main OUT.png

There is a panel for each task and sparsity of the first folder. The second folder adds the runs with the main number of
steps and the same seed. Runs that keep the pretrained weights (keep_pretrained=true) are left out.
"""

from __future__ import annotations

import sys

import matplotlib
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from results_files import read
from results_table import COLUMNS, STEP_COLUMNS, total_steps

from prunebert.drawing.methods import METHODS
from prunebert.drawing.theme import LIGHT


def main() -> None:
    """Read both folders and write the figure."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    other_runs, main_runs = (read(folder, [*COLUMNS, *STEP_COLUMNS]) for folder in sys.argv[1:3])
    runs = pd.concat([other_runs, main_runs])
    runs = runs[runs["settings.keep_pretrained"].astype(str) != "True"]
    runs["steps"] = total_steps(runs)
    cells = other_runs[other_runs["sparsity"] > 0].groupby(["task", "sparsity", "seed"]).size().index
    with plt.rc_context(LIGHT.rc()):
        figure, panels = plt.subplots(1, len(cells), figsize=(3.6 * len(cells), 3.4), squeeze=False)
        for axes, (task, sparsity, seed) in zip(panels[0], cells, strict=True):
            same_cell = (runs["task"] == task) & (runs["seed"] == seed) & runs["sparsity"].isin([0.0, sparsity])
            panel_runs = runs[same_cell]
            for method, method_runs in panel_runs.groupby("method", sort=False):
                colour, mark, style = METHODS[method]
                line = method_runs.sort_values("steps")
                axes.plot(line["steps"], line["score"], color=colour, marker=mark, linestyle=style, label=method)
            axes.axhline(panel_runs["majority_score"].iloc[0], color="0.4", linestyle=":", linewidth=1)
            axes.set(xscale="log", xlabel="steps", ylabel=panel_runs["metric"].iloc[0])
            axes.set_title(f"{task} at {sparsity:g}, seed {seed}")
            ticks = sorted(panel_runs["steps"].unique())
            axes.set_xticks(ticks, [f"{steps:g}" for steps in ticks])
            axes.minorticks_off()
            axes.grid(color=LIGHT.grid)
        lines, names = panels[0][0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside right center")
        figure.savefig(sys.argv[3], dpi=150)


if __name__ == "__main__":
    main()
