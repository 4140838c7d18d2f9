"""Draw what runs cost: time, memory, trained parameters and size on disk."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.methods import looks
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.errors import visible

NAMES = 2.1  # inches of the rows' names
ROOMY = 16  # rows; the names of more rows have smaller letters
# For each column of the runs: its units, the largest first, with their sizes.
QUANTITIES: dict[str, tuple[tuple[str, float], ...]] = {
    "seconds_per_step": (("seconds\nper step", 1), ("milliseconds\nper step", 1e-3)),
    "seconds": (("total hours", 3600), ("total minutes", 60), ("total seconds", 1)),
    "peak_memory_bytes": (("peak memory,\nGiB", 2**30), ("peak memory,\nMiB", 2**20)),
    "trained_parameters": (("trained\nparameters, 10⁶", 1e6), ("trained\nparameters", 1)),
    "disk_bytes": (("size on disk,\nGB", 1e9), ("size on disk,\nMB", 1e6), ("size on disk,\nkB", 1e3)),
}
ALWAYS = ("seconds_per_step", "seconds", "peak_memory_bytes")  # the others only if a run has them
LEAST = 0.5  # of a unit: the largest value of a panel is at least that


def draw_costs(runs: pd.DataFrame, *, table: str, theme: Theme) -> Figure:
    """Draw a panel for each quantity: a bar for the mean of a variant, and a tick for each run.

    If the runs used several devices, each variant has a bar per device. A dash stands where no run of a row has the
    quantity.

    Args:
        runs: the runs of one table.
        table: the name of the table, for the title.
        theme: the figure's colours.
    """
    several_devices = runs["device"].nunique() > 1
    names = runs["short_label"] + (" on " + runs["device"].map(visible) if several_devices else "")
    order = list(dict.fromkeys(names))
    size = 7.0 if len(order) <= ROOMY else 5.5
    broken = [fit(name, NAMES * POINTS, size) for name in order]
    heights = [(size * 1.25 * (name.count("\n") + 1) + 4) / POINTS for name in broken]  # inches
    places = [sum(heights[:i]) + height / 2 for i, height in enumerate(heights)]
    shown = [q for q in QUANTITIES if q in ALWAYS or (q in runs and runs[q].notna().any())]
    figure = Figure(figsize=(WIDTH, 1))
    method_looks = looks(runs["method"])
    colours = [method_looks[runs["method"][names == name].iloc[0]][0] for name in order]
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, quantity in zip(panels, shown, strict=True):
        label, unit = _unit(quantity, runs[quantity].max())
        groups = [(runs[quantity][names == name].dropna() / unit).to_numpy() for name in order]
        for place, height, colour, values in zip(places, heights, colours, groups, strict=True):
            if len(values):
                axes.barh(place, values.mean(), 0.7 * height, color=colour, alpha=0.45)
                axes.plot(values, [place] * len(values), "|", color=theme.ink, markersize=size - 1, alpha=0.7)
            else:
                axes.annotate("–", (0, place), (2, 0), textcoords="offset points", va="center", fontsize=size)
        _finish(axes, label)
    panels[0].set_yticks(places, broken, fontsize=size)
    panels[0].set_ylim(sum(heights), 0)
    figure.set_figheight(sum(heights) + 0.65 + add_title(figure, f"{table}: what the runs cost"))
    return figure


def _unit(quantity: str, largest: float) -> tuple[str, float]:
    """Return the largest unit in which the largest value is at least one half, or the smallest unit."""
    units = QUANTITIES[quantity]
    return next((unit for unit in units if largest >= LEAST * unit[1]), units[-1])


def _finish(axes: Axes, label: str) -> None:
    """Label a panel and give it two or three ticks, so that their labels cannot touch those of the next panel."""
    axes.set_xlabel(label, fontsize=7)
    axes.set_xlim(left=0, right=None if axes.patches else 1)
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.4g}"))
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(True, axis="x", linewidth=0.5)
    axes.set_axisbelow(True)
