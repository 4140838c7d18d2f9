"""Draw how a method's allocation among parts of the network changes with sparsity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.maps import ACROSS, PANEL_TITLE, SHORT
from prunebert.report.figures.scales import sparsity_axis
from prunebert.report.topologies import KINDS, MULTIPLIER

OUTSIDE = ("pooler", "embeddings")
UNIFORM = 0.02  # an allocation with all ratios this close to 1 counts as uniform
# Of kinds of matrices; neighbours differ in mark and line style too.
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#A6761D", "#E69F00", "#D55E00", "#999999", "#CC79A7", "#8C4FB0")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
LINES = ("-", "--", ":", "-.")
DARKEST, LIGHTEST = 0.15, 0.88  # of viridis, whose first colours vanish on black and whose last ones on white
LOWEST_RATIO = 2**-6  # lower ratios are drawn here
MAX_TICKS = 7  # of the ratios


def ratios(runs: pd.DataFrame, by: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the ratio of each part's remaining fraction to that of all prunable weights, and messages.

    Args:
        runs: runs with their directories.
        by: "kinds" of matrices, or "layers"; the pooler and the embeddings belong to no layer and are left out there.

    Returns:
        A table with the columns label, sparsity, part and ratio (mean over runs); and a message for each run whose
        topology.json cannot be read.
    """
    rows, messages = [], []
    columns = ("directory", "short_label", "sparsity", "topology")
    for directory, label, sparsity, topology in zip(*(runs[column] for column in columns), strict=True):
        parts = topology.ratios[by]
        if isinstance(parts, str):
            messages.append(f"the allocation in topology.json of {directory} cannot be read: {parts}")
            continue
        rows += [(label, sparsity, part, ratio) for part, ratio in parts.items()]
    table = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    return table.groupby(["label", "sparsity", "part"], sort=False)["ratio"].mean().reset_index(), messages


def split_uniform(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the labels whose allocation is not uniform, and those whose allocation is.

    A label with only one sparsity is in neither list.
    """
    several = table.groupby("label", sort=False)["sparsity"].nunique() > 1
    labels = several.index[several]
    uneven = (table["ratio"] - 1).abs().groupby(table["label"], sort=False).max() > UNIFORM
    return [label for label in labels if uneven[label]], [label for label in labels if not uneven[label]]


def draw_allocation(ratio_table: pd.DataFrame, shown: list[str], *, by: str, table: str, theme: Theme) -> Figure:
    """Draw one panel per label: the ratios of its parts against sparsity, both on logarithmic scales.

    Args:
        ratio_table: see `ratios`.
        shown: the labels to draw.
        by: "kinds" or "layers", for the title.
        table: the name of the table, for the title.
        theme: the figure's colours.
    """
    parts = sorted(ratio_table["part"].unique(), key=_rank)
    drawn = ratio_table[ratio_table["label"].isin(shown)].sort_values("sparsity", kind="stable")
    clipped = drawn.assign(ratio=drawn["ratio"].clip(lower=LOWEST_RATIO))
    lines: dict[str, list[tuple[str, np.ndarray]]] = {label: [] for label in shown}
    for (label, part), line in clipped.groupby(["label", "part"], sort=False):
        lines[str(label)].append((str(part), line[["sparsity", "ratio"]].to_numpy().T))
    across = min(ACROSS, max(len(shown), 2))
    down = -(-len(shown) // ACROSS)
    figure = Figure(figsize=(WIDTH, 1))
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    panel_width = (WIDTH - 0.9) / across * POINTS - 14
    names = [fit(label, panel_width, PANEL_TITLE) for label in shown]
    for axes, label, name in zip(panels, shown, names, strict=False):
        for part, line in lines[label]:
            axes.plot(*line, **_line_style(parts, part))
        axes.axhline(1, color=theme.ink, linewidth=0.6)
        axes.set_title(name, fontsize=PANEL_TITLE)
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda y, _: _format_ratio(y))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(FixedLocator(ratio_ticks(clipped["ratio"].min(), clipped["ratio"].max())))
        axes.grid(True, linewidth=0.5)
    sparsity_axis(panels[0], sorted(ratio_table["sparsity"].unique()), width=panel_width)
    panels[0].set_xlabel("")
    for axes in panels[max(len(shown) - across, 0) : len(shown)]:
        axes.xaxis.set_tick_params(labelbottom=True)  # the row below may be shorter
        axes.set_xlabel("sparsity")
    for axes in panels[len(shown) :]:
        axes.remove()
    height = (1.5 + 0.13 * max(name.count("\n") + 1 for name in names)) * down + 0.3
    label = fit("remaining fraction ÷ that of all prunable weights", (height - 0.3) * POINTS, 8)
    figure.supylabel(label, fontsize=8)
    entries = {str(line.get_label()): line for axes in panels[: len(shown)] for line in axes.get_lines()[:-1]}
    height += add_title(figure, f"{table}: allocation among the {by} against sparsity")
    height += add_legend(figure, [entries[name] for name in map(_name, parts) if name in entries])
    figure.set_figheight(height)
    return figure


def ratio_ticks(lowest: float, highest: float) -> list[float]:
    """Return at most MAX_TICKS powers of 2 from `lowest` to `highest`, evenly spaced on a logarithmic scale.

    1 is one of them, and so is LOWEST_RATIO where it is the lowest: the step is a divisor of its exponent, or more.
    """
    low, high = math.floor(math.log2(min(lowest, 1))), math.ceil(math.log2(max(highest, 1)))
    step = next(step for step in (1, 2, 3, *range(6, 1200, 6)) if (high - low) // step < MAX_TICKS)
    return [2.0**k for k in range(-(-low // step) * step, high + 1, step)]


def _format_ratio(ratio: float) -> str:
    """Format a ratio as ×2 or ×1/2."""
    text = f"×{ratio:g}" if ratio >= 1 else f"×1/{1 / ratio:g}"
    return f"≤ {text}" if ratio <= LOWEST_RATIO else text


def _rank(part: str) -> tuple[int, int | str]:
    """Sort layers by number, then kinds in their usual order, then all else by name."""
    if part.isdigit():
        return 0, int(part)
    return (1, (*KINDS, *OUTSIDE).index(part)) if part in (*KINDS, *OUTSIDE) else (2, part)


def _name(part: str) -> str:
    return f"layer {part}" if part.isdigit() else dict(zip(KINDS, SHORT, strict=True)).get(part, part)


def _line_style(parts: list[str], part: str) -> dict[str, Any]:
    """Return the colour, mark and line style of a part, the same in every panel. Layers go from dark to light."""
    others = [p for p in parts if p != MULTIPLIER]  # so a kind looks the same where a network has no multiplier
    index = others.index(part) if part in others else len(COLOURS) - 1
    shape = {"marker": MARKS[index % len(MARKS)], "linestyle": LINES[index % len(LINES)], "markersize": 3.5}
    if part.isdigit():
        colour: Any = colormaps["viridis"](DARKEST + (LIGHTEST - DARKEST) * index / max(len(parts) - 1, 1))
    else:
        colour = COLOURS[index % len(COLOURS)]
    return {"color": colour, "label": _name(part), "linewidth": 1.1, **shape}
