"""Write report.html: a single file that a browser shows without a network."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from prunebert.report.style import DARK, LIGHT, Drawing
from prunebert.report.tables import Table


@dataclass(frozen=True)
class Picture:
    """A figure in both themes."""

    name: str  # of its files in figures/
    caption: str
    light: str  # a PNG file in base64
    dark: str  # the same in the dark theme
    width: int  # in CSS pixels


@dataclass(frozen=True)
class Part:
    """A part of a section. The page shows its fields in this order."""

    heading: str = ""
    text: str = ""  # a paragraph per line
    table: Table | None = None
    folded: str = ""  # if given, the table is folded behind this line
    figure: Picture | None = None


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    title: str
    anchor: str  # its name in links
    parts: list[Part] = field(default_factory=list)


def render(title: str, summary: list[str], trouble: str, sections: list[Section]) -> str:
    """Return the page's HTML. The template escapes every text."""
    from jinja2 import Environment, StrictUndefined

    source = (files("prunebert.report") / "page.html").read_text("utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return template.render(title=title, summary=summary, trouble=trouble, sections=sections)


def draw_picture(drawing: Drawing, folder: Path) -> Picture:
    """Draw a figure, write NAME.png and NAME.pdf into `folder`, and return both themes for the page."""
    import matplotlib

    png = {}
    for theme in (LIGHT, DARK):
        with matplotlib.rc_context(theme.rc()):
            figure = drawing.draw(theme=theme)
            stream = io.BytesIO()
            figure.savefig(stream, format="png", metadata={"Software": None})
            png[theme.name] = stream.getvalue()
            if theme is LIGHT:
                figure.set_layout_engine("none")  # keeps the layout of the PNG, and saves time
                figure.savefig(folder / f"{drawing.name}.pdf", metadata={"CreationDate": None})
    (folder / f"{drawing.name}.png").write_bytes(png["light"])
    encoded = {theme: base64.b64encode(content).decode() for theme, content in png.items()}
    return Picture(drawing.name, drawing.caption, encoded["light"], encoded["dark"], round(figure.get_figwidth() * 130))
