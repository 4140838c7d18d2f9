"""Build the part of the page that compares rows with the baselines: a forest plot, and its numbers folded below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pandas as pd

from prunebert.errors import visible
from prunebert.report.figures import forest
from prunebert.report.page import tables
from prunebert.report.page.page import Part, Picture
from prunebert.report.statistics import examples
from prunebert.system.names import brief

Draw = Callable[[str, str, Callable], Picture]


def parts(gaps: pd.DataFrame, baselines: Sequence[str], metric: str, task: str, draw: Draw) -> list[Part]:
    """Return the comparisons of one table: for each baseline its figures, then its numbers.

    Args:
        gaps: see `differences.differences`.
        baselines: the baselines of the report.
        metric: the table's metric.
        task: its task.
        draw: called with a figure's name, its caption and what draws it.
    """
    if not baselines:
        why = "No baseline: magnitude did not run, and no other was requested (--baseline METHOD)."
        return [Part("Differences to a baseline", why)]
    return [part for baseline in baselines for part in _with_baseline(gaps, baseline, metric, task, draw)]


def _with_baseline(gaps: pd.DataFrame, baseline: str, metric: str, task: str, draw: Draw) -> Iterator[Part]:
    title = f"Differences to {baseline}"
    compared = gaps[gaps["baseline"] == baseline]
    if compared.empty:
        yield Part(title, f"No other row shares a sparsity with a run of {baseline}.")
        return
    text = (
        f"{metric} minus that of {baseline}, over the seeds that both have. Examples are compared by "
        f"{examples.unit(metric, task)}. The tests are explained under “How to read this”."
    )
    groups = [("", compared)]
    if len(compared) > forest.MAX_LINES:
        groups = [(f" at {sparsity:g}", rows) for sparsity, rows in compared.groupby("sparsity")]
    for where, rows in groups:
        caption = f"{metric} minus that of {baseline}{where}: the mean over the common seeds, with "
        caption += "95\N{NO-BREAK SPACE}% intervals. "
        caption += "The p-values are corrected together by Holm's method."
        drawing = partial(forest.draw_forest, rows, metric=brief(visible(metric), 60), baseline=baseline)
        yield Part(
            title if rows is groups[0][1] else "", text, figure=draw(f"forest {baseline}{where}", caption, drawing)
        )
        text = ""
    yield Part(table=tables.differences(compared), folded=f"The numbers: differences to {baseline}, intervals and p")
