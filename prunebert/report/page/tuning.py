"""Build the section on tuning: the rates that were tried for each method, their scores, and what was chosen."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pandas as pd

from prunebert.report import variants
from prunebert.report.figures.style import Drawing
from prunebert.report.figures.tuning import draw_tries
from prunebert.report.page.drawings import Draw
from prunebert.report.page.page import Part, Section
from prunebert.report.page.tables import Cell, Table, number
from prunebert.runs import tuning
from prunebert.runs.tuning import Tuned
from prunebert.system.console import counted

TITLE = "What was tried"
TEXT = (
    "These runs chose learning rates. They are scored on rows held out of the training data, and the evaluation data "
    "were not used. Of each method the rates with the best mean score are chosen; of equals, the first. A score that "
    "was used to choose rates is optimistic, so the tables of scores leave these runs out where there are others."
)


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose methods may be compared: those without the runs of tuning, or all if there are no others.

    runs: as `collect` returns them.
    """
    is_tuning = are_tuning(runs)
    return runs if is_tuning.all() else runs[~is_tuning]


def are_tuning(runs: pd.DataFrame) -> pd.Series:
    """Return for each run whether it chose learning rates: its score is optimistic, and it is compared with nothing."""
    return runs["row"].map(lambda row: bool(row.get("tuning")))


def tuning_section(runs: pd.DataFrame, draw: Draw) -> Section | None:
    """Return the section on the runs of experiment=tune; None if there are none.

    Args:
        runs: as `collect` returns them.
        draw: draws a figure.
    """
    found = list(_groups(runs))
    if not found:
        return None
    counts = {len(tuned.tries) for _, tuned in found}
    lines = [TEXT]
    if len(counts) > 1:
        tries = ", ".join(f"{title} {len(tuned.tries)}" for title, tuned in found)
        lines.append(f"Warning: the methods had different numbers of tries: {tries}. This is no fair comparison.")
    lines += [f"{title}: no rates are chosen, because {tuned.refusal}." for title, tuned in found if tuned.refusal]
    for title, tuned in found:
        for key in tuned.at_edge() if tuned.best and len(tuned.tries) > 1 else []:
            rate = tuned.best.rates[key]
            end = "largest" if rate == max(each.rates[key] for each in tuned.tries) else "smallest"
            lines.append(
                f"{title}: the best {key}, {rate:g}, is the {end} that was tried. One beyond it may be better."
            )
    parts = [Part("Tries and scores", text="\n".join(lines), table=_table(found))]
    drawn = [(title, tuned) for title, tuned in found if not tuned.refusal]
    if drawn:
        caption = (
            "Score against each rate that was tried. A mark is a run, and the ring is the mean of the try that was "
        )
        caption += (
            "chosen. A line joins the means of a method with one rate. Where there are two, tries differ in both."
        )
        parts.append(Part("Score against rate", figure=draw(Drawing("tuning", caption, partial(draw_tries, drawn)))))
    return Section(TITLE, "tuning", parts)


def tries(runs: pd.DataFrame) -> dict[str, list[int]]:
    """Return the numbers of tries of each method: one for each model and each group of settings that was tuned.

    Args:
        runs: as `collect` returns them.
    """
    counts: dict[str, list[int]] = {}
    for _, tuned in _groups(runs):
        counts.setdefault(tuned.method, []).append(len(tuned.tries))
    return counts


def _groups(runs: pd.DataFrame) -> Any:
    """Yield a title and what was tried, for all runs of a method that differ in rates, seeds, tasks or sparsities."""
    rows = [row for row in runs["row"] if "rates" in (row.get("tuning") or {})]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        settings = {k: v for k, v in variants.settings(row).items() if not k.endswith("lr")}
        group = (row["method"], row["model"], row["prunable"], json.dumps(settings, sort_keys=True))
        groups.setdefault(group, []).append(row)
    methods = [method for method, *_ in groups]
    for (method, model, _, _), members in groups.items():
        title = method if methods.count(method) == 1 else f"{method}, {model}, {members[0]['fit']}"
        yield title, tuning.of_rows(method, members)


def _table(found: list[tuple[str, Tuned]]) -> Table:
    """Return a row for each try."""
    rows = []
    for title, tuned in found:
        edges = tuned.at_edge()
        for each in tuned.tries:
            rates = ", ".join(f"{key}={rate:g}" for key, rate in each.rates.items())
            scores = ", ".join(f"{score:.4f}" for score in each.scores)
            is_best = each is tuned.best
            chosen = ("chosen, at the edge" if edges else "chosen") if is_best else ""
            mean = number(each.mean, kind="best" if is_best else "")
            rows.append([Cell(title), Cell(rates), mean, Cell(scores), Cell(chosen), Cell(tuned.metric)])
    note = f"{counted(len(rows), 'row')}: one for each try. Scores: one for each run of the try."
    return Table(["method", "rates", "mean score", "scores", "choice", "metric"], rows, note)
