"""Find every line of text that a figure draws, and check that none leaves the canvas and no two overlap."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

DPI = 100
TOUCH = 1.0  # pixels that two boxes may share, because letters are rounded to pixels


class Line(NamedTuple):
    """A line of text on the canvas, in pixels from the lower left."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


class Recorder(RendererAgg):
    """A renderer that notes each line of text in place of drawing it, and draws nothing else."""

    def __init__(self, figure: Figure) -> None:
        width, height = figure.bbox.size
        super().__init__(width, height, figure.dpi)
        self.lines: list[Line] = []
        for name in ("draw_path", "draw_markers", "draw_path_collection", "draw_quad_mesh", "draw_image"):
            setattr(self, name, lambda *_, **__: None)

    def draw_text(self, gc, x, y, text, font, angle, ismath=False, mtext=None):
        """Note the box of a line that begins at (x, y), in pixels from the upper left."""
        width, height, descent = self.get_text_width_height_descent(text, font, ismath)
        turn = np.deg2rad(angle)
        along, up = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        start = np.array([x, self.height - y]) - descent * up
        corners = np.array([start + a * width * along + b * height * up for a in (0, 1) for b in (0, 1)])
        if text.strip():
            self.lines.append(Line(text, *corners.min(0), *corners.max(0)))


def lines_of(figure: Figure) -> list[Line]:
    """Return the lines of text that matplotlib asks its renderer to draw."""
    figure.set_dpi(DPI)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box
        recorder = Recorder(figure)
        figure.draw(recorder)
    return recorder.lines


def faults(figure: Figure) -> list[str]:
    """Return what cannot be read: text beyond the canvas, and pairs of lines that overlap."""
    lines = lines_of(figure)
    assert len(lines) > 3  # otherwise nothing was drawn
    width, height = figure.bbox.size
    found = [
        f"{line.text!r} leaves the canvas {width:.0f} × {height:.0f}: {[round(x) for x in line[1:]]}"
        for line in lines
        if line.x0 < -TOUCH or line.y0 < -TOUCH or line.x1 > width + TOUCH or line.y1 > height + TOUCH
    ]
    x0, y0, x1, y1 = (np.array(side) for side in list(zip(*lines, strict=True))[1:])
    shared_x = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0)
    shared_y = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    overlapping = np.triu((shared_x > TOUCH) & (shared_y > TOUCH), 1)
    return found + [f"{lines[i].text!r} overlaps {lines[j].text!r}" for i, j in np.argwhere(overlapping)]


def rc(theme) -> matplotlib.rc_context:
    """Return the context in which a report draws."""
    return matplotlib.rc_context(theme.rc())
