"""Define the colour scales of heat maps. A colour means the same in every figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.image import AxesImage

OVERLAP_MAP = "PuOr_r"  # of overlaps beyond chance, from -1 to 1; white is 0, as by chance
OVERLAP_LIMITS = (-1.0, 1.0)
RATIO_TICKS = (0.25, 0.5, 1, 2, 4)  # of values relative to random masks; they have the colours of overlaps
DENSITY_MAP = "viridis"
# Of fractions that remain. The cube root, as in CIE's lightness, separates 1 % from 3 % and 50 % from 80 %.
DENSITY_TICKS = (1, 0, 0.1, 0.5, 0.01, 0.2, 0.03, 0.001)  # the most important first
TICK_SPACE = 10.0  # points
DENSITY_EXPONENT = 1 / 3


def density_norm() -> PowerNorm:
    """Return the scale of remaining fractions, from 0 to 1. It serves every sparsity."""
    return PowerNorm(DENSITY_EXPONENT, vmin=0, vmax=1)


def ratio_norm() -> LogNorm:
    """Return the scale of ratios: 1 is the middle, and a half is as far from it as 2. Others have the last colours."""
    return LogNorm(RATIO_TICKS[0], RATIO_TICKS[-1])


def density_ticks(height: float) -> list[float]:
    """Return the ticks whose labels do not touch on a colour bar of `height` points, sorted."""
    ticks: list[float] = []
    for tick in DENSITY_TICKS:
        if all(abs(tick**DENSITY_EXPONENT - other**DENSITY_EXPONENT) * height >= TICK_SPACE for other in ticks):
            ticks.append(tick)
    return sorted(ticks)


def percent(fraction: float) -> str:
    """Format a fraction as a percentage in at most three characters: 97, 3.0, .04."""
    value = 100 * fraction
    text = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 else f"{value:.2f}".removeprefix("0")
    return {".00": "0" if value == 0 else "<.01", "0.0": "0"}.get(text, text)


def write_values(axes: Axes, image: AxesImage, texts: list[list[str]], size: float) -> None:
    """Write a text into each cell of a heat map, in black or white, whichever has more contrast.

    The layout of the figure need not measure what lies inside the panel.
    """
    values: np.ndarray = np.ma.filled(np.ma.asarray(image.get_array()), np.nan)
    colours = np.asarray(image.cmap(image.norm(values)))
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            if text:
                ink = _text_colour(colours[row, column])
                axes.text(column, row, text, ha="center", va="center", fontsize=size, color=ink).set_in_layout(False)


def _text_colour(cell: np.ndarray) -> str:
    """Return black or white. The luminance is that of WCAG 2; both contrast equally with 0.179."""
    linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in cell[:3]]
    return "white" if np.dot(linear, (0.2126, 0.7152, 0.0722)) < 0.179 else "black"
