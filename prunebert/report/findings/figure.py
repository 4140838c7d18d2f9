"""Draw the figure above the findings: score against sparsity, of one table or as the mean over several."""

from __future__ import annotations

from functools import partial

import pandas as pd

from prunebert.report.figures import curves
from prunebert.report.figures.style import Drawing
from prunebert.report.findings.results import Results
from prunebert.report.findings.text import listed, plain, word
from prunebert.report.page.drawings import drawing


def of_mean(results: Results) -> Drawing | None:
    """Return the figure of the mean over several tables; None for a single table, whose own figure shows it."""
    overall = results.overall
    if len(overall.tables) < 2 or overall.means.empty:
        return None
    tasks = listed([results.title(table) for table in overall.tables])
    metric = word(overall.metric)
    caption = f"Mean {metric} over {tasks} against sparsity. The deviation is that of the seeds' means over the tasks."
    names = [plain(results.name(label)) for label in overall.means["label"]]  # the table below has the settings
    drawn = partial(
        curves.draw_scores,
        overall.means.assign(short_label=names),
        _no_points(),
        table=f"mean over {len(overall.tables)} tasks",
        metric=metric,
        constant_score=overall.constant,
    )
    return drawing(f"score mean {' '.join(overall.tables)}", caption, drawn)


def _no_points() -> pd.DataFrame:
    """Return no published numbers, because none is a mean over these tasks."""
    from prunebert.report.published import numbers

    return numbers.read_table().iloc[:0]
