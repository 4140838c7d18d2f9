"""Arrange scores on other tasks as a table of a paper."""

from __future__ import annotations

import pandas as pd

from prunebert.report.export.grid import Cell, Column, Form, Grid, Row, score_column, seeds
from prunebert.report.statistics import elsewhere


def of_evaluations(runs: pd.DataFrame, form: Form) -> list[Grid]:
    """Return a table for each other task: own score, score there, difference and constant baseline.

    Args:
        runs: the runs of one table.
        form: how numbers are printed.
    """
    found = elsewhere.evaluations(runs)
    table = runs["table"].iloc[0]
    grids = []
    for (other, metric), cells in elsewhere.cells(found).groupby(["other", "metric"], sort=False) if len(found) else ():
        seeds_text, seed_notes = seeds([[n] for n in cells["n"]])
        rows = []
        for cell, notes in zip(cells.to_dict("records"), seed_notes, strict=True):
            own = metric if pd.notna(cell["gap"]) else cell["own_metric"]
            gap, constant = cell["gap"], cell["constant"]
            line = [Cell(f"{cell['sparsity']:g}", numbers=(cell["sparsity"],))]
            line.append(form.score(cell["here"], cell["here_sd"], cell["n"], own))
            line.append(form.score(cell["there"], cell["there_sd"], cell["n"], metric))
            line.append(Cell(form.number(gap, metric, "+")) if pd.notna(gap) else Cell())
            line.append(Cell(form.number(constant, metric)) if pd.notna(constant) else Cell())
            rows.append(Row(cell["label"], "", line, notes))
        columns = [Column("sparsity", ("sparsity",), is_key=True), score_column("own task"), score_column(other)]
        columns += [Column("difference"), Column("constant baseline")]
        unit = f"{metric} in percent" if form.is_percent(metric) else metric
        spread = "Mean ± standard deviation; " if (cells["n"] > 1).any() else ""
        caption = f"Out of distribution: runs on {table}, evaluated on {other} ({unit}). {spread}{seeds_text}."
        grids.append(Grid(f"{table} on {other}", caption, columns, rows))
    return grids
