"""Draw published curves and points into a figure of scores against sparsity."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from prunebert.drawing.methods import Look
from prunebert.drawing.theme import Theme
from prunebert.report.figures.scales import DOTTED, to_axis, to_sparsity

SOURCE_MARKS = ("o", "s", "D", "^", "v", "P", "X", "h")
CURVE_MARKS = ("1", "2", "3", "4", "+", "|")  # no method and no source has these
DENOMINATOR_NAMES = {"encoder_pooler": "encoder and pooler", "encoder_pooler_embeddings": "encoder, pooler, embeddings"}


def draw_curves(axes: Axes, published_curves: list[pd.DataFrame], method_looks: dict[str, Look]) -> list[Line2D]:
    """Draw published curves thin and faint in the colours of their methods, and return the legend's entries."""
    handles = []
    for i, curve in enumerate(published_curves):
        point = curve.iloc[0]
        style: dict[str, Any] = {"color": method_looks[point["method"]][0]}
        style |= {"marker": CURVE_MARKS[i % len(CURVE_MARKS)], "alpha": 0.55, "linewidth": 0.7, "markersize": 4}
        style["linestyle"] = DOTTED if point["kd"] == "no" else "-"
        axes.plot(curve["sparsity"], curve["score"], **style)
        handles.append(Line2D([], [], **style, label=f"published: {describe(point)}"))
    return handles


def describe(point: pd.Series) -> str:
    """Return the source, method, settings and kind of teacher of a published number."""
    words = [point["source"], point["method"], *(word for word in point["variant"].split(";") if word)]
    words.append({"no": "no KD", "logits": "KD"}.get(point["kd"], f"KD {point['kd']}"))
    return ", ".join(words)


def of_weights(denominator: str) -> str:
    """Return which weights a published sparsity is a fraction of; "" for those of the encoder."""
    return "" if denominator == "encoder" else f", of {DENOMINATOR_NAMES.get(denominator, 'unknown weights')}"


def draw_points(
    axes: Axes, points: pd.DataFrame, gap: float, theme: Theme, method_looks: dict[str, Look], ran: set[str]
) -> list[Line2D]:
    """Draw published points, and return the legend's entries.

    The mark shows the source, the colour the method. A point is filled if a teacher was used. Each source is shifted a
    little more to the right of its sparsity, because points would otherwise hide each other.

    Args:
        axes: where to draw.
        points: published numbers; see `draw_scores`.
        gap: see `sparsity_axis`.
        theme: the figure's colours.
        method_looks: the look of each method.
        ran: the methods with runs, which are in the legend already.
    """
    handles, drawn_methods = [], set()
    sources = points.groupby(["source", "denominator"], sort=False)
    for i, ((source, denominator), rows) in enumerate(sources):
        mark = SOURCE_MARKS[i % len(SOURCE_MARKS)]
        for _, point in rows.iterrows():
            colour = method_looks[point["method"]][0]
            fill = colour if point["kd"] != "no" else theme.paper
            x = to_sparsity(to_axis(point["sparsity"]) + gap * (i + 1) * min(0.25, 0.9 / len(sources)))
            axes.plot(x, point["score"], mark, color=colour, markerfacecolor=fill, markersize=4.5)
            drawn_methods.add(point["method"])
        label = f"published: {source}{of_weights(denominator)}"
        handles.append(Line2D([], [], color=theme.ink, marker=mark, linestyle="", markerfacecolor="none", label=label))
    for method in sorted(drawn_methods - ran):
        colour = method_looks[method][0]
        handles.append(Line2D([], [], color=colour, marker="o", linestyle="", label=f"{method}: published only"))
    return handles
