"""Show score against sparsity: a chart and a figure for each table, with published curves and points."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from prunebert.errors import visible
from prunebert.report import cells, origin
from prunebert.report.figures import curves
from prunebert.report.figures.style import Drawing
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.published import numbers as published
from prunebert.system.names import brief

POINTS = (
    " Published points: the shape shows the source, the colour the method. They are filled if a teacher was used, and "
    "drawn a little to the right of their sparsity. Thin faint lines are published curves of the methods that ran: "
    "dotted without a teacher."
)


def section(asked: Study, draw: Draw) -> Section:
    """Return the section with a part for each table."""
    parts = [_table(name, runs, draw) for name, runs in asked.tables]
    return Section("Score against sparsity", "score", parts)


def _table(name: str, runs: pd.DataFrame, draw: Draw) -> Part:
    return Part(heading=name, chart="score", chart_table=name, figure=draw(figure(name, runs)))


def figure(name: str, runs: pd.DataFrame) -> Drawing:
    """Return the figure of one table.

    Args:
        name: the table's name.
        runs: its runs.
    """
    metric = runs["metric"].iloc[0]
    constant_scores = runs["majority_score"].dropna()
    constant_score = constant_scores.iloc[0] if len(constant_scores) else math.nan
    in_task = published.points(published.read_table(), runs["model"].iloc[0], runs["task"].iloc[0], metric)
    points = published.of_variants(in_task, runs)
    caption = f"{name}: {metric} against sparsity; mean and one standard deviation over seeds."
    curve = partial(
        curves.draw_scores,
        cells.cells(runs),
        points,
        table=name,
        metric=brief(visible(metric), 60),
        constant_score=constant_score,
    )
    share = origin.share(runs)
    return drawing(f"score {name}", caption + (POINTS if len(points) else "") + (f" {share}" if share else ""), curve)
