"""Compare every row of a table with a baseline method, seed by seed and example by example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from prunebert.errors import BadInput, bad_choice
from prunebert.report.statistics import examples
from prunebert.report.statistics.paired import Test, holm, over_examples, over_seeds
from prunebert.report.variants import AXES

DEFAULT = "magnitude"
COLUMNS = ["label", "sparsity", "against", "other_denominator", "seeds", "difference", "examples", "by_seed"]


def choose_baseline(runs: pd.DataFrame, requested: str | None) -> str | None:
    """Return the baseline method: the requested one, else magnitude if it ran, else None.

    Raises:
        BadInput: no run has the requested method.
    """
    methods = list(dict.fromkeys(runs["method"]))
    if requested is None:
        return DEFAULT if DEFAULT in methods else None
    if requested not in methods:
        raise bad_choice("--baseline", requested, methods)
    return requested


def differences(runs: pd.DataFrame, method: str | None, unreadable: dict[Path, str] | None = None) -> pd.DataFrame:
    """Return a row for each cell that has a counterpart of the baseline `method`.

    A row has the mean difference over the common seeds, both tests, and their p-values corrected together.

    Args:
        runs: the runs of one table.
        method: the baseline; None gives an empty table.
        unreadable: why predictions cannot be read is added here, by the run's directory.
    """
    reader = examples.Reader(unreadable)
    candidates = runs[runs["method"] == method]
    rows = []
    for (label, sparsity), ours in runs.groupby(["label", "sparsity"], sort=False):
        theirs = _counterpart(candidates, ours)
        if theirs is None:
            continue
        pairs = ours.merge(theirs, on="seed", suffixes=("", "_base")).sort_values("seed")
        difference = (
            (pairs["score"] - pairs["score_base"]).mean()
            if len(pairs)
            else ours["score"].mean() - theirs["score"].mean()
        )
        same_denominator = ours["denominator"].iloc[0] == theirs["denominator"].iloc[0]
        rows.append(
            {
                "label": label,
                "sparsity": sparsity,
                "against": theirs["label"].iloc[0],
                "other_denominator": not same_denominator and theirs["sparsity"].iloc[0] > 0,
                "seeds": len(pairs),
                "difference": difference,
                "examples": _test_examples(pairs, reader),
                "by_seed": over_seeds(pairs["score"].tolist(), pairs["score_base"].tolist()),
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    tests = [(i, c) for i in table.index for c in ("examples", "by_seed") if table.at[i, c].p is not None]
    corrected = dict(zip(tests, holm([table.at[i, c].p for i, c in tests]), strict=True))
    for column in ("examples", "by_seed"):
        table[f"{column}_holm"] = [corrected.get((i, column)) for i in table.index]
    return table


def _counterpart(candidates: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame | None:
    """Return the baseline's runs that `ours` are compared with, or None.

    They have the same sparsity. A baseline that removes nothing (dense) has only one sparsity, so that one is used.
    Of several variants, the one that shares most of `AXES` with `ours` is used.

    Args:
        candidates: all runs of the baseline in this table.
        ours: the runs of one cell.
    """
    label, sparsity = ours["label"].iloc[0], ours["sparsity"].iloc[0]
    if (candidates["sparsity"] > 0).any():
        candidates = candidates[candidates["sparsity"] == sparsity]
    candidates = candidates[candidates["label"] != label]
    if candidates.empty:
        return None
    is_baseline = ours["method"].iloc[0] == candidates["method"].iloc[0]
    if is_baseline and ours["order"].min() < candidates["order"].min():
        return None  # the baseline's first variant is the reference for its other variants
    facts = ours["facts"].iloc[0]
    shared = candidates["facts"].map(lambda f: sum(f[axis] == facts[axis] for axis in AXES))
    closest = candidates[shared == shared.max()]
    return closest[closest["label"] == closest["label"].iloc[0]]


def _test_examples(pairs: pd.DataFrame, reader: examples.Reader) -> Test:
    """Test over examples, on the seeds whose predictions are available on both sides."""
    readable = pairs[pairs["has_files"] & pairs["has_files_base"]]
    if len(readable) < len(pairs):
        if readable.empty:
            return Test(None, "predictions not available")
        part = f"{len(readable)} of {len(pairs)} seeds"
        return replace(_test_examples(readable, reader), part=part)
    columns = ("directory", "seal", "directory_base", "seal_base", "metric")
    ours: list[pd.Series] = []
    theirs: list[pd.Series] = []
    reasons: list[str] = []  # of all pairs, because the reader lists what cannot be read
    for directory, seal, base, base_seal, metric in zip(*(pairs[column] for column in columns), strict=True):
        for side, read, path, sealed in (
            (ours, reader.scores, directory, seal),
            (theirs, reader.kept_scores, base, base_seal),
        ):
            try:
                side.append(read(Path(path), metric, sealed))
            except BadInput as error:
                reasons.append(str(error))
    return Test(None, reasons[0]) if reasons else over_examples(ours, theirs)
