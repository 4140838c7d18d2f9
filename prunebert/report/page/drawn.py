"""Choose which figures of a page are drawn, and draw them. Drawing takes most of the time of a report.

A page with many figures draws those first that a reader sees without a click, and as many of each section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from prunebert.report.figures.style import Drawing
from prunebert.report.page.page import Part, Picture, Section
from prunebert.system.console import counted

MOST = {500: 24, 1500: 12}  # figures of a page with at most so many runs; figures of many runs take longer
LEAST = 6  # figures of a page with more runs than that


def planned(drawing: Drawing) -> Drawing:
    """Leave a figure for later, when it is known which figures the page draws."""
    return drawing


def limit(runs: int) -> int:
    """Return how many figures the page of so many runs draws."""
    return next((figures for most, figures in MOST.items() if runs <= most), LEAST)


def choose(sections: list[Section], most: int | None) -> list[Drawing]:
    """Return the figures that the page draws, in the order of the page.

    Open figures come before hidden ones. A hidden figure is folded, or behind a button that is not chosen. Of equals,
    the first of every section come first, then the second of every section, and so on.

    Args:
        sections: what the page shows.
        most: how many are drawn at most; None for all.
    """
    ranked: list[tuple[bool, int, int, Drawing]] = []
    seen: set[str] = set()
    for section in sections:
        counts = {False: 0, True: 0}
        for drawing, hidden in _figures(section.parts, hidden=False):
            if drawing.name in seen:  # the figure above the findings comes again in its section
                continue
            seen.add(drawing.name)
            ranked.append((hidden, counts[hidden], len(ranked), drawing))
            counts[hidden] += 1
    ranked = sorted(ranked, key=lambda each: each[:3])[:most]
    return [drawing for *_, drawing in sorted(ranked, key=lambda each: each[2])]


def _figures(parts: list[Part], hidden: bool) -> Iterator[tuple[Drawing, bool]]:
    for part in parts:
        folded = hidden or bool(part.folded)
        if isinstance(part.figure, Drawing):
            yield part.figure, folded
        for i, inner in enumerate(part.parts):
            yield from _figures([inner], folded or (bool(part.choice) and i != part.chosen))


def draw_figures(sections: list[Section], chosen: list[Drawing], draw: Callable[[Drawing], Picture]) -> list[Section]:
    """Return the sections with pictures in the place of the chosen figures, and with a sentence in that of others.

    Args:
        sections: what the page shows.
        chosen: the figures to draw, see `choose`.
        draw: draws a figure.
    """
    pictures = {drawing.name: draw(drawing) for drawing in chosen}
    total = len({drawing.name for section in sections for drawing, _ in _figures(section.parts, hidden=False)})
    note = (
        f"Not drawn: this figure. Of {counted(total, 'figure')}, this page draws {len(pictures)}, the open ones first. "
        "`prunebert report --all-figures` draws all."
    )

    def filled(part: Part) -> Part:
        inner = [filled(each) for each in part.parts]
        if not isinstance(part.figure, Drawing):
            return replace(part, parts=inner)
        found = pictures.get(part.figure.name)
        return replace(part, parts=inner, figure=found, undrawn="" if found else note)

    return [replace(section, parts=[filled(part) for part in section.parts]) for section in sections]
