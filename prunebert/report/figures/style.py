"""Define the look of all figures: two themes, and one colour and one mark for each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

WIDTH = 7.0  # inches, the text width of a page
# After Okabe & Ito and Tol, without colours that vanish on white or on black. Marks distinguish similar colours.
METHODS = {
    "dense": ("#8C6BB1", "o"),
    "random": ("#999999", "x"),
    "magnitude": ("#0072B2", "s"),
    "imp": ("#56B4E9", "D"),
    "gmp": ("#4477AA", "v"),
    "movement": ("#E69F00", "^"),
    "soft_movement": ("#D55E00", "<"),
    "l0": ("#A6761D", ">"),
    "sparsebert": ("#44AA99", "P"),
    "tamt": ("#009E73", "X"),
    "abp": ("#CC79A7", "h"),
    "smp": ("#EE3377", "*"),
    "obert": ("#77AA44", "p"),  # this and the next: published only
    "cap": ("#BB8866", "p"),
    "supertickets": ("#6699CC", "p"),
    "feature_extraction": ("#AA7799", "p"),
}
OTHER_COLOURS = ("#B8A000", "#5E8C8C", "#C06C84")  # for other methods, chosen by their name
LINES = ("-", "--", ":", "-.")  # for the variants of a method


@dataclass(frozen=True)
class Theme:
    """The colours of a figure."""

    name: str
    paper: str  # background
    ink: str  # text and axes
    grid: str  # grid lines

    def rc(self) -> dict[Any, Any]:
        """Return matplotlib's settings."""
        ink = dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "legend.labelcolor"),
            self.ink,
        )
        paper = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), self.paper)
        return {
            **ink,
            **paper,
            "grid.color": self.grid,
            "text.parse_math": False,  # a $ in a name is no formula
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "legend.fontsize": 7,
            "lines.markersize": 5,
            "lines.linewidth": 1.3,
            "figure.dpi": 160,
            "pdf.fonttype": 42,
            "figure.constrained_layout.use": True,
        }


LIGHT = Theme("light", "#ffffff", "#1b1b1b", "#dddddd")
DARK = Theme("dark", "#16181c", "#e4e4e4", "#3a3d44")


@dataclass(frozen=True)
class Drawing:
    """A figure that will be drawn once in each theme."""

    name: str  # of its files
    caption: str
    draw: Callable[..., Figure]  # called as draw(theme=…)


def look(method: str) -> tuple[str, str]:
    """Return the colour and the mark of a method."""
    if method in METHODS:
        return METHODS[method]
    return OTHER_COLOURS[sum(method.encode()) % len(OTHER_COLOURS)], "d"
