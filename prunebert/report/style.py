"""How every figure looks: two themes, and for each method one colour and one mark that it keeps in all figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

WIDTH = 7.0  # inches, the text of a page
# After Okabe & Ito and Tol, without what vanishes on white or on black; marks tell the near ones apart.
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
    "obert": ("#77AA44", "p"),  # published only, from here on
    "cap": ("#BB8866", "p"),
    "supertickets": ("#6699CC", "p"),
    "feature_extraction": ("#AA7799", "p"),
}
OTHERS = ("#B8A000", "#5E8C8C", "#C06C84")  # methods of your own, by name
LINES = ("-", "--", ":", "-.")  # of a method's variants


@dataclass(frozen=True)
class Theme:
    """Colours of a figure: what it is drawn on, text and axes, and the grid's lines."""

    name: str
    paper: str
    ink: str
    grid: str

    def rc(self) -> dict[Any, Any]:
        """matplotlib's settings."""
        ink = dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "legend.labelcolor"),
            self.ink,
        )
        paper = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), self.paper)
        return {
            **ink,
            **paper,
            "grid.color": self.grid,
            "text.parse_math": False,  # a $ in a name is a $
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "legend.fontsize": 7,
            "lines.markersize": 5,
            "lines.linewidth": 1.3,
            "savefig.dpi": 160,
            "pdf.fonttype": 42,
            "figure.constrained_layout.use": True,
        }


LIGHT = Theme("light", "#ffffff", "#1b1b1b", "#dddddd")
DARK = Theme("dark", "#16181c", "#e4e4e4", "#3a3d44")


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn, once in each theme. name: of its files; caption: what is seen; draw(theme=…) makes it."""

    name: str
    caption: str
    draw: Callable[..., Figure]


def look(method: str) -> tuple[str, str]:
    """(colour, mark) of a method, always the same."""
    if method in METHODS:
        return METHODS[method]
    return OTHERS[sum(method.encode()) % len(OTHERS)], "d"
