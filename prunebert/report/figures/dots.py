"""Draw the scores of one sparsity: a row of dots for each variant."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.methods import looks
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.report.figures import literature
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.scales import score_axis
from prunebert.report.published import numbers as published
from prunebert.system.console import counted

NAMES = 2.6  # inches of the rows' names
SIZE = 7.0  # of their font in points
SAME = 5e-5  # sparsities that are printed alike


def draw_dots(
    cell_means: pd.DataFrame, points: pd.DataFrame, *, table: str, metric: str, constant_score: float, theme: Theme
) -> Figure:
    """Draw a row for each variant, the highest score at the top: the mean, and whiskers of one standard deviation.

    Published numbers of the same sparsity have rows of their own below. The arguments are those of
    `curves.draw_scores`; the cells have one sparsity above 0 at most.
    """
    sparsity = float(cell_means["sparsity"].max())
    points = points[points["kind"] != published.ANOTHER_SPARSITY]
    beside = points[(points["sparsity"] - sparsity).abs() < SAME]
    cell_means = cell_means.sort_values("mean", ascending=False, kind="stable")
    method_looks = looks([*cell_means["method"], *beside["method"]])
    names = [
        f"{name}, {counted(n, 'seed')}" for name, n in zip(cell_means["short_label"], cell_means["n"], strict=True)
    ]
    for _, point in beside.iterrows():
        names.append(f"published: {literature.describe(point)}{literature.of_weights(point['denominator'])}")
    broken = [fit(name, NAMES * POINTS, SIZE) for name in names]
    sd = cell_means["sd"].where(cell_means["n"] > 1)
    drawn = [*(cell_means["mean"] - sd.fillna(0)), *(cell_means["mean"] + sd.fillna(0)), *beside["score"]]
    figure = Figure(figsize=(WIDTH, 1))
    axes = figure.subplots()
    handles: list[Any] = score_axis(axes, "x", (min(drawn), max(drawn)), constant_score, theme)
    heights = [0.09 + 0.125 * (name.count("\n") + 1) for name in broken]  # inches
    places = [sum(heights[:i]) + height / 2 for i, height in enumerate(heights)]
    for place, method, mean, error in zip(places, cell_means["method"], cell_means["mean"], sd, strict=False):
        colour, mark, _ = method_looks[method]
        axes.errorbar(mean, place, xerr=error, color=colour, marker=mark, markersize=6, capsize=2.5, linewidth=1.2)
    for place, (_, point) in zip(places[len(cell_means) :], beside.iterrows(), strict=True):
        colour, mark, _ = method_looks[point["method"]]
        axes.plot(point["score"], place, mark, color=colour, markerfacecolor=theme.paper, markersize=6)
    if sd.notna().any():
        handles.append(Line2D([], [], color=theme.ink, marker="|", label="±1 standard deviation over seeds"))
    if left_out := len(points) - len(beside):
        label = f"{counted(left_out, 'published number')} at other sparsities: not drawn"
        handles.append(Line2D([], [], linestyle="", label=label))
    axes.set_yticks(places, broken, fontsize=SIZE)
    axes.set_ylim(sum(heights), 0)
    axes.set_xlabel(fit(metric, (WIDTH - NAMES - 0.4) * POINTS, 8))
    axes.grid(True, axis="x", linewidth=0.5)
    axes.set_axisbelow(True)
    at = f" at sparsity {sparsity:g}" if sparsity else " without pruning"
    height = sum(heights) + 0.5 + 0.12 * axes.get_xlabel().count("\n") + add_title(figure, f"{table}: {metric}{at}")
    figure.set_figheight(height + (add_legend(figure, handles) if handles else 0))
    return figure
