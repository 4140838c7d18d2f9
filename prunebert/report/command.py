"""Write a whole report: report.html, results.csv and .parquet, tables.tex and figures from finished runs."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from prunebert import __version__
from prunebert.errors import BadInput, reason
from prunebert.report import cells, collect, folder, latex, rows, terminal
from prunebert.report.collect import Collected, Trouble
from prunebert.report.figures import picture
from prunebert.report.figures.style import Drawing
from prunebert.report.page import page, sections
from prunebert.report.page.page import Picture
from prunebert.report.statistics import differences, marks
from prunebert.runs import files, reading
from prunebert.system.console import counted, short
from prunebert.system.countdown import Countdown
from prunebert.system.garbage import long_lived_objects
from prunebert.system.names import encodable


def of_sweep(sweep: Path) -> None:
    """Write the report of a sweep that has just ended, and print what no table has and the page to open."""
    report = write([sweep])
    if report.troubles:
        terminal.show_troubles(report.runs, report.troubles)
    terminal.show_file(report.file)


class Report(NamedTuple):
    """A report that was written."""

    file: Path  # report.html
    runs: pd.DataFrame  # the runs in its tables
    troubles: list[Trouble]


def write(dirs: list[Path], out: Path | None = None, baselines: Sequence[str] = ()) -> Report:
    """Write the whole report.

    Args:
        dirs: directories of runs, or results tables of earlier reports.
        out: the output folder; default: report/ in the first of `dirs`, or beside it if that is a file.
        baselines: what the rows are compared with, see `differences.choose_baselines`; default: magnitude, if it ran.

    Raises:
        BadInput: one of `dirs` cannot be read, no run has finished, a baseline is in no table, or `out` cannot
            be written to or holds a file that no report wrote.
    """
    out = (dirs[0] if reading.is_folder(dirs[0]) else dirs[0].parent) / "report" if out is None else out
    folder.refuse_unusable(out)
    collected = collect.collect(dirs)
    runs, troubles = collected.runs, list(collected.troubles)
    baselines = differences.choose_baselines(runs, baselines)
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        table_sections, latex_parts, document = [], [latex.HEAD], picture.Document()
        with Countdown("drawing figures", None) as countdown, long_lived_objects():

            def draw(drawing: Drawing) -> Picture:
                drawn = page.draw_picture(drawing, out / "figures", document)
                countdown.advance()
                return drawn

            unreadable: dict[Path, str] = {}
            runs = marks.add_marks(runs, unreadable)
            for name, table_runs in runs.groupby("table", sort=False):
                gaps = differences.differences(table_runs, baselines, unreadable)
                told = {trouble.reason for trouble in troubles}  # collect has verified what has a hash
                more = {path: reason for path, reason in unreadable.items() if reason not in told}
                troubles += [Trouble("not in the tests", short(path), reason) for path, reason in more.items()]
                countdown.advance(0)
                table_sections.append(sections.table_section(str(name), table_runs, gaps, baselines, draw, troubles))
                latex_parts += _latex_tables(str(name), table_runs, gaps)
            for figure_name, content in document.split().items():
                files.write(out / "figures", f"{figure_name}.pdf", content)
        all_sections = [
            sections.trouble_section(collected, troubles),
            *table_sections,
            sections.reading_section(),
        ]
        html = page.render("prunebert report", _summary(collected, dirs), _count_troubles(troubles), all_sections)
        results = flatten(runs)
        parquet = io.BytesIO()
        results.to_parquet(parquet, index=False)
        files.write(out, "results.csv", rows.as_csv(results).encode())
        files.write(out, "results.parquet", parquet.getvalue())
        files.write(out, "tables.tex", encodable("\n".join(latex_parts)).encode())
        files.write(out, "report.html", encodable(html).encode())
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {reason(error)}") from error
    return Report(out / "report.html", runs, troubles)


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
    table = pd.concat([added, facts], axis=1)
    return table.map(lambda v: encodable(v) if isinstance(v, str) else v).rename(columns=encodable)


def _latex_tables(name: str, runs: pd.DataFrame, gaps: pd.DataFrame) -> list[str]:
    """Return a table method × sparsity for each metric, and a table of differences for each baseline."""
    main_metric = runs["metric"].iloc[0]
    parts = []
    for metric in (main_metric, *sorted({m for metrics in runs["metrics"] for m in metrics} - {main_metric})):
        cell_means = cells.cells(runs, None if metric == main_metric else metric)
        lower = metric in cells.LOWER_IS_BETTER
        parts.append(latex.scores(cell_means, table=name, metric=metric, lower_is_better=lower))
    for baseline, compared in gaps.groupby("baseline", sort=False):
        parts.append(latex.differences(compared, table=name, metric=main_metric, method=str(baseline)))
    return parts


def _summary(collected: Collected, dirs: list[Path]) -> list[str]:
    """Return the first paragraphs of the page: what was read, when, and what lies beside the page."""
    runs = collected.runs
    columns = (("methods", "method"), ("tasks with models", "table"), ("sparsities", "sparsity"), ("seeds", "seed"))
    counts = ", ".join(f"{name} {runs[column].nunique()}" for name, column in columns)
    date = pd.Timestamp.now().strftime("%Y-%m-%d %H:%M")
    return [
        f"{counted(collected.finished, 'finished run')} from {', '.join(map(str, dirs))}: {counts}.",
        f"Written by prunebert {__version__} on {date}. Beside this page: results.csv and results.parquet "
        "(a row per run), tables.tex, figures/.",
    ]


def _count_troubles(troubles: list[Trouble]) -> str:
    """Return the number of troubles of each kind, or "" if there are none."""
    return "; ".join(f"{count} {kind}" for kind, count in Counter(t.kind for t in troubles).items())
