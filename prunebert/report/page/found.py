"""Say first what was found: the findings beside the main figure, and what the runs cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from prunebert.report.collect import Trouble
from prunebert.report.figures.style import Drawing
from prunebert.report.findings import figure, limits, sentences, text
from prunebert.report.findings.results import Results
from prunebert.report.page import scores, tuning
from prunebert.report.page.drawings import Draw
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study

LIMITS = "What these runs cannot say"


def section(asked: Study, draw: Draw) -> Section:
    """Return the section: the findings with the main figure, then the limits."""
    found = results(asked, asked.collected.troubles)
    points = [text.pieces(sentence) for sentence in sentences.sentences(found)]
    first = Part(points=points, figure=draw(main_figure(found)))
    return Section(
        "What was found",
        "findings",
        [first, Part(LIMITS, points=[text.pieces(sentence) for sentence in limits.limits(found)])],
    )


def results(asked: Study, troubles: Sequence[Trouble]) -> Results:
    """Return what the findings are computed from.

    Args:
        asked: what the page shows.
        troubles: what the report lists as missing or damaged.
    """
    every = asked.collected.runs
    chose_rates = every[tuning.are_tuning(every)]
    return Results(asked.runs, asked.rankings, asked.gaps, asked.baselines, chose_rates, troubles)


def main_figure(found: Results) -> Drawing:
    """Return the figure beside the findings: the mean over the tasks, or of one task its own."""
    (name, *_) = found.overall.tables
    return figure.of_mean(found) or scores.figure(name, found.runs[found.runs["table"] == name])
