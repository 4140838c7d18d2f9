"""The table of differences: every row of a task's table against a baseline, seed by seed and example by example."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.errors import BadInput, bad_choice
from prunebert.report import examples
from prunebert.report.statistics import Test, holm, over_examples, over_seeds
from prunebert.report.variants import AXES

DEFAULT = "magnitude"


def baseline(runs: pd.DataFrame, asked: str | None) -> str | None:
    """The method that others are compared with: the one asked for, else magnitude if there, else none.

    Raises BadInput if there is no run of the one asked for.
    """
    there = list(dict.fromkeys(runs["method"]))
    if asked is None:
        return DEFAULT if DEFAULT in there else None
    if asked not in there:
        raise bad_choice("--baseline", asked, there)
    return asked


def differences(runs: pd.DataFrame, method: str | None) -> pd.DataFrame:
    """A row per cell of one table (`runs`) that has a counterpart of the baseline: the mean difference over the seeds
    in common, the two tests, and their p-values corrected together."""
    load = cache(lambda directory, metric: examples.per_example(directory, metric))
    rows = []
    for (label, sparsity), ours in runs.groupby(["label", "sparsity"], sort=False):
        theirs = _counterpart(runs[runs["method"] == method], ours)
        if theirs is None:
            continue
        pairs = ours.merge(theirs, on="seed", suffixes=("", "_base")).sort_values("seed")
        gap = (
            (pairs["score"] - pairs["score_base"]).mean()
            if len(pairs)
            else ours["score"].mean() - theirs["score"].mean()
        )
        rows.append(
            {
                "label": label,
                "sparsity": sparsity,
                "against": theirs["label"].iloc[0],
                "other_of": ours["of"].iloc[0] != theirs["of"].iloc[0] and theirs["sparsity"].iloc[0] > 0,
                "seeds": len(pairs),
                "difference": gap,
                "examples": _examples(pairs, load),
                "by_seed": over_seeds(pairs["score"].tolist(), pairs["score_base"].tolist()),
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    tests = [(i, c) for i in table.index for c in ("examples", "by_seed") if table.at[i, c].p is not None]
    corrected = dict(zip(tests, holm([table.at[i, c].p for i, c in tests]), strict=True))
    for column in ("examples", "by_seed"):
        table[f"{column}_holm"] = [corrected.get((i, column)) for i in table.index]
    return table


COLUMNS = ["label", "sparsity", "against", "other_of", "seeds", "difference", "examples", "by_seed"]


def _counterpart(candidates: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame | None:
    """The baseline's runs at the same sparsity, or its only ones where it removes nothing (dense); of several variants
    that which shares most with `ours` (denominator, budget, teacher, augmentation, training data)."""
    label, sparsity = ours["label"].iloc[0], ours["sparsity"].iloc[0]
    if (candidates["sparsity"] > 0).any():
        candidates = candidates[candidates["sparsity"] == sparsity]
    candidates = candidates[candidates["label"] != label]
    if candidates.empty or (ours["method"].iloc[0] == candidates["method"].iloc[0] and _first(candidates, ours)):
        return None
    facts = ours["facts"].iloc[0]
    shared = candidates["facts"].map(lambda f: sum(f[a] == facts[a] for a in AXES))
    best = candidates[shared == shared.max()]
    return best[best["label"] == best["label"].iloc[0]]


def _first(candidates: pd.DataFrame, ours: pd.DataFrame) -> bool:
    """Of the baseline's own variants the first one stands, the others are compared with it."""
    return bool(ours["order"].min() < candidates["order"].min())


def _examples(pairs: pd.DataFrame, load: Any) -> Test:
    there = pairs[pairs["files"] & pairs["files_base"]]
    if len(there) < len(pairs):
        if there.empty:
            return Test(None, "predictions not at hand")
        return replace(_examples(there, load), part=f"{len(there)} of {len(pairs)} seeds")
    sides: tuple[list[pd.Series], list[pd.Series]] = ([], [])
    try:
        for _, pair in pairs.iterrows():
            for side, directory in zip(sides, (pair["directory"], pair["directory_base"]), strict=True):
                side.append(load(Path(directory), pair["metric"]))
    except BadInput as error:
        return Test(None, str(error))
    return over_examples(*sides)
