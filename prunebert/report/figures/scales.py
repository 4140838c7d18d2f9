"""Define the axes of score figures: sparsity on a logarithmic scale, and scores with the constant baseline in range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from prunebert.drawing.labels import text_width
from prunebert.drawing.theme import Theme

DOTTED = (0, (1, 3))
TICKS = (0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99, 0.999, 0.9999)
TICK_SIZE = 8.0  # of the font in points
TICK_SPACE = 4.0  # points between two tick labels
LEAST_SHARE = 0.25  # of the axis that scores take; with less, the axis is compressed towards the constant baseline
COMPRESSED = 0.18  # height of the compressed part, relative to the range of the scores
MARGIN = 0.06  # above and below all scores, relative to their range
BREAK_MARK = ((-1, -0.6), (1, 0.6))


def to_axis(sparsity: Any) -> Any:
    """Return -log10(1 - s), the position on the axis: .9 to .99 is as wide as 0 to .9."""
    return -np.log10(np.clip(1 - np.asarray(sparsity, float), 1e-9, None))


def to_sparsity(position: Any) -> Any:
    """Invert `to_axis`."""
    return 1 - 10 ** -np.asarray(position, float)


def sparsity_axis(axes: Axes, shown: list[float], ends: Sequence[float] = (), width: float = 430) -> float:
    """Give the x axis its scale and ticks. Return a twenty-fifth of its length, in the units of `to_axis`.

    Args:
        axes: axes of a figure.
        shown: the sparsities that get ticks first, sorted.
        ends: sparsities that the axis reaches as well.
        width: of the axes in points; a tick whose label would touch another one's is left out.
    """
    axes.set_xscale("function", functions=(to_axis, to_sparsity))
    first, last = min([*shown, *ends]), max([*shown, *ends])
    low, high = to_axis(first), to_axis(last)
    gap = max(high - low, 0.1) * 0.04
    axes.set_xlim(to_sparsity(low - gap), to_sparsity(high + 1.3 * gap))
    points = width / (high - low + 2.3 * gap)
    ticks: dict[float, str] = {}
    for tick in sorted({*shown, *(t for t in TICKS if first <= t <= last)}, key=lambda t: (t not in shown, t)):
        label = f"{tick:.6g}".removeprefix("0") or "0"
        if all(
            abs(to_axis(tick) - to_axis(other)) * points > _half_widths(label, text) for other, text in ticks.items()
        ):
            ticks[tick] = label
    axes.set_xticks(sorted(ticks), [ticks[t] for t in sorted(ticks)])
    axes.minorticks_off()
    axes.set_xlabel("sparsity (fraction removed, log scale)")
    return gap


def _half_widths(label: str, other: str) -> float:
    """Return the least distance of two tick labels' centres in points."""
    return (text_width(label, TICK_SIZE) + text_width(other, TICK_SIZE)) / 2 + TICK_SPACE


def score_axis(
    axes: Axes, along: Literal["x", "y"], scores: tuple[float, float], constant_score: float, theme: Theme
) -> list[Line2D]:
    """Give the axis of the scores its range, which includes the constant baseline, and draw that baseline.

    If the scores would take less than a quarter of the axis, the part between them and the baseline is compressed. A
    grey band and two strokes mark that part.

    Args:
        axes: axes of a figure.
        along: the direction of the scores.
        scores: the lowest and the highest score that is drawn.
        constant_score: the score of the constant baseline; NaN if it is unknown.
        theme: the figure's colours.

    Returns:
        The legend's entry of the baseline, or nothing if its score is unknown.
    """
    low, high = scores
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    set_limits = axes.set_xlim if along == "x" else axes.set_ylim
    set_limits(low - MARGIN * span, high + MARGIN * span)
    if math.isnan(constant_score):
        return []
    label = f"constant baseline {constant_score:.4g}"
    ends = min(low, constant_score), max(high, constant_score)
    whole = max(ends[1] - ends[0], span)  # equal scores have a range too
    if span / whole < LEAST_SHARE:
        _compress(axes, along, (low, high), constant_score, theme)
        label += "; the axis is compressed in the grey band"
    else:
        set_limits(ends[0] - MARGIN * whole, ends[1] + MARGIN * whole)
    line: dict[str, Any] = {"color": theme.ink, "linewidth": 1, "linestyle": DOTTED}
    (axes.axvline if along == "x" else axes.axhline)(constant_score, **line)
    return [Line2D([], [], **line, label=label)]


def _compress(
    axes: Axes, along: Literal["x", "y"], scores: tuple[float, float], constant_score: float, theme: Theme
) -> None:
    """Compress the axis between the scores and a constant baseline that is far from them."""
    low, high = scores
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    side = 1 if constant_score < low else -1  # the baseline is below, or above
    near = low - MARGIN * span if side > 0 else high + MARGIN * span  # the end of what is not compressed
    factor = COMPRESSED * span / abs(near - constant_score)
    set_scale, axis = (axes.set_xscale, axes.xaxis) if along == "x" else (axes.set_yscale, axes.yaxis)
    set_scale("function", functions=(_bend(near, factor, side), _bend(near, 1 / factor, side)))
    edges = [constant_score - side * MARGIN * span / factor, (high if side > 0 else low) + side * MARGIN * span]
    (axes.set_xlim if along == "x" else axes.set_ylim)(*sorted(edges))
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if side * tick >= side * near]
    axis.set_major_locator(FixedLocator([constant_score, *(t for t in ticks if min(edges) <= t <= max(edges))]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axis.set_minor_locator(FixedLocator([]))
    band = constant_score + 0.35 * (near - constant_score), near
    (axes.axvspan if along == "x" else axes.axhspan)(*band, color=theme.grid, alpha=0.6, linewidth=0, zorder=0)
    marks: dict[str, Any] = {"marker": BREAK_MARK, "markersize": 8, "linestyle": "", "color": theme.ink}
    middle = [constant_score + part * (near - constant_score) for part in (0.6, 0.75)]
    x, y = (middle, [0, 0]) if along == "x" else ([0, 0], middle)
    transform = axes.get_xaxis_transform() if along == "x" else axes.get_yaxis_transform()
    axes.plot(x, y, transform=transform, clip_on=False, **marks)


def _bend(near: float, factor: float, side: int) -> Callable[[Any], Any]:
    """Return a function that stretches what lies beyond `near` by `factor`, and leaves all else."""

    def bent(value: Any) -> Any:
        value = np.asarray(value, float)
        return np.where(side * value < side * near, near + (value - near) * factor, value)

    return bent
