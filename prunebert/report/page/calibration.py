"""Show how well the probabilities of classification runs are calibrated: a table, and reliability diagrams."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from prunebert.report.cells import format_mean
from prunebert.report.figures.calibration import LEAST, draw_calibration
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number, without_constants
from prunebert.report.statistics import calibration
from prunebert.report.trouble import Trouble
from prunebert.system.console import short

TEXT = (
    "The confidence of a prediction is its largest probability. The expected calibration error (ECE, Guo et al. 2017) "
    f"is the mean distance between confidence and accuracy over {calibration.BINS} bins of confidence. The bins have "
    "one width, or equally many rows (equal mass). ECE is above 0 even for perfect probabilities, and higher on fewer "
    "rows. Compare it only between runs on the same rows. A low ECE alone is no merit: predicting the frequencies of "
    "the classes for every row has one too. The Brier score and the negative log-likelihood (NLL) also count whether "
    "predictions are right. For all four, lower is better."
)
CAPTION = (
    "A mark is a bin of confidence, pooled over the seeds; its place is the bin's mean confidence and accuracy. Marks "
    f"below the line are overconfident. Bins with fewer than {LEAST} predictions are not drawn. Dense is in each "
    "panel. Variants of one method differ in their dashes."
)
COLUMNS = {
    "ece": "ECE, equal width",
    "ece_mass": "ECE, equal mass",
    "brier": "Brier score",
    "nll": "NLL",
    "accuracy": "accuracy",
    "confidence": "mean confidence",
}


def section(asked: Study, draw: Draw, troubles: list[Trouble]) -> Section:
    """Return the section with a part for each table of a classification task; without parts if there is none.

    Args:
        asked: what the page shows.
        draw: draws a figure.
        troubles: what cannot be read is appended here.
    """
    parts, without = [], []
    unreadable: dict[Path, str] = {}
    for name, runs in asked.tables:
        measured = calibration.of_runs(runs, unreadable)
        if not len(measured):
            without.append(name)
            continue
        means = calibration.cells(measured)
        figure = drawing(f"calibration {name}", f"{name}: {CAPTION}", partial(draw_calibration, means, table=name))
        parts.append(Part(heading=name, parts=[Part(table=table(means)), Part(figure=draw(figure))]))
    known = {trouble.reason for trouble in troubles}
    troubles += [Trouble("not in the calibration", short(p), why) for p, why in unreadable.items() if why not in known]
    if not parts:
        return Section("Calibration", "calibration", [])
    text = TEXT
    if without:
        text += f"\nWithout predictions that have a probability for each class, and so not here: {'; '.join(without)}."
    return Section("Calibration", "calibration", [Part(text=text), *parts])


def table(means: pd.DataFrame) -> Table:
    """Return a row for each row and sparsity. means: see `calibration.cells`."""
    rows = []
    for cell in means.to_dict("records"):
        line = [Cell(cell["label"], kind="name"), number(cell["sparsity"], "{:g}"), number(cell["rows"], "{:,d}")]
        line += [Cell(format_mean(cell[name], cell[f"{name}_sd"], cell["n"]), cell[name]) for name in COLUMNS]
        rows.append(line)
    columns = ["method", "sparsity", "evaluation rows", *COLUMNS.values()]
    return without_constants(
        Table(columns, rows, "Means over the seeds, ± their standard deviation (number of seeds)."),
        ("evaluation rows",),
    )
