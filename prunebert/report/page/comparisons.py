"""Compare every row with the baselines: a forest plot for each table, and the numbers with both tests."""

from __future__ import annotations

from functools import partial

import pandas as pd

from prunebert.errors import visible
from prunebert.report import origin
from prunebert.report.figures import forest
from prunebert.report.page import tables
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part
from prunebert.report.page.study import Study, nearest
from prunebert.report.statistics import examples
from prunebert.report.statistics.format import LEVEL
from prunebert.system.names import brief

TALL = 20  # rows; more are drawn in a figure for each sparsity
OPEN = 4  # tables whose differences are drawn open; those of others are folded
NO_BASELINE = "No baseline: magnitude did not run, and no other was requested (--baseline METHOD)."


def forests(asked: Study, draw: Draw) -> list[Part]:
    """Return a part for each baseline, with the figures of each table."""
    if not asked.baselines:
        return [Part("Differences to a baseline", text=NO_BASELINE)]
    return [
        Part(f"Differences to {baseline}", parts=[_forest(asked, i, baseline, draw) for i in range(len(asked.tables))])
        for baseline in asked.baselines
    ]


def _forest(asked: Study, position: int, baseline: str, draw: Draw) -> Part:
    """Return the figure of one table, or one for each sparsity where it would have too many lines."""
    name, runs = asked.tables[position]
    gaps = asked.gaps[name][asked.gaps[name]["baseline"] == baseline]
    if gaps.empty:
        return Part(text=f"{name}: no other row shares a sparsity with a run of {baseline}.")
    metric = brief(visible(runs["metric"].iloc[0]), 60)

    def figure(compared: pd.DataFrame, where: str) -> Part:
        caption = f"{name}{where}: {metric} minus that of {baseline}, the mean over the common seeds, with 95 % "
        caption += "intervals. The p-values are corrected together by Holm's method."
        caption += f" {share}" if (share := origin.share(runs)) else ""
        drawn = partial(forest.draw_forest, compared, table=name, metric=metric, baseline=baseline)
        return Part(
            where.removeprefix(" at "), figure=draw(drawing(f"forest {name} {baseline}{where}", caption, drawn))
        )

    folded = name if position >= OPEN else ""
    if len(gaps) <= min(TALL, forest.MAX_LINES):
        return Part(folded=folded, parts=[figure(gaps, "")])
    tabs = [figure(compared, f" at {sparsity:g}") for sparsity, compared in gaps.groupby("sparsity")]
    chosen = nearest([float(tab.heading) for tab in tabs])
    return Part(folded=folded, parts=tabs, choice="Sparsity" if folded else f"{name}, sparsity", chosen=chosen)


def numbers(gaps: pd.DataFrame, metric: str, task: str) -> list[Part]:
    """Return the folded table of differences to each baseline.

    Args:
        gaps: see `differences.differences`, of one table.
        metric: the table's metric.
        task: its task.
    """
    parts = []
    for baseline, compared in gaps.groupby("baseline", sort=False):
        text = (
            f"{metric} minus that of {baseline}, over the seeds that both have. Examples are compared by "
            f"{examples.unit(metric, task)}. Bold: below {LEVEL:g} after Holm's correction."
        )
        table = tables.differences(compared)
        parts.append(Part(folded=f"Differences to {baseline}, with both tests", text=text, table=table))
    return parts
