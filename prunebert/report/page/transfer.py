"""Show masks of some tasks on others: a table and a figure for each way of training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from prunebert.analysis.transfer import Matrix, matrices, overlaps
from prunebert.errors import BadInput
from prunebert.report.cells import format_mean
from prunebert.report.collect import Trouble
from prunebert.report.figures.transfer import MAX_ROWS, draw_transfer, rows_of
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number

TEXT = (
    "A mask was found on one task and used, unchanged, on another. Shuffled is the control: the same masks, shuffled "
    "within every matrix. A mask that scores no more than its shuffled copy shows that its allocation transfers, not "
    "its choice of weights. Dense was fine-tuned on the target without pruning."
)
CAPTION = (
    "Colours go from the lowest to the highest score of each column, or over 0.05 if that is more. Right: the overlap "
    "of the same masks, 1 for equal masks and 0 for as many common weights as chance gives. The diagonal compares the "
    "seeds of one source."
)


def section(asked: Study, draw: Draw, troubles: list[Trouble]) -> Section:
    """Return the section with a part for each way of training; without parts if no run has another run's masks.

    troubles: masks that cannot be read are appended here.
    """
    rows = {Path(directory): row for directory, row in zip(asked.runs["directory"], asked.runs["row"], strict=True)}
    on_disk = {
        Path(d) for d, has_files in zip(asked.runs["directory"], asked.runs["has_files"], strict=True) if has_files
    }
    parts = []
    for matrix in matrices(rows.items()):
        inner = [Part(table=scores(matrix))]
        masks = {path: source for path, source in matrix.masks.items() if path in on_disk}
        overlap = _overlap(matrix, masks, rows, troubles)
        if len(rows_of(matrix)) <= MAX_ROWS:
            figure = drawing(
                f"transfer {matrix.way}", f"{matrix.way}. {CAPTION}", partial(draw_transfer, matrix, overlap)
            )
            inner.append(Part(figure=draw(figure)))
        parts.append(Part(heading=matrix.way[:1].upper() + matrix.way[1:], parts=inner))
    return Section("Transfer of masks", "transfer", [Part(text=TEXT), *parts] if parts else [])


def _overlap(
    matrix: Matrix, masks: dict[Path, str], rows: dict[Path, dict], troubles: list[Trouble]
) -> np.ndarray | None:
    """Return the overlap of the sources; None if fewer than two have masks that can be compared."""
    if len(set(masks.values())) < 2:
        return None
    try:
        square, messages = overlaps(masks, rows, matrix.sources)
    except BadInput as error:
        troubles.append(Trouble("not in the report", "overlap of transferred masks", str(error)))
        return None
    troubles += [Trouble("not in the overlap matrix", "transferred masks", message) for message in messages]
    return square


def scores(matrix: Matrix) -> Table:
    """Return a row for dense, each source, its shuffled masks, and the constant baseline."""
    rows = []
    for name, cells in rows_of(matrix):
        line = [Cell(name, kind="muted" if name in ("shuffled", "constant baseline") else "name")]
        for target in matrix.targets:
            cell = cells.get(target)
            if cell is None or name == "constant baseline":
                line.append(number(cell and cell.mean))
            else:
                sd = float("nan") if cell.sd is None else cell.sd
                line.append(Cell(format_mean(cell.mean, sd, cell.n), cell.mean))
        rows.append(line)
    columns = ["mask of", *(f"{target.name} ({target.metric})" for target in matrix.targets)]
    note = "Mean ± standard deviation (runs): the seeds of the target, times those of the source."
    return Table(columns, rows, note)
