"""Draw a figure once, and save it in both themes and as a PDF.

Laying out a figure takes most of the time. The dark picture has the layout of the light one, with other colours.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from prunebert.report.style import DARK, LIGHT, Drawing, Theme

COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")  # properties of artists


@dataclass(frozen=True)
class Files:
    """The contents of a figure's files."""

    light: bytes  # a PNG file
    dark: bytes  # the same in the dark theme
    pdf: bytes  # in the light theme
    width: float  # in inches


def render(drawing: Drawing) -> Files:
    """Draw a figure and return the contents of its files."""
    with matplotlib.rc_context(LIGHT.rc()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box
        figure = drawing.draw(theme=LIGHT)
        light = _png(figure)
        figure.set_layout_engine("none")  # keeps the layout of the light picture
        pdf = _pdf(figure)
        recolour(figure, LIGHT, DARK)
        return Files(light, _png(figure), pdf, figure.get_figwidth())


def _pdf(figure: Figure) -> bytes:
    dpi = figure.get_dpi()
    stream = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(stream, metadata={"CreationDate": None})
    figure.set_dpi(dpi)  # print_pdf leaves its own there
    return stream.getvalue()


def _png(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    stream = io.BytesIO()
    dpi = figure.get_dpi()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(stream, "png", dpi=(dpi, dpi))
    return stream.getvalue()


def recolour(figure: Figure, old: Theme, new: Theme) -> None:
    """Replace the colours of one theme in a figure by those of another. All other colours stay."""
    swaps = {to_rgb(getattr(old, name)): getattr(new, name) for name in ("paper", "ink", "grid")}
    for artist in figure.findobj():
        for name in COLOURS:
            colour = _single_colour(artist, name)
            # white text is not paper: it stands on a dark cell, in both themes
            if colour in swaps and not (isinstance(artist, Text) and colour == to_rgb(old.paper)):
                getattr(artist, f"set_{name}")(swaps[colour])


def _single_colour(artist: Any, name: str) -> tuple[float, float, float] | None:
    """Return an artist's colour, as RGB; None if it has no such property, no colour there, or several."""
    if not (hasattr(artist, f"get_{name}") and hasattr(artist, f"set_{name}")):
        return None
    colour = getattr(artist, f"get_{name}")()
    if not matplotlib.colors.is_color_like(colour) or (isinstance(colour, str) and colour.lower() == "none"):
        return None
    return to_rgb(colour)
