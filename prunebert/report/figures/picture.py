"""Draw a figure once, and save it in both themes and as a PDF.

Laying out a figure takes most of the time. The dark picture has the layout of the light one, with other colours.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject

from prunebert.report.figures.style import DARK, LIGHT, Drawing, Theme

COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")  # properties of artists

MAX_PAGES = 16  # of a PDF document that is written at once


@dataclass(frozen=True)
class Files:
    """The contents of a figure's PNG files."""

    light: bytes
    dark: bytes
    width: float  # in inches


class Document:
    """A PDF document with a figure on each page, in parts of MAX_PAGES pages.

    The pages of a part share the fonts, which take longer than the figures. A part holds the images of its maps in
    memory, 5 MB a map, until it is finished.
    """

    def __init__(self) -> None:
        """Start a document without pages."""
        self._files: dict[str, bytes] = {}  # of the finished parts, by name
        self._start()

    def _start(self) -> None:
        self.names: list[str] = []  # of the pages of this part
        self._stream = io.BytesIO()
        self._pages = PdfPages(self._stream, metadata={"CreationDate": None})

    def add(self, name: str, figure: Figure) -> None:
        """Append a figure as a page."""
        if len(self.names) == MAX_PAGES:
            self._finish()
            self._start()
        dpi = figure.get_dpi()
        FigureCanvasPdf(figure).print_pdf(self._pages)
        figure.set_dpi(dpi)  # print_pdf leaves its own there
        self.names.append(name)

    def split(self) -> dict[str, bytes]:
        """Finish the document, and return a document of its own for each page, by name."""
        self._finish()
        return self._files

    def _finish(self) -> None:
        with matplotlib.rc_context(LIGHT.rc()):  # the fonts are written now
            self._pages.close()
        pages = PdfReader(self._stream).pages if self.names else []
        self._files |= {name: _single_page(page) for name, page in zip(self.names, pages, strict=True)}


def _single_page(page: Any) -> bytes:
    """Return a document of one page, with those images of the whole document that the page shows."""
    shown = {name.decode() for name in re.findall(rb"(/\S+) Do\b", page.get_contents().get_data())}
    resources = page["/Resources"]
    images = {NameObject(name): image for name, image in resources["/XObject"].items() if name in shown}
    page[NameObject("/Resources")] = DictionaryObject({**resources, NameObject("/XObject"): DictionaryObject(images)})
    writer, stream = PdfWriter(), io.BytesIO()
    writer.add_page(page)
    writer.write(stream)
    return stream.getvalue()


def render(drawing: Drawing, document: Document) -> Files:
    """Draw a figure, append it to the document, and return the contents of its PNG files."""
    with matplotlib.rc_context(LIGHT.rc()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box
        figure = drawing.draw(theme=LIGHT)
        canvas = FigureCanvasAgg(figure)
        light = _png(canvas)
        figure.set_layout_engine("none")  # keeps the layout of the light picture
        document.add(drawing.name, figure)
        recolour(figure, LIGHT, DARK)
        return Files(light, _png(canvas), figure.get_figwidth())


def _png(canvas: FigureCanvasAgg) -> bytes:
    canvas.draw()
    stream = io.BytesIO()
    dpi = canvas.figure.get_dpi()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(
        stream, "png", dpi=(dpi, dpi), compress_level=3
    )
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
