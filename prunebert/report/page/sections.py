"""Put the sections of the page into the order in which a reader asks."""

from __future__ import annotations

from prunebert.report.collect import Trouble
from prunebert.report.page import (
    best,
    calibration,
    costs,
    dynamics,
    elsewhere,
    every_run,
    found,
    function,
    hubs,
    masks,
    provenance,
    reading,
    scores,
    spectral,
    subgroups,
    transfer,
    tuning,
)
from prunebert.report.page.drawings import Draw
from prunebert.report.page.page import Section
from prunebert.report.page.study import Study


def sections(asked: Study, draw: Draw, troubles: list[Trouble]) -> list[Section]:
    """Return the sections.

    Args:
        asked: what the page shows.
        draw: draws a figure.
        troubles: what cannot be read is appended here.
    """
    tried = [tuned for tuned in [tuning.tuning_section(asked.collected.runs, draw)] if tuned]
    if tuning.are_tuning(asked.runs).all():  # there is nothing to compare
        shown = [*tried, dynamics.training_section(asked), every_run.section(asked), reading.section()]
        return [*shown, provenance.section(asked, troubles)]
    answers = [
        found.section(asked, draw),
        best.section(asked, draw),
        scores.section(asked, draw),
        elsewhere.section(asked, draw),
        costs.section(asked, draw),
        function.section(asked, draw),
        calibration.section(asked, draw, troubles),
        subgroups.section(asked, draw),
        masks.left_section(asked, draw, troubles),
        masks.overlap_section(asked, draw, troubles),
        hubs.section(asked, draw, troubles),
        spectral.section(asked, draw, troubles),
        transfer.section(asked, draw, troubles),
        *tried,
        dynamics.training_section(asked),
        dynamics.answers_section(asked),
        every_run.section(asked),
        reading.section(),
    ]
    return [*answers, provenance.section(asked, troubles)]
