"""Draw barrier.png: loss and score against α, for each pair of runs a row of two panels."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.methods import looks
from prunebert.drawing.png import png as png_of
from prunebert.drawing.theme import LIGHT, WIDTH
from prunebert.errors import visible

MOST = 8  # pairs that are drawn
HEIGHT = 2.3  # inches of a row
LEGEND = 0.35  # inches
OWN, UNION = "#1B5FAA", "#D95F02"  # colours of the two lines


def png(found: dict[str, Any]) -> bytes:
    """Return the picture of what barrier.json has."""
    return png_of(lambda: draw(found))


def draw(found: dict[str, Any]) -> Figure:
    """Draw the lines of the first pairs. See `png`."""
    pairs = found["pairs"][:MOST]
    figure = Figure(figsize=(WIDTH, 1))
    more = f"; {len(pairs)} of {len(found['pairs'])} pairs" if len(pairs) < len(found["pairs"]) else ""
    rows = f"{found['rows']:,} {'training' if found['on'] == 'train' else 'evaluation'} rows"
    title = add_title(figure, f"On the line between two runs, {rows}{more}")
    names = [fit(visible(label), (WIDTH / 2 - 1.2) * POINTS, 7, 1) for label in found["labels"]]
    figure.set_figheight(HEIGHT * len(pairs) + title + LEGEND)
    grid = figure.subplots(len(pairs), 2, squeeze=False)
    method_looks = looks(run["method"] for run in found["runs"])
    for row, pair in zip(grid, pairs, strict=True):
        for axes, key, label in zip(row, ("loss", "score"), ("loss", found["metric"]), strict=True):
            ends = [method_looks[found["runs"][pair[end]]["method"]][:2] for end in "ab"]
            _draw(axes, pair, key, found["alphas"], ends)
            axes.set_ylabel(fit(visible(label), (HEIGHT - 1) * POINTS, 8, 2))
            axes.set_xlabel(f"α = 0: {names[pair['a']]}\nα = 1: {names[pair['b']]}", fontsize=7)
    handles = [
        Line2D([], [], color=OWN, marker=".", label="own masks"),
        Line2D([], [], color=UNION, marker=".", linestyle="--", label="union of the masks"),
        Line2D([], [], color=LIGHT.ink, linewidth=0.7, linestyle=":", label="no barrier (straight between the ends)"),
        Line2D([], [], color=LIGHT.ink, marker="o", linestyle="", label="the runs"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7)
    return figure


def _draw(axes: Axes, pair: dict[str, Any], key: str, alphas: list[float], ends: list[tuple[str, str]]) -> None:
    """Draw one quantity of a pair. ends: colour and mark of each end's method."""
    values = pair["sparse"][key]
    axes.plot([0, 1], [values[0], values[-1]], color=LIGHT.ink, linewidth=0.7, linestyle=":")
    axes.plot(alphas, pair["union"][key], color=UNION, marker=".", markersize=4, linestyle="--")
    axes.plot(alphas, values, color=OWN, marker=".", markersize=4)
    for x, y, (colour, mark) in zip((0, 1), (values[0], values[-1]), ends, strict=True):
        axes.plot([x], [y], mark, color=colour, markersize=7, clip_on=False, zorder=3)
    axes.grid(True, linewidth=0.4)
    axes.set_axisbelow(True)
    if max(values + pair["union"][key]) - min(values + pair["union"][key]) < 1e-9:
        axes.margins(y=1)
