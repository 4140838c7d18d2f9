"""report.html: one file that needs no other, no network and no program but a browser."""

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
    """A figure in both themes, as base64 of PNG files."""

    name: str
    caption: str
    light: str
    dark: str
    width: int


@dataclass(frozen=True)
class Part:
    """What stands in a section, in this order. text: a paragraph a line. folded: behind this line is the table."""

    heading: str = ""
    text: str = ""
    table: Table | None = None
    folded: str = ""
    figure: Picture | None = None


@dataclass(frozen=True)
class Section:
    """A heading of the page and what stands under it. anchor: its name in links."""

    title: str
    anchor: str
    parts: list[Part] = field(default_factory=list)


def html(title: str, summary: list[str], trouble: str, sections: list[Section]) -> str:
    """The page. Every text that came from a file is escaped by the template."""
    from jinja2 import Environment, StrictUndefined

    source = (files("prunebert.report") / "page.html").read_text("utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return template.render(title=title, summary=summary, trouble=trouble, sections=sections)


def drawn(drawing: Drawing, folder: Path) -> Picture:
    """Draw a figure: NAME.png and NAME.pdf in `folder`, and both themes for the page."""
    import matplotlib

    shown = {}
    for theme in (LIGHT, DARK):
        with matplotlib.rc_context(theme.rc()):
            figure = drawing.draw(theme=theme)
            stream = io.BytesIO()
            figure.savefig(stream, format="png", metadata={"Software": None})
            shown[theme.name] = stream.getvalue()
            if theme is LIGHT:
                figure.set_layout_engine("none")  # all stays where it is, and need not be placed again
                figure.savefig(folder / f"{drawing.name}.pdf", metadata={"CreationDate": None})
    (folder / f"{drawing.name}.png").write_bytes(shown["light"])
    encoded = {name: base64.b64encode(png).decode() for name, png in shown.items()}
    return Picture(drawing.name, drawing.caption, encoded["light"], encoded["dark"], round(figure.get_figwidth() * 130))
