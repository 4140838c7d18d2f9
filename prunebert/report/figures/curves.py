"""Draw score against sparsity, with published numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.methods import looks
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.report.figures import literature
from prunebert.report.figures.dots import draw_dots
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.scales import score_axis, sparsity_axis, to_axis, to_sparsity
from prunebert.report.published import numbers as published
from prunebert.system.console import counted

HEIGHT = 3.2  # inches, of the axes alone
NUMBER_SPACE = 7.5  # points from one number at the lines' ends to the next
MOST_BANDS = 3  # lines; the bands of more would cover each other, so that whiskers are drawn
SHIFT = 0.12  # sideways, from one line with whiskers to the next, in the units that `sparsity_axis` returns
MOST_SHIFT = 0.6  # of all lines together, in distances of two sparsities
BAND = "band: ±1 standard deviation over seeds"
WHISKERS = "whiskers: ±1 standard deviation over seeds"
LEVELS = ((0, (1, 1)), (0, (6, 2)), "-")  # line styles of the second dense row and of further ones


@dataclass(frozen=True)
class Curve:
    """The cells of one variant and how they are drawn."""

    rows: pd.DataFrame  # sorted by sparsity
    style: dict[str, Any]
    number: str  # written where the line ends; "" if the style alone distinguishes it
    shift: float  # sideways, in the units of `to_axis`

    @property
    def is_level(self) -> bool:
        """Whether nothing was removed: the score is then a reference at every sparsity."""
        return bool(self.rows["sparsity"].max() == 0)


def draw_scores(
    cell_means: pd.DataFrame, points: pd.DataFrame, *, table: str, metric: str, constant_score: float, theme: Theme
) -> Figure:
    """Draw the means over seeds with one standard deviation, and published curves and points.

    Up to three lines have a band of one standard deviation, more have whiskers. A single sparsity gives a plot of dots
    with a row for each variant, see `dots.draw_dots`.

    Args:
        cell_means: the cells of one table.
        points: published numbers of the same task, model and metric; see `published.split_curves`.
        table: the name of the table, for the title.
        metric: the label of the scores.
        constant_score: the score of the constant baseline; NaN if it is unknown.
        theme: the figure's colours.
    """
    pruned = cell_means[cell_means.groupby("label")["sparsity"].transform("max") > 0]  # dense rows are levels
    if pruned["sparsity"].nunique() < 2:
        return draw_dots(cell_means, points, table=table, metric=metric, constant_score=constant_score, theme=theme)
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.subplots()
    published_curves, points = published.split_curves(points, cell_means)
    ends = [end for curve in published_curves for end in (curve["sparsity"].min(), curve["sparsity"].max())]
    gap = sparsity_axis(axes, sorted({*pruned["sparsity"]}), [*ends, *points["sparsity"]])
    drawn_scores = [
        *score_range(cell_means),
        *points["score"],
        *(s for curve in published_curves for s in curve["score"]),
    ]
    baseline = score_axis(axes, "y", (min(drawn_scores), max(drawn_scores)), constant_score, theme)
    method_looks = looks([*cell_means["method"], *points["method"], *(c["method"].iloc[0] for c in published_curves)])
    curves = _curves(cell_means, method_looks, gap, theme)
    left, right = to_axis(axes.get_xlim())
    widest = max(curve.shift for curve in curves)
    axes.set_xlim(to_sparsity(left - widest), to_sparsity(right + widest))
    handles: list[Any] = _draw_curves(axes, curves)
    if cell_means["n"].max() > 1:
        few = len(curves) <= MOST_BANDS
        spread = Patch(color=theme.ink, alpha=0.15, linewidth=0, label=BAND)
        handles.append(spread if few else Line2D([], [], color=theme.ink, marker="|", linestyle="", label=WHISKERS))
    handles += literature.draw_curves(axes, published_curves, method_looks)
    handles += literature.draw_points(axes, points, gap, theme, method_looks, set(cell_means["method"]))
    handles += baseline
    height = max(HEIGHT, NUMBER_SPACE * (sum(curve.number != "" for curve in curves) + 1) / POINTS)
    _number_lines(axes, curves, height * POINTS)
    axes.set_ylabel(fit(metric, 0.8 * height * POINTS, 8))
    axes.grid(True, linewidth=0.5)
    title = add_title(figure, f"{table}: {metric} against sparsity")
    figure.set_figheight(height + 0.65 + title + add_legend(figure, handles))
    return figure


def score_range(cell_means: pd.DataFrame) -> tuple[float, float]:
    """Return the lowest and the highest score with their standard deviations."""
    sd = cell_means["sd"].where(cell_means["n"] > 1, 0).fillna(0)
    return float((cell_means["mean"] - sd).min()), float((cell_means["mean"] + sd).max())


def _curves(cell_means: pd.DataFrame, method_looks: dict[str, Any], gap: float, theme: Theme) -> list[Curve]:
    """Return a curve per variant. Two variants of a method differ in the fill of their marks, more are numbered."""
    variants = [
        (method, rows.sort_values("sparsity"))
        for (method, _), rows in cell_means.groupby(["method", "label"], sort=False)
    ]
    variants.sort(key=lambda variant: list(method_looks).index(variant[0]))  # stable: a method's variants together
    count = Counter(method for method, _ in variants)
    same_look = Counter(method_looks[method] for method in count)
    index: Counter[str] = Counter()
    several_seeds = cell_means["n"][cell_means["sparsity"] > 0].max() > 1
    shift = _shift(cell_means, len(variants), gap) if several_seeds and len(variants) > MOST_BANDS else 0
    curves, numbered = [], 0
    for i, (method, rows) in enumerate(variants):
        colour, mark, line = method_looks[method]
        fill = theme.paper if index[method] % 2 else colour
        if index[method] and not rows["sparsity"].any():  # a level has no marks
            line = LEVELS[(index[method] - 1) % len(LEVELS)]
        index[method] += 1
        style = {"color": colour, "marker": mark, "linestyle": line, "markerfacecolor": fill}
        repeats = count[method] > 2 or same_look[method_looks[method]] > 1
        numbered += repeats
        curves.append(Curve(rows, style, str(numbered) if repeats else "", shift * (i - (len(variants) - 1) / 2)))
    return curves


def _shift(cell_means: pd.DataFrame, lines: int, gap: float) -> float:
    """Return how far a line is shifted beside the one before, in the units of `to_axis`."""
    positions = to_axis(np.unique(cell_means["sparsity"][cell_means["sparsity"] > 0]))
    return min(SHIFT * gap, MOST_SHIFT * float(np.diff(positions).min()) / lines)


def _draw_curves(axes: Axes, curves: list[Curve]) -> list[Line2D]:
    """Draw the curves, and return the legend's entries."""
    handles = []
    for i, curve in enumerate(curves):
        rows, colour, style = curve.rows, curve.style["color"], curve.style
        mean, sd = rows["mean"].to_numpy(), rows["sd"].where(rows["n"] > 1).to_numpy(float)
        x = to_sparsity(to_axis(rows["sparsity"].to_numpy()) + curve.shift)
        bands = len(curves) <= MOST_BANDS
        if curve.is_level:
            style = {**style, "marker": ""}
            axes.axhline(mean[0], color=colour, linestyle=style["linestyle"], linewidth=1)
            if bands and not np.isnan(sd[0]):
                axes.axhspan(mean[0] - sd[0], mean[0] + sd[0], color=colour, alpha=0.15, linewidth=0)
            elif not np.isnan(sd[0]):
                place = axes.get_yaxis_transform()
                x_place = [0.008 * (i + 1)] * 2  # at the left edge, where no line is
                axes.plot(
                    x_place, [mean[0] - sd[0], mean[0] + sd[0]], "_-", color=colour, linewidth=0.9, transform=place
                )
        else:
            axes.plot(x, mean, **style)
            if bands and len(x) > 1:
                axes.fill_between(
                    x, mean - np.nan_to_num(sd), mean + np.nan_to_num(sd), color=colour, alpha=0.15, linewidth=0
                )
            else:  # a band without width is invisible
                axes.errorbar(x, mean, sd, fmt="none", ecolor=colour, capsize=1.5, elinewidth=0.9)
        label = with_seeds(str(rows["short_label"].iloc[0]), rows["n"])
        handles.append(Line2D([], [], **style, label=f"{curve.number}: {label}" if curve.number else label))
    return handles


def _number_lines(axes: Axes, curves: list[Curve], height: float) -> None:
    """Write each line's number beside its end. Numbers at one sparsity are NUMBER_SPACE points or more apart.

    Args:
        axes: where to write; the range of the scores is set already.
        curves: all curves.
        height: of the axes in points.
    """
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(np.array(axes.get_ylim()))
    columns: dict[float, list[tuple[float, str]]] = {}
    for curve in curves:
        if curve.number:
            x, y = (0.0 if curve.is_level else curve.rows["sparsity"].iloc[-1]), curve.rows["mean"].iloc[-1]
            points = (float(scale.transform(np.array([y]))[0]) - low) / (high - low) * height
            columns.setdefault(x, []).append((points, curve.number))
    rightmost = max((curve.shift for curve in curves), default=0)
    for sparsity, column in columns.items():
        column.sort()
        top = height - NUMBER_SPACE * len(column)
        previous = -NUMBER_SPACE
        for points, number in column:
            top += NUMBER_SPACE
            previous = max(previous + NUMBER_SPACE, min(points, top))
            x = to_sparsity(to_axis(sparsity) + rightmost) if sparsity else axes.get_xlim()[0]
            place = (x, previous / height)
            axes.annotate(number, place, (5, -2), ("data", "axes fraction"), "offset points", fontsize=6)


def with_seeds(label: str, n: pd.Series) -> str:
    """Append the number of seeds to a label."""
    low, high = int(n.min()), int(n.max())
    label = label.lstrip("_")  # matplotlib omits labels with a leading underscore
    return f"{label}, {low}–{high} seeds" if low < high else f"{label}, {counted(low, 'seed')}"
