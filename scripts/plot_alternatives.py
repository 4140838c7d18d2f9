"""Plot how long steps take that make their masks in another way: scripts/plot_alternatives.py OUT.png

There is a panel for each method with scores, a group of bars for each way, and a bar for each model: the time of a step
divided by that of full fine-tuning, from results/speed (bench_alternatives.py).
"""

from __future__ import annotations

import sys

from matplotlib import rc_context
from matplotlib.figure import Figure
from speed_table import MODELS, TRAINED, alternative_rows

from prunebert.drawing.theme import LIGHT

PANELS = ("smp", "movement")
COLOURS = {"tiny": "#A9C7EE", "minilm": "#5B8FD9", "bert-base": "#1F4E9C", "bert-large": "#0B2450"}
SIZE = (8.6, 3.6)  # inches
GROUP = 0.8  # of the distance between two groups, for all bars of one


def draw() -> Figure:
    """Return the figure.

    Raises:
        ValueError: nothing was measured.
    """
    rows = alternative_rows()
    if not rows:
        raise ValueError("results/speed has no file of bench_alternatives.py")
    figure = Figure(figsize=SIZE, layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, panel in zip(panels, PANELS, strict=True):
        ways = [way for method, way in rows if method == panel]
        models = [model for model in MODELS if any(model in rows[panel, way] for way in ways)]
        height = GROUP / len(models)
        for number, model in enumerate(models):
            heights = [i + (number - (len(models) - 1) / 2) * height for i in range(len(ways))]
            ratios = [rows[panel, way].get(model, {}).get("by_dense", 0) for way in ways]
            axes.barh(heights, ratios, height, color=COLOURS[model], label=model)
        axes.set_yticks(range(len(ways)), ways)
        axes.axvline(1, color="0.3", linestyle="--", linewidth=1)
        axes.set(xlabel="step ÷ full fine-tuning")
        axes.set_title(f"trained: {TRAINED[panel]}", loc="left")
        axes.grid(axis="x", color=LIGHT.grid)
        axes.set_axisbelow(True)
    panels[0].invert_yaxis()
    panels[-1].legend(loc="lower right")
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with rc_context(LIGHT.rc()):
        draw().savefig(sys.argv[1], dpi=150)
