"""Show scores on other tasks beside those on the runs' own: tables, every metric, and a figure."""

from __future__ import annotations

from functools import partial

import pandas as pd

from prunebert.report.cells import format_mean
from prunebert.report.figures.elsewhere import draw_elsewhere
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number, without_constants
from prunebert.report.statistics import elsewhere

TEXT = (
    "These are scores that `prunebert evaluate RUN task=… --keep` left in the runs. Both means of a row are over the "
    "seeds that have such a score. A difference below 0 is a loss. The constant baseline is that of the other task."
)
CAPTION = (
    "A mark is a row at one sparsity, with one standard deviation over seeds. A line joins the sparsities of a row, "
    "and the mark of the highest is hollow. Marks on the dotted line score what the constant baseline scores there."
)


def section(asked: Study, draw: Draw) -> Section:
    """Return the section with a part for each table that has such scores; without parts if none has."""
    parts = []
    for name, runs in asked.tables:
        found = elsewhere.evaluations(runs)
        if not len(found):
            continue
        means = elsewhere.cells(found)
        figure = drawing(f"elsewhere {name}", f"{name}: {CAPTION}", partial(draw_elsewhere, means, table=name))
        inner = [Part(table=scores(means)), Part(figure=draw(figure))]
        for other, rows in found.groupby("other", sort=False):
            if any(len(metrics) > 1 for metrics in rows["metrics"]):
                inner.append(Part(folded=f"Every metric on {other}", table=every_metric(rows)))
        parts.append(Part(heading=name, parts=inner))
    return Section("Out of distribution", "elsewhere", [Part(text=TEXT), *parts] if parts else [])


def scores(means: pd.DataFrame) -> Table:
    """Return a row for each other task, row and sparsity. means: see `elsewhere.cells`."""
    columns = ["evaluated on", "metric", "method", "sparsity", "own score", "score there", "difference"]
    columns.append("constant baseline there")
    rows = []
    for cell in means.to_dict("records"):
        line = [Cell(cell["other"]), Cell(cell["metric"]), Cell(cell["label"], kind="name")]
        line.append(number(cell["sparsity"], "{:g}"))
        for mean in ("here", "there"):
            line.append(Cell(format_mean(cell[mean], cell[f"{mean}_sd"], cell["n"]), cell[mean]))
        line.append(_difference(cell["gap"], cell["gap_sd"], cell["n"]))
        rows.append([*line, number(cell["constant"])])
    own = ", ".join(dict.fromkeys(means["own_metric"]))
    note = f"Own score: {own}."
    if means["gap"].isna().any():
        note += " No difference: the two scores are different metrics."
    return without_constants(Table(columns, rows, note), ("evaluated on", "metric", "constant baseline there"))


def every_metric(found: pd.DataFrame) -> Table:
    """Return the means of all metrics on one other task. found: its rows of `elsewhere.evaluations`."""
    names = list(dict.fromkeys(name for metrics in found["metrics"] for name in metrics))
    rows = []
    for (label, sparsity), runs in found.sort_values("order", kind="stable").groupby(["label", "sparsity"], sort=False):
        means = [pd.Series([metrics.get(name) for metrics in runs["metrics"]], dtype=float).mean() for name in names]
        rows.append([Cell(label, kind="name"), number(sparsity, "{:g}"), *map(number, means)])
    constants = [
        pd.Series([constants.get(name) for constants in found["constants"]], dtype=float).mean() for name in names
    ]
    rows.append([Cell("constant baseline", kind="muted"), number(None), *map(number, constants)])
    return Table(["method", "sparsity", *names], rows, "Means over the seeds.")


def _difference(mean: float, sd: float, n: int) -> Cell:
    """Return a signed difference with its standard deviation over the seeds."""
    if pd.isna(mean):
        return number(None)
    return Cell(f"{mean:+.4f} ± {sd:.4f}" if n > 1 else f"{mean:+.4f}", mean)
