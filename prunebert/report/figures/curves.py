"""Draw score against sparsity, with published numbers, and what runs cost."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebert.errors import visible
from prunebert.report.figures.style import LINES, WIDTH, Theme, look
from prunebert.report.published import numbers as published
from prunebert.system.console import counted
from prunebert.system.names import brief

DOTTED = (0, (1, 3))
TICKS = (0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 0.999, 0.9999)
HEIGHT = 3  # inches, of the axes alone
SOURCE_MARKS = ("o", "s", "D", "^", "v", "P", "X", "h")
CURVE_MARKS = ("1", "2", "3", "4", "+", "|")  # no method and no source has these
DENOMINATOR_NAMES = {"encoder_pooler": "encoder and pooler", "encoder_pooler_embeddings": "encoder, pooler, embeddings"}


def draw_scores(
    cell_means: pd.DataFrame, points: pd.DataFrame, *, metric: str, constant_score: float, theme: Theme
) -> Figure:
    """Draw the means over seeds with a band of one standard deviation, and published curves and points.

    Args:
        cell_means: the cells of one table.
        points: published numbers of the same task, model and metric; see `published.split_curves`.
        metric: the label of the y axis.
        constant_score: the score of the constant baseline; NaN if it is unknown.
        theme: the figure's colours.
    """
    figure = Figure()
    axes = figure.subplots()
    pruned = cell_means[cell_means.groupby("label")["sparsity"].transform("max") > 0]  # dense rows are levels
    published_curves, points = published.split_curves(points, cell_means)
    shown = pd.concat([(pruned if len(pruned) else cell_means)["sparsity"], points["sparsity"]])
    ends = [end for curve in published_curves for end in (curve["sparsity"].min(), curve["sparsity"].max())]
    tick_gap = sparsity_axis(axes, sorted(set(shown)), ends)
    handles: list[Any] = _draw_lines(axes, cell_means)
    if cell_means["n"].max() > 1:
        handles.append(Patch(color=theme.ink, alpha=0.15, linewidth=0, label="band: ±1 standard deviation over seeds"))
    handles += _draw_curves(axes, published_curves)
    handles += _draw_points(axes, points, tick_gap, theme, set(cell_means["method"]))
    low, high = axes.get_ylim()
    margin = (high - low) / 2  # a level farther away would squeeze the curves
    if low - margin < constant_score < high + margin:
        axes.axhline(constant_score, color=theme.ink, linewidth=0.8, linestyle=DOTTED)
        handles.append(Line2D([], [], color=theme.ink, linewidth=0.8, linestyle=DOTTED, label="constant baseline"))
    elif not np.isnan(constant_score):
        label = f"constant baseline: {constant_score:.4f}, not shown"
        handles.append(Line2D([], [], linestyle="", label=label))
    axes.set_ylabel(metric)
    axes.grid(True, linewidth=0.5)
    labels = ["\n".join(textwrap.wrap(str(h.get_label()), 100)) for h in handles]
    longest = max(map(len, labels))
    columns = next((n for n, letters in ((3, 34), (2, 54)) if longest <= letters), 1)
    lines = sum(label.count("\n") + 1 for label in labels)
    figure.set_size_inches(WIDTH, HEIGHT + 0.6 + 0.16 * -(-lines // columns))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)
    return figure


def _draw_lines(axes: Axes, cell_means: pd.DataFrame) -> list[Line2D]:
    """Draw a line per variant, and return the legend's entries."""
    handles, ends = [], []
    for method, rows in cell_means.groupby("method", sort=False):
        colour, mark = look(str(method))
        variants = rows.groupby("label", sort=False)
        for i, (_, variant) in enumerate(variants):
            line = variant.sort_values("sparsity")
            style: dict[str, Any] = {"color": colour, "marker": mark, "linestyle": LINES[i % len(LINES)]}
            x, mean, sd = line["sparsity"].to_numpy(), line["mean"].to_numpy(), line["sd"].fillna(0).to_numpy()
            if x[-1] == 0:  # a dense method is a level
                axes.axhline(mean[0], color=colour, linestyle=style["linestyle"], linewidth=1)
                axes.axhspan(mean[0] - sd[0], mean[0] + sd[0], color=colour, alpha=0.15, linewidth=0)
                style["marker"] = ""
            else:
                axes.plot(x, mean, **style)
                axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
                if len(x) == 1:  # a band without width is invisible
                    axes.errorbar(x, mean, sd, color=colour, capsize=2, linewidth=1)
            label = _with_seeds(str(variant["short_label"].iloc[0]), variant["n"])
            if len(variants) > len(LINES):
                ends.append((x[-1], mean[-1], str(i + 1)))
                label = f"{i + 1}: {label}"
            handles.append(Line2D([], [], **style, label=label))
    _number_lines(axes, ends)
    return handles


def _number_lines(axes: Axes, ends: list[tuple[float, float, str]]) -> None:
    """Write each line's number where it ends. Numbers at the same sparsity are at least 7 points apart."""
    low, high = axes.get_ylim()
    heights: dict[float, float] = {}
    for x, y, number in sorted(ends):
        points = (y - low) / (high - low) * HEIGHT * 72
        heights[x] = max(points, heights.get(x, 0) + 7)
        axes.annotate(number, (x, y), (5, heights[x] - points - 2), textcoords="offset points", fontsize=6)


def _with_seeds(label: str, n: pd.Series) -> str:
    """Append the number of seeds to a label."""
    low, high = int(n.min()), int(n.max())
    label = label.lstrip("_")  # matplotlib omits labels with a leading underscore
    return f"{label}, {low}–{high} seeds" if low < high else f"{label}, {counted(low, 'seed')}"


def _draw_curves(axes: Axes, published_curves: list[pd.DataFrame]) -> list[Line2D]:
    """Draw published curves thin and faint in the colours of their methods, and return the legend's entries."""
    handles = []
    for i, curve in enumerate(published_curves):
        point = curve.iloc[0]
        style: dict[str, Any] = {"color": look(point["method"])[0], "marker": CURVE_MARKS[i % len(CURVE_MARKS)]}
        style |= {"alpha": 0.55, "linewidth": 0.7, "markersize": 4}
        style["linestyle"] = DOTTED if point["kd"] == "no" else "-"
        axes.plot(curve["sparsity"], curve["score"], **style)
        words = [point["source"], point["method"], *(word for word in point["variant"].split(";") if word)]
        words.append({"no": "no KD", "logits": "KD"}.get(point["kd"], f"KD {point['kd']}"))
        handles.append(Line2D([], [], **style, label=f"published: {', '.join(words)}"))
    return handles


def _draw_points(axes: Axes, points: pd.DataFrame, tick_gap: float, theme: Theme, methods: set[str]) -> list[Line2D]:
    """Draw published points, and return the legend's entries.

    The mark shows the source, the colour the method. A point is filled if a teacher was used. Each source is shifted a
    little more to the right of its sparsity, because points would otherwise hide each other.

    Args:
        axes: where to draw.
        points: see `draw_scores`.
        tick_gap: see `sparsity_axis`.
        theme: the figure's colours.
        methods: the methods with runs, which are in the legend already.
    """
    handles, drawn_methods = [], set()
    sources = points.groupby(["source", "denominator"], sort=False)
    for i, ((source, denominator), rows) in enumerate(sources):
        mark = SOURCE_MARKS[i % len(SOURCE_MARKS)]
        for _, point in rows.iterrows():
            colour = look(point["method"])[0]
            fill = colour if point["kd"] != "no" else theme.paper
            x = _to_sparsity(_to_axis(point["sparsity"]) + tick_gap * (i + 1) * min(0.25, 0.9 / len(sources)))
            axes.plot(x, point["score"], mark, color=colour, markerfacecolor=fill, markersize=4.5)
            drawn_methods.add(point["method"])
        name = DENOMINATOR_NAMES.get(denominator, "unknown weights")
        label = f"published: {source}" + ("" if denominator == "encoder" else f", of {name}")
        handles.append(Line2D([], [], color=theme.ink, marker=mark, linestyle="", markerfacecolor="none", label=label))
    for method in sorted(drawn_methods - methods):
        colour = look(method)[0]
        handles.append(Line2D([], [], color=colour, marker="o", linestyle="", label=f"{method}: published only"))
    return handles


def _to_axis(sparsity: Any) -> Any:
    """Return -log10(1 - s), the position on the axis: .9 to .99 is as wide as 0 to .9."""
    return -np.log10(np.clip(1 - np.asarray(sparsity, float), 1e-9, None))


def _to_sparsity(position: Any) -> Any:
    """Invert `_to_axis`."""
    return 1 - 10 ** -np.asarray(position, float)


def sparsity_axis(axes: Axes, shown: list[float], ends: Sequence[float] = ()) -> float:
    """Give the x axis its scale and ticks. Return the least distance of two ticks, in the units of `_to_axis`.

    Args:
        axes: axes of a figure.
        shown: the sparsities that get ticks first, sorted.
        ends: sparsities that the axis reaches as well.
    """
    axes.set_xscale("function", functions=(_to_axis, _to_sparsity))
    first, last = min([*shown, *ends]), max([*shown, *ends])
    low, high = _to_axis(first), _to_axis(last)
    tick_gap = max(high - low, 0.1) * 0.04
    axes.set_xlim(_to_sparsity(low - tick_gap), _to_sparsity(high + 1.3 * tick_gap))
    ticks: list[float] = []
    for tick in sorted({*shown, *(t for t in TICKS if first <= t <= last)}, key=lambda t: (t not in shown, t)):
        if all(abs(_to_axis(tick) - _to_axis(other)) > tick_gap for other in ticks):
            ticks.append(tick)
    axes.set_xticks(sorted(ticks), [f"{t:g}".removeprefix("0") or "0" for t in sorted(ticks)])
    axes.minorticks_off()
    axes.set_xlabel("sparsity, the fraction removed")
    return tick_gap


def draw_costs(runs: pd.DataFrame, theme: Theme) -> Figure:
    """Draw seconds per step, total seconds and peak memory: a tick per run, a bar for the mean of a variant.

    If the runs used several devices, each variant has a bar per device.
    """
    several_devices = runs["device"].nunique() > 1
    names = runs["short_label"] + (" on " + runs["device"].map(visible) if several_devices else "")
    order = list(dict.fromkeys(names))
    shown = (
        ("seconds per step", runs["seconds_per_step"]),
        ("total seconds", runs["seconds"]),
        ("peak memory, GiB", runs["peak_memory_bytes"] / 2**30),
    )
    wrapped = ["\n".join(textwrap.wrap(brief(name, 200), 44)) for name in order]
    extra_lines = max(name.count("\n") for name in wrapped)
    figure = Figure(figsize=(WIDTH, 0.9 + (0.28 + 0.12 * extra_lines) * len(order)))
    for axes, (title, values) in zip(figure.subplots(1, 3, sharey=True), shown, strict=True):
        for position, name in enumerate(order):
            run_values = values[names == name].dropna()
            colour = look(runs["method"][names == name].iloc[0])[0]
            mean = run_values.mean() if len(run_values) else 0
            axes.barh(position, mean, 0.6, color=colour, alpha=0.35)
            axes.plot(run_values, [position] * len(run_values), "|", color=theme.ink, markersize=6, alpha=0.7)
        axes.set_xlabel(title)
        axes.set_xlim(left=0)
        axes.grid(True, axis="x", linewidth=0.5)
        axes.set_axisbelow(True)
    first = figure.axes[0]
    first.set_yticks(range(len(order)), wrapped, fontsize=6 if extra_lines else 8)
    first.set_ylim(len(order) - 0.4, -0.6)
    return figure
