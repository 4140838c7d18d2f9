"""Cells: a variant at a sparsity, over its seeds; and the tables method × sparsity that they make."""

from __future__ import annotations

import math

import pandas as pd

from prunebert.report.variants import OF

LOWER_IS_BETTER = ("perplexity",)


def cells(runs: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Of one table: a row per label and sparsity with mean and standard deviation (n - 1) of a metric over the seeds.

    metric: another one than that which stands for the run; cells whose runs lack it are left out.
    """
    value = runs["score"] if metric is None else runs["metrics"].map(lambda m: m.get(metric, math.nan))
    known = runs.assign(value=value)[value.notna()]
    grouped = known.groupby(["label", "sparsity"], sort=False)
    return grouped.agg(
        method=("method", "first"),
        of=("of", "first"),
        variant=("variant", "first"),
        short=("short", "first"),
        mean=("value", "mean"),
        sd=("value", "std"),
        n=("value", "size"),
        measured=("measured", "mean"),
        steps=("steps", "mean"),
        order=("order", "min"),
    ).reset_index()


def grid(found: pd.DataFrame, lower_is_better: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(texts, best): label × sparsity, "0.7741 ± 0.0051 (3)" and whether it is the best mean of its column.

    Best among those whose sparsity is a fraction of the same matrices, where there are two of them at least.
    """
    text = found.assign(text=[told(m, sd, n) for m, sd, n in zip(found["mean"], found["sd"], found["n"], strict=True)])
    rank = found.groupby(["of", "sparsity"])["mean"]
    best = (found["mean"] == rank.transform("min" if lower_is_better else "max")) & (rank.transform("size") > 1)
    texts = text.pivot(index="label", columns="sparsity", values="text")
    bold = found.assign(best=best).pivot(index="label", columns="sparsity", values="best")
    rows = found.sort_values("order")["label"].drop_duplicates()
    return texts.loc[rows].fillna(""), bold.loc[rows].eq(True)


def told(mean: float, sd: float, n: int) -> str:
    """Mean, standard deviation where there are two seeds at least, number of seeds."""
    return f"{mean:.4f} ± {sd:.4f} ({n})" if n > 1 else f"{mean:.4f} ({n})"


def denominator(found: pd.DataFrame) -> pd.Series:
    """label -> what its sparsity is a fraction of, in words; a dash for what is never pruned."""
    pruned = found.groupby("label")["sparsity"].max() > 0
    names = found.groupby("label")["of"].first().map(lambda of: OF.get(of, of))
    return names.where(pruned, "–")
