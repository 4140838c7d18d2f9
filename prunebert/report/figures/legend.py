"""Put a legend below a figure, in as many columns as fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from prunebert.drawing.labels import POINTS, fit, text_width

SIZE = 7.0  # of the font in points
HANDLE = 3.0  # length of a line's sample, in widths of the font
BESIDE = 2.8  # the gaps beside a sample and between columns, in widths of the font
MOST_COLUMNS = 8
LINE = 1.45  # height of a line, in sizes of the font


def add_legend(figure: Figure, handles: Sequence[Any], size: float = SIZE, handle: float = HANDLE) -> float:
    """Add the legend, and return its height in inches. The figure has its width already.

    Args:
        figure: the figure.
        handles: what the legend lists, with labels. A label may have more than one line's letters.
        size: of the font in points.
        handle: the length of a sample, in widths of the font.
    """
    beside = (handle + BESIDE) * size
    width = figure.get_figwidth() * POINTS - 2 * size
    labels = [fit(str(h.get_label()), width - beside, size) for h in handles]
    widths = [max(text_width(line, size) for line in label.split("\n")) + beside for label in labels]
    columns = next(n for n in range(min(MOST_COLUMNS, len(labels)), 0, -1) if n == 1 or _width(widths, n) <= width)
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, handlelength=handle, fontsize=size, columnspacing=2
    )
    lines = [float(label.count("\n") + 1) for label in labels]
    return (max(map(sum, _split(lines, columns))) * LINE * size + 8) / POINTS


def _width(widths: list[float], columns: int) -> float:
    return sum(map(max, _split(widths, columns)))


def _split(values: list[float], columns: int) -> list[list[float]]:
    """Split as matplotlib fills a legend: column by column, the first ones with one entry more."""
    rows, longer = divmod(len(values), columns)
    ends = [column * rows + min(column, longer) for column in range(columns + 1)]
    return [values[start:end] for start, end in pairwise(ends)]
