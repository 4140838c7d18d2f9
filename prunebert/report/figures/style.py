"""Name a figure of the report. Colours, marks and sizes are those of prunebert.drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from prunebert.drawing.methods import METHODS, look, looks
from prunebert.drawing.theme import DARK, LIGHT, WIDTH, Theme

__all__ = ["DARK", "LIGHT", "METHODS", "WIDTH", "Drawing", "Theme", "look", "looks"]


@dataclass(frozen=True)
class Drawing:
    """A figure that will be drawn once in each theme."""

    name: str  # of its files
    caption: str
    draw: Callable[..., Figure]  # called as draw(theme=…)
