"""Write report.html: a single file that a browser shows without a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from importlib import resources
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from prunebert.errors import visible
from prunebert.report.figures.style import Drawing
from prunebert.report.page.tables import Table
from prunebert.runs import files

if TYPE_CHECKING:
    from prunebert.report.figures.picture import Document

SCRIPTS = ("tables.js",)  # in the order in which the page runs them
CHARTS = (  # the same for pages with interactive charts, after Plotly
    *("charts.js", "chart_choice.js", "chart_score.js", "chart_pareto.js", "chart_training.js"),
    *("chart_answers.js", "chart_disagreement.js", "chart_start.js"),
)


class Piece(NamedTuple):
    """A part of a sentence."""

    text: str
    is_name: bool  # shown in code font


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
    _: KW_ONLY
    folded: str = ""  # if given, what follows is folded behind this line
    text: str = ""  # a paragraph per line
    points: list[list[Piece]] = field(default_factory=list)  # a list of sentences; with a figure, they stand beside it
    table: Table | None = None
    chart: str = ""  # an interactive chart that scripts draw; the figure is shown where there are no scripts
    chart_table: str = ""  # the table whose runs the chart shows; "" for all
    figure: Picture | Drawing | None = None  # a Drawing until it is drawn, see `drawn`
    undrawn: str = ""  # why the page lacks this part's figure
    parts: list[Part] = field(default_factory=list)  # within this part
    choice: str = ""  # if given, one of `parts` is shown at a time; this text names what their headings are values of
    chosen: int = 0  # the index of the part that is shown first


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    title: str
    anchor: str  # its name in links
    parts: list[Part] = field(default_factory=list)


def render(
    title: str, summary: list[str], trouble: str, sections: list[Section], data: Mapping[str, Any] | None = None
) -> str:
    """Return the page's HTML. The template escapes every text.

    Args:
        title: the page's title.
        summary: the first paragraphs. Empty ones are left out.
        trouble: what went wrong, in one line that leads to the last section; or "".
        sections: the sections in their order. Those without parts are left out.
        data: what the interactive charts show; None if there are none.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_shown)
    template = environment.from_string(_source("page.html"))
    return template.render(
        title=title,
        summary=[*filter(None, summary)],
        trouble=trouble,
        sections=[section for section in sections if section.parts],
        css=Markup(_source("page.css") + (_source("charts.css") if data else "")),
        scripts=[Markup(script) for script in _scripts(with_charts=bool(data))],
        data=Markup(_json(data)) if data else "",
    )


def _scripts(with_charts: bool) -> list[str]:
    """Return the page's scripts. Plotly takes 4.8 MB, so a page without charts lacks it."""
    plotly = [plotly_script()] if with_charts else []
    return [*plotly, *(_source(name) for name in (*SCRIPTS, *(CHARTS if with_charts else ())))]


def plotly_script() -> str:
    """Return Plotly's script out of the package plotly, which is not imported."""
    return Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js"))).read_text("utf-8")


def _source(name: str) -> str:
    """Return a file that lies beside this one."""
    return (resources.files("prunebert.report.page") / name).read_text("utf-8")


def _json(data: Mapping[str, Any]) -> str:
    """Return JSON that may stand within a script element: no character of it can end the element.

    Every text in it is shown as the page's other texts are, see `errors.visible`.
    """
    text = json.dumps(_all_shown(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _all_shown(value: Any) -> Any:
    """Return a JSON value with `visible` applied to each text within."""
    if isinstance(value, Mapping):
        return {_all_shown(key): _all_shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_all_shown(inner) for inner in value]
    return _shown(value)


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def draw_picture(drawing: Drawing, folder: Path, document: Document) -> Picture:
    """Draw a figure, write NAME.png into `folder`, append it to the document, and return both themes for the page."""
    from prunebert.report.figures import picture

    drawn = picture.render(drawing, document)
    files.write(folder, f"{drawing.name}.png", drawn.light)
    light, dark = (base64.b64encode(content).decode() for content in (drawn.light, drawn.dark))
    return Picture(drawing.name, drawing.caption, light, dark, round(drawn.width * 130))
