"""Define the colours and sizes that all figures share, in a light and a dark theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WIDTH = 7.0  # inches, the text width of a page
DPI = 160


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
            "figure.titlesize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "legend.fontsize": 7,
            "lines.markersize": 5,
            "lines.linewidth": 1.3,
            "figure.dpi": DPI,
            "pdf.fonttype": 42,
            "figure.constrained_layout.use": True,
        }


LIGHT = Theme("light", "#ffffff", "#1b1b1b", "#dddddd")
DARK = Theme("dark", "#16181c", "#e4e4e4", "#3a3d44")
