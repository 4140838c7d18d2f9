"""Draw the scores of a tuning sweep against the rates that were tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from prunebert.errors import visible
from prunebert.report.figures.style import WIDTH, Theme, look
from prunebert.runs.tuning import Tuned
from prunebert.system.names import brief

ACROSS = 3  # panels in a row
HEIGHT = 1.7  # inches of a row of panels
LONGEST = 30  # characters of a panel's title


def draw_tries(found: Sequence[tuple[str, Tuned]], *, theme: Theme) -> Figure:
    """Draw a panel for each rate of each method: each run's score against the rate, and a ring around the best mean.

    Args:
        found: a title and what was tried, for each method.
        theme: the figure's colours.
    """
    panels = [(title, tuned, key) for title, tuned in found for key in tuned.tries[0].rates]
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(WIDTH * across / ACROSS, HEIGHT * down + 0.2))
    grid = figure.subplots(down, across, squeeze=False, sharey="row")
    for axes, (title, tuned, key) in zip(grid.flat, panels, strict=False):
        colour, mark, *_ = look(tuned.method)
        rates = [each.rates[key] for each in tuned.tries for _ in each.scores]
        scores = [score for each in tuned.tries for score in each.scores]
        axes.plot(rates, scores, mark, color=colour, alpha=0.75, markersize=4)
        if len(tuned.tries[0].rates) == 1:
            means = sorted((each.rates[key], each.mean) for each in tuned.tries)
            axes.plot(*np.array(means).T, color=colour, linewidth=0.8, alpha=0.5)
        if best := tuned.best:
            axes.plot(best.rates[key], best.mean, "o", color=theme.ink, fillstyle="none", markersize=10, clip_on=False)
        axes.set_xscale("log")
        axes.set_xticks(sorted({*rates}), [f"{rate:g}" for rate in sorted({*rates})], rotation=45, ha="right")
        axes.minorticks_off()
        axes.set_title(brief(visible(title), LONGEST))
        axes.set_xlabel(visible(key))
        axes.grid(True, linewidth=0.4)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for row in grid:
        row[0].set_ylabel(brief(visible(found[0][1].metric), LONGEST))
    return figure
