"""Place the charts that only scripts draw: training curves, confusion matrices and examples on which runs differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study


def training_section(asked: Study) -> Section:
    """Return the section with the training curves of each table that has some."""
    found = _tables_with(asked, "training", lambda content: content["curves"])
    return Section("Training", "training", _parts(found, ("training",)))


def answers_section(asked: Study) -> Section:
    """Return the section with the charts of the predictions of each table that has some."""
    found = _tables_with(asked, "predictions", lambda content: content["runs"])
    return Section("Answers", "answers", _parts(found, ("confusion", "disagreement")))


def _tables_with(asked: Study, key: str, runs_in: Callable[[dict[str, Any]], Any]) -> list[str]:
    """Return the names of the tables of whose runs the charts have something; both lists are in the tables' order."""
    contents = asked.charts[key]
    return [name for (name, _), content in zip(asked.tables, contents, strict=True) if runs_in(content)]


def _parts(names: list[str], charts: tuple[str, ...]) -> list[Part]:
    return [Part(heading=name, parts=[Part(chart=chart, chart_table=name) for chart in charts]) for name in names]
