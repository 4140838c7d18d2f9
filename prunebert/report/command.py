"""Write a whole report: report.html, summary.md, results.csv and .parquet, tables.tex and figures of finished runs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from prunebert.errors import BadInput, reason
from prunebert.report import collect, folder, origin, rows, terminal
from prunebert.report.collect import Collected, Trouble
from prunebert.report.executions import Repeat
from prunebert.report.export.document import document as latex_document
from prunebert.report.export.fit import Style
from prunebert.report.figures import picture
from prunebert.report.figures.style import Drawing
from prunebert.report.findings import sentences, summary
from prunebert.report.page import drawn, found, function, interactive, page, provenance, study, tuning
from prunebert.report.page.page import Picture
from prunebert.report.page.sections import sections as build
from prunebert.report.statistics import differences, marks, ranking
from prunebert.runs import files, reading
from prunebert.system.console import short
from prunebert.system.countdown import Countdown
from prunebert.system.garbage import long_lived_objects, paused
from prunebert.system.names import encodable


def of_sweep(sweep: Path) -> None:
    """Write the report of a sweep that has just ended, and print what no table has and the page to open."""
    report = write([sweep])
    if report.troubles:
        terminal.show_troubles(report.runs, report.troubles)
    terminal.show_repeats(report.repeats)
    terminal.show_file(report.file)


class Report(NamedTuple):
    """A report that was written."""

    file: Path  # report.html
    runs: pd.DataFrame  # the runs in its tables
    troubles: list[Trouble]
    finding: str  # the first sentence of the findings, with its names marked, see `findings.text`; "" if there is none
    repeats: list[Repeat]  # experiments that were executed more than once


def write(
    dirs: list[Path],
    out: Path | None = None,
    baselines: Sequence[str] = (),
    style: Style | None = None,
    all_figures: bool = False,
) -> Report:
    """Write the whole report.

    Args:
        dirs: directories of runs, or results tables of earlier reports.
        out: the output folder; default: report/ in the first of `dirs`, or beside it if that is a file.
        baselines: what the rows are compared with, see `differences.choose_baselines`; default: magnitude, if it ran.
        style: how tables.tex is written; default: for the width of a page.
        all_figures: draw every figure, however many runs there are; see `drawn.limit`.

    Raises:
        BadInput: one of `dirs` cannot be read, no run has finished, a baseline is in no table, or `out` cannot
            be written to or holds a file that no report wrote.
    """
    out = (dirs[0] if reading.is_folder(dirs[0]) else dirs[0].parent) / "report" if out is None else out
    folder.refuse_unusable(out)
    with paused():
        collected = collect.collect(dirs, folder.replaced(out))
    folder.refuse_to_replace(out, collected.tables)
    folder.refuse_to_lose(out, dirs, collected.identities)
    troubles = list(collected.troubles)
    baselines = differences.choose_baselines(tuning.compared(collected.runs), baselines)
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        document = picture.Document()
        with long_lived_objects():
            with paused():
                asked = _study(collected, dirs, out, baselines, troubles)
                sections = build(asked, drawn.planned, troubles)
            chosen = drawn.choose(sections, None if all_figures else drawn.limit(len(asked.runs)))
            with Countdown("drawing figures", len(chosen)) as countdown:

                def draw(drawing: Drawing) -> Picture:
                    picture = page.draw_picture(drawing, out / "figures", document)
                    countdown.advance()
                    return picture

                sections = drawn.draw_figures(sections, chosen, draw)
            folder.remove_figures(out, {drawing.name for drawing in chosen})
            for figure_name, content in document.split().items():
                files.write(out / "figures", f"{figure_name}.pdf", content)
        lead = [study.sentence(asked.runs), study.origin(asked), origin.sentence(asked.runs)]
        html = page.render("prunebert report", lead, provenance.count(troubles), sections, asked.charts)
        results = flatten(asked.collected.runs)
        parquet = io.BytesIO()
        results.to_parquet(parquet, index=False)
        files.write(out, "results.csv", rows.as_csv(results).encode())
        files.write(out, "results.parquet", parquet.getvalue())
        tables = latex_document(asked.runs, asked.gaps, asked.rankings, style)
        files.write(out, "tables.tex", encodable(tables).encode())
        _write_exemplars(out, [asked.functions[name].rows for name, _ in asked.tables])
        basis = found.results(asked, troubles)
        figure = found.main_figure(basis).name if basis.compares else ""
        figure = figure if figure in {drawing.name for drawing in chosen} else ""
        files.write(out, folder.SUMMARY, encodable(summary.document(basis, figure)).encode())
        files.write(out, "report.html", encodable(html).encode())
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {reason(error)}") from error
    finding = next(iter(sentences.sentences(basis)), "")
    return Report(out / "report.html", asked.runs, troubles, finding, collected.repeats)


def _study(
    collected: Collected, dirs: list[Path], out: Path, baselines: list[str], troubles: list[Trouble]
) -> study.Study:
    """Compute what the page shows; what cannot be read is appended to `troubles`."""
    unreadable: dict[Path, str] = {}
    every = marks.add_marks(collected.runs, unreadable)
    runs = tuning.compared(every)
    if tuning.are_tuning(runs).all():
        baselines = []
    tables = runs.groupby("table", sort=False)
    with Countdown("comparing with the baselines", differences.count(runs, baselines), "cells") as countdown:
        gaps = {
            str(name): differences.differences(part, baselines, unreadable, countdown.advance) for name, part in tables
        }
    rankings = [] if tuning.are_tuning(runs).all() else ranking.rank_all(runs, unreadable)
    told = {trouble.reason for trouble in troubles}  # collect has verified what has a hash
    troubles += [Trouble("not in the tests", short(p), why) for p, why in unreadable.items() if why not in told]
    unread: dict[Path, str] = {}
    functions = function.measured([(str(name), part) for name, part in tables], unread)
    told |= {trouble.reason for trouble in troubles}
    troubles += [Trouble("not compared", short(p), why) for p, why in unread.items() if why not in told]
    charts = interactive.payload(runs, troubles)
    return study.Study(replace(collected, runs=every), dirs, out, baselines, gaps, rankings, charts, functions)


def _write_exemplars(out: Path, parts: list[pd.DataFrame]) -> None:
    """Write exemplars.csv, or remove that of an earlier report if there are no exemplars."""
    lines = pd.concat(parts) if parts else pd.DataFrame()
    if not len(lines):
        (out / folder.EXEMPLARS).unlink(missing_ok=True)
        return
    table = lines[list(folder.EXEMPLAR_COLUMNS)].map(lambda cell: encodable(cell) if isinstance(cell, str) else cell)
    files.write(out, folder.EXEMPLARS, rows.as_csv(table).encode())


def flatten(runs: pd.DataFrame) -> pd.DataFrame:
    """Return results.csv: a row per run, with the report's own columns first and then all of its result.json.

    Nested names are joined by dots. Lists are written as JSON. So are the values of a column that have several types.
    """
    facts = pd.json_normalize(runs["row"].tolist()).set_index(runs.index)
    for column in facts:
        values = facts[column][facts[column].map(lambda v: isinstance(v, list) or pd.notna(v))]
        types = {type(v) for v in values}
        if list in types or not (types <= {int, float} or len(types) < 2):
            facts[column] = values.map(lambda v: v if isinstance(v, str) else json.dumps(v)).reindex(facts.index)
    added = runs[["table", "label", "denominator", "measured"]].rename(columns={"denominator": "of"})
    added["disk_bytes"] = runs["disk_bytes"].astype("Int64")  # whole numbers, or no value
    added = added.assign(directory=[encodable(str(directory)) for directory in runs["directory"]])
    added["source"] = runs["source"].where(~runs["has_files"], "run")
    table = pd.concat([added, facts], axis=1)
    return table.map(lambda v: encodable(v) if isinstance(v, str) else v).rename(columns=encodable)
