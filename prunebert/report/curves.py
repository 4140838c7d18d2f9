"""Score against sparsity, with published points; and what runs cost."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebert.report.style import LINES, WIDTH, Theme, look

DOTS = (0, (1, 3))
TICKS = (0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 0.999, 0.9999)
HEIGHT = 3  # inches, of the axes alone
SOURCES = ("o", "s", "D", "^", "v", "P", "X", "h")
OF = {"encoder_pooler": "encoder and pooler", "encoder_pooler_embeddings": "encoder, pooler, embeddings"}


def scores(found: pd.DataFrame, points: pd.DataFrame, *, metric: str, majority: float, theme: Theme) -> Figure:
    """Means over seeds with a band of one standard deviation; found: cells of one table; points: published ones."""
    figure = Figure()
    axes = figure.subplots()
    pruned = found[found.groupby("label")["sparsity"].transform("max") > 0]  # the rest are levels
    shown = pd.concat([(pruned if len(pruned) else found)["sparsity"], points["sparsity"]])
    room = sparsity_axis(axes, sorted(set(shown)))
    handles: list[Any] = _lines(axes, found)
    if found["n"].max() > 1:
        handles.append(Patch(color=theme.ink, alpha=0.15, linewidth=0, label="band: ±1 standard deviation over seeds"))
    handles += _points(axes, points, room, theme, set(found["method"]))
    low, high = axes.get_ylim()
    if low - (high - low) / 2 < majority < high + (high - low) / 2:  # farther off it would press all else together
        axes.axhline(majority, color=theme.ink, linewidth=0.8, linestyle=DOTS)
        handles.append(Line2D([], [], color=theme.ink, linewidth=0.8, linestyle=DOTS, label="constant answer"))
    elif not np.isnan(majority):
        told = f"constant answer: {majority:.4f}, not shown"
        handles.append(Line2D([], [], linestyle="", label=told))
    axes.set_ylabel(metric)
    axes.grid(True, linewidth=0.5)
    labels = ["\n".join(textwrap.wrap(str(h.get_label()), 100)) for h in handles]
    columns = next((n for n, most in ((3, 34), (2, 54)) if max(map(len, labels)) <= most), 1)
    lines = sum(label.count("\n") + 1 for label in labels)
    figure.set_size_inches(WIDTH, HEIGHT + 0.6 + 0.16 * -(-lines // columns))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)
    return figure


def _lines(axes: Axes, found: pd.DataFrame) -> list[Line2D]:
    handles, ends = [], []
    for method, rows in found.groupby("method", sort=False):
        colour, mark = look(str(method))
        variants = rows.groupby("label", sort=False)
        for i, (_, variant) in enumerate(variants):
            line = variant.sort_values("sparsity")
            kind: dict[str, Any] = {"color": colour, "marker": mark, "linestyle": LINES[i % len(LINES)]}
            x, mean, sd = line["sparsity"].to_numpy(), line["mean"].to_numpy(), line["sd"].fillna(0).to_numpy()
            if x[-1] == 0:  # nothing removed: a level to compare with
                axes.axhline(mean[0], color=colour, linestyle=kind["linestyle"], linewidth=1)
                axes.axhspan(mean[0] - sd[0], mean[0] + sd[0], color=colour, alpha=0.15, linewidth=0)
                kind["marker"] = ""
            else:
                axes.plot(x, mean, **kind)
                axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
                if len(x) == 1:  # a band of no width is not seen
                    axes.errorbar(x, mean, sd, color=colour, capsize=2, linewidth=1)
            told = _seeds(str(variant["short"].iloc[0]), variant["n"])
            if len(variants) > len(LINES):
                ends.append((x[-1], mean[-1], str(i + 1)))
                told = f"{i + 1}: {told}"
            handles.append(Line2D([], [], **kind, label=told))
    _number(axes, ends)
    return handles


def _number(axes: Axes, ends: list[tuple[float, float, str]]) -> None:
    """Lines of one method by their number, where they end, 7 points apart at least: none covers another."""
    low, high = axes.get_ylim()
    taken: dict[float, float] = {}
    for x, y, told in sorted(ends):
        points = (y - low) / (high - low) * HEIGHT * 72
        taken[x] = max(points, taken.get(x, 0) + 7)
        axes.annotate(told, (x, y), (5, taken[x] - points - 2), textcoords="offset points", fontsize=6)


def _seeds(label: str, n: pd.Series) -> str:
    few, many = int(n.min()), int(n.max())
    label = label.lstrip("_")  # matplotlib leaves out what begins so
    return f"{label}, {few}–{many} seeds" if few < many else f"{label}, {few} seed{'s' * (few > 1)}"


def _points(axes: Axes, points: pd.DataFrame, room: float, theme: Theme, ours: set[str]) -> list[Line2D]:
    """A mark for the source, the method's colour, filled where a teacher helped; each source a little more to the right
    of its sparsity, so that they do not cover each other."""
    handles, strangers = [], set()
    sources = points.groupby(["source", "denominator"], sort=False)
    for i, ((source, of), rows) in enumerate(sources):
        mark = SOURCES[i % len(SOURCES)]
        for _, point in rows.iterrows():
            colour = look(point["method"])[0]
            fill = colour if point["kd"] != "no" else theme.paper
            x = _back(_forward(point["sparsity"]) + room * (i + 1) * min(0.25, 0.9 / len(sources)))
            axes.plot(x, point["score"], mark, color=colour, markerfacecolor=fill, markersize=4.5)
            strangers.add(point["method"])
        told = f"published: {source}" + ("" if of == "encoder" else f", of {OF.get(of, 'what is not told')}")
        handles.append(Line2D([], [], color=theme.ink, marker=mark, linestyle="", markerfacecolor="none", label=told))
    for method in sorted(strangers - ours):
        colour = look(method)[0]
        handles.append(Line2D([], [], color=colour, marker="o", linestyle="", label=f"{method}: published only"))
    return handles


def _forward(sparsity: Any) -> Any:
    """-log10(1 - s): as much room from .9 to .99 as from 0 to .9."""
    return -np.log10(np.clip(1 - np.asarray(sparsity, float), 1e-9, None))


def _back(place: Any) -> Any:
    return 1 - 10 ** -np.asarray(place, float)


def sparsity_axis(axes: Axes, shown: list[float]) -> float:
    """Returns how far two ticks are apart at least, in the axis's own measure."""
    axes.set_xscale("function", functions=(_forward, _back))
    low, high = _forward(shown[0]), _forward(shown[-1])
    room = max(high - low, 0.1) * 0.04
    axes.set_xlim(_back(low - room), _back(high + 1.3 * room))
    ticks: list[float] = []
    for tick in sorted({*shown, *(t for t in TICKS if shown[0] <= t <= shown[-1])}, key=lambda t: (t not in shown, t)):
        if all(abs(_forward(tick) - _forward(other)) > room for other in ticks):
            ticks.append(tick)
    axes.set_xticks(sorted(ticks), [f"{t:g}".removeprefix("0") or "0" for t in sorted(ticks)])
    axes.minorticks_off()
    axes.set_xlabel("sparsity, the fraction removed")
    return room


def costs(runs: pd.DataFrame, theme: Theme) -> Figure:
    """Each run a dot, the mean of a variant on a device a bar: seconds a step, seconds in all, peak memory."""
    devices = runs["device"].nunique() > 1
    names = runs["short"] + (" on " + runs["device"] if devices else "")
    order = list(dict.fromkeys(names))
    shown = (
        ("seconds a step", runs["seconds_per_step"]),
        ("seconds in all", runs["seconds"]),
        ("peak memory, GiB", runs["peak_memory_bytes"] / 2**30),
    )
    wrapped = ["\n".join(textwrap.wrap(name, 44)) for name in order]
    most = max(name.count("\n") for name in wrapped)
    figure = Figure(figsize=(WIDTH, 0.9 + (0.28 + 0.12 * most) * len(order)))
    for axes, (title, values) in zip(figure.subplots(1, 3, sharey=True), shown, strict=True):
        for place, name in enumerate(order):
            own = values[names == name].dropna()
            colour = look(runs["method"][names == name].iloc[0])[0]
            axes.barh(place, own.mean() if len(own) else 0, 0.6, color=colour, alpha=0.35)
            axes.plot(own, [place] * len(own), "|", color=theme.ink, markersize=6, alpha=0.7)
        axes.set_xlabel(title)
        axes.set_xlim(left=0)
        axes.grid(True, axis="x", linewidth=0.5)
        axes.set_axisbelow(True)
    first = figure.axes[0]
    first.set_yticks(range(len(order)), wrapped, fontsize=6 if most else 8)
    first.set_ylim(len(order) - 0.4, -0.6)
    return figure
