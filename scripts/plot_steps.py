"""Score against the number of steps: scripts/plot_steps.py results/budget/results.csv results/main/results.csv OUT.png

A panel a task and sparsity of the first file; the usual number of steps is the same seed's in the second. Fixed weights
(keep_pretrained=true) are left out.
"""

from __future__ import annotations

import sys

import matplotlib
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from results_table import BUDGET, COLUMNS, all_steps

from prunebert.report.style import LIGHT, METHODS


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    other, usual = (pd.read_csv(file, usecols=[*COLUMNS, *BUDGET]) for file in sys.argv[1:3])
    runs = pd.concat([other, usual])
    runs = runs[runs["settings.keep_pretrained"].astype(str) != "True"]
    runs["steps"] = all_steps(runs)
    cells = other[other["sparsity"] > 0].groupby(["task", "sparsity", "seed"]).size().index
    with plt.rc_context(LIGHT.rc()):
        figure, panels = plt.subplots(1, len(cells), figsize=(3.6 * len(cells), 3.4), squeeze=False)
        for axes, (task, sparsity, seed) in zip(panels[0], cells, strict=True):
            here = runs[(runs["task"] == task) & (runs["seed"] == seed) & runs["sparsity"].isin([0.0, sparsity])]
            for method, own in here.groupby("method", sort=False):
                color, marker = METHODS[method]
                own = own.sort_values("steps")
                style = "--" if method == "dense" else "-"
                axes.plot(own["steps"], own["score"], style, color=color, marker=marker, label=method)
            axes.axhline(here["majority_score"].iloc[0], color="0.4", linestyle=":", linewidth=1)
            axes.set(xscale="log", xlabel="steps", ylabel=here["metric"].iloc[0])
            axes.set_title(f"{task} at {sparsity:g}, seed {seed}")
            axes.set_xticks(sorted(here["steps"].unique()), [f"{s:g}" for s in sorted(here["steps"].unique())])
            axes.minorticks_off()
            axes.grid(color=LIGHT.grid)
        lines, names = panels[0][0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside right center")
        figure.savefig(sys.argv[3], dpi=150)


if __name__ == "__main__":
    main()
