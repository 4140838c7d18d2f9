"""Average the runs of each cell, and arrange the cells as method × sparsity.

A cell is one variant at one sparsity; its runs differ only in the seed.
"""

from __future__ import annotations

import pandas as pd

from prunebert.report.statistics import marks
from prunebert.report.variants import DENOMINATORS


def cells(runs: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Return one row per label and sparsity, with the mean and standard deviation (n - 1) over the seeds.

    The column `mark` says what the tests allow, see `marks.Mark`. It is "" for a cell without a rival.

    Args:
        runs: the runs of one table.
        metric: the metric to average; None averages `score`. Cells whose runs lack the metric are left out.
    """
    value = marks.values(runs, metric)
    scored = runs.assign(value=value)[value.notna()]
    grouped = scored.groupby(["label", "sparsity"], sort=False)
    means = grouped.agg(
        method=("method", "first"),
        denominator=("denominator", "first"),
        variant=("variant", "first"),
        short_label=("short_label", "first"),
        mean=("value", "mean"),
        sd=("value", "std"),
        n=("value", "size"),
        steps=("steps", "mean"),
        order=("order", "min"),
    ).reset_index()
    found = marks.marks_of(runs, metric)
    keys = zip(means["label"], means["sparsity"], strict=True)
    return means.assign(mark=[found[key].mark if key in found else "" for key in keys])


def grid(cell_means: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two tables label × sparsity: the texts, and whether each is the best of its column.

    A text reads "0.7741 ± 0.0051 (3)". The best mean counts only where tests separate it from every other cell with the
    same denominator, see `marks`. A cell without a competitor is not marked.
    """
    columns = (cell_means["mean"], cell_means["sd"], cell_means["n"])
    texts = cell_means.assign(text=[format_mean(mean, sd, n) for mean, sd, n in zip(*columns, strict=True)])
    text_grid = texts.pivot(index="label", columns="sparsity", values="text")
    best_grid = cell_means.assign(best=cell_means["mark"] == marks.BEST).pivot(
        index="label", columns="sparsity", values="best"
    )
    labels = cell_means.sort_values("order")["label"].drop_duplicates()
    return text_grid.loc[labels].fillna(""), best_grid.loc[labels].eq(True)


def format_mean(mean: float, sd: float, n: int) -> str:
    """Format a mean with the number of seeds, and with the standard deviation if there are at least two seeds."""
    return f"{mean:.4f} ± {sd:.4f} ({n})" if n > 1 else f"{mean:.4f} ({n})"


def denominator(cell_means: pd.DataFrame) -> pd.Series:
    """Map each label to the name of its denominator: the weights its sparsity is a fraction of.

    A label that is never pruned gets a dash.
    """
    pruned = cell_means.groupby("label")["sparsity"].max() > 0
    names = cell_means.groupby("label")["denominator"].first().map(lambda name: DENOMINATORS.get(name, name))
    return names.where(pruned, "–")
