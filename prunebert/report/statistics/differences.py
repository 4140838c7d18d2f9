"""Compare every row of a table with baselines, seed by seed and example by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prunebert.errors import BadInput, did_you_mean, shown
from prunebert.report.labels import AXES
from prunebert.report.statistics import intervals, pairs
from prunebert.report.statistics.examples import Reader
from prunebert.report.statistics.intervals import Interval
from prunebert.report.statistics.paired import holm, over_seeds

DEFAULT = "magnitude"
LISTED = 6  # rows in a message, besides the methods
COLUMNS = [
    *("baseline", "label", "short_label", "method", "sparsity", "against", "other_denominator", "seeds", "difference"),
    *("examples", "by_seed", "seeds_low", "seeds_high", "examples_low", "examples_high", "why_no_interval"),
]


def choose_baselines(runs: pd.DataFrame, requested: Sequence[str]) -> list[str]:
    """Return the baselines: the requested ones, else magnitude if it ran, else none.

    Args:
        runs: the runs of all tables.
        requested: methods, labels or short labels; one text may hold several, with commas between them.

    Raises:
        BadInput: a requested one is none of these.
    """
    methods = list(dict.fromkeys(runs["method"]))
    if not requested:
        return [DEFAULT] if DEFAULT in methods else []
    names = dict.fromkeys([*methods, *runs["label"], *runs["short_label"]])
    return list(dict.fromkeys(name for text in requested for name in _names_in(text, list(names), methods)))


def _names_in(text: str, names: list[str], methods: list[str]) -> list[str]:
    """Split a text at commas into names. A label may hold commas itself, so the longest name that fits is taken."""
    parts, found = text.split(","), []
    begin = 0
    while begin < len(parts):
        candidates = (",".join(parts[begin:end]).strip() for end in range(len(parts), begin, -1))
        name = next((candidate for candidate in candidates if candidate in names), None)
        if name is None:
            raise _unknown(text if begin == 0 and "(" in text else parts[begin].strip(), names, methods)
        found.append(name)
        begin += len(name.split(","))
    return found


def _unknown(value: str, names: list[str], methods: list[str]) -> BadInput:
    """Return the error for a baseline that is in no table."""
    labels = [name for name in names if name not in methods]
    more = f" and {len(labels) - LISTED} more labels of rows" if len(labels) > LISTED else ""
    allowed = ", ".join([*methods, *labels[:LISTED]]) + more
    return BadInput(f"--baseline={shown(value)}: allowed are {allowed}{did_you_mean(value, names)}")


def differences(
    runs: pd.DataFrame,
    baselines: Sequence[str],
    unreadable: dict[Path, str] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Return a row for each baseline and each cell that has a counterpart of this baseline.

    All p-values of the table are corrected together by Holm's method. Its columns:
        baseline: as it was requested.
        label, short_label, method, sparsity: of the cell.
        against: the label of the counterpart.
        other_denominator: whether the two sparsities are fractions of different matrices.
        seeds: the number of seeds that both have.
        difference: of the metric, ours minus theirs, averaged over these seeds.
        examples, by_seed: both tests, see `Test`; `examples_holm`, `by_seed_holm`: their corrected p, or None.
        seeds_low, seeds_high, examples_low, examples_high: the ends of the 95 % intervals of the difference; NaN if
            there is none.
        why_no_interval: the reasons, or "".

    Args:
        runs: the runs of one table.
        baselines: see `choose_baselines`. Those without a run in this table have no rows.
        unreadable: why predictions cannot be read is added here, by the run's directory.
        advance: called after each cell and baseline, see `count`.
    """
    runs = runs.assign(value=runs["score"])
    cells = {key: cell for key, cell in runs.groupby(["label", "sparsity"], sort=False)}
    rows = []
    for baseline in baselines:
        reader = Reader(unreadable)  # a baseline's predictions are kept while the others are compared with it
        is_method = (runs["method"] == baseline).any()
        names = ("method",) if is_method else ("label", "short_label")
        candidates = runs[(runs[list(names)] == baseline).any(axis=1)]
        by_sparsity = dict(iter(candidates.groupby("sparsity")))
        if candidates.empty or not candidates["sparsity"].max():
            by_sparsity = dict.fromkeys(runs["sparsity"], candidates)  # dense is compared with every sparsity
        for (_, sparsity), ours in cells.items():
            theirs = _counterpart(by_sparsity[sparsity], ours, is_method) if sparsity in by_sparsity else None
            if theirs is not None:
                rows.append({"baseline": baseline, **_compare(ours, theirs, reader)})
            advance()
    table = pd.DataFrame(rows, columns=COLUMNS)
    tests = [(i, c) for i in table.index for c in ("examples", "by_seed") if table.at[i, c].p is not None]
    corrected = dict(zip(tests, holm([table.at[i, c].p for i, c in tests]), strict=True))
    for column in ("examples", "by_seed"):
        table[f"{column}_holm"] = [corrected.get((i, column)) for i in table.index]
    return table


def count(runs: pd.DataFrame, baselines: Sequence[str]) -> int:
    """Return how many cells of all tables are compared with how many baselines: the steps of `differences`."""
    return len(runs[["table", "label", "sparsity"]].drop_duplicates()) * len(baselines)


def _compare(ours: pd.DataFrame, theirs: pd.DataFrame, reader: Reader) -> dict[str, object]:
    """Return the columns of one row."""
    first, base = ours.iloc[0], theirs.iloc[0]
    both = pairs.pair(ours, theirs)
    scores, base_scores = [pair.ours.value for pair in both], [pair.theirs.value for pair in both]
    difference = np.subtract(scores, base_scores).mean() if both else ours["value"].mean() - theirs["value"].mean()
    predictions = pairs.read(both, first["metric"], reader)
    test = predictions.test()
    seed_interval = intervals.over_seeds(scores, base_scores)
    example_interval = (
        Interval(reason=test.reason)
        if test.p is None
        else intervals.over_examples(first["metric"], predictions.ours, predictions.theirs)
    )
    reasons = {"seeds": seed_interval.reason, "examples": example_interval.reason}
    return {
        "label": first["label"],
        "short_label": first["short_label"],
        "method": first["method"],
        "sparsity": first["sparsity"],
        "against": base["label"],
        "other_denominator": first["denominator"] != base["denominator"] and base["sparsity"] > 0,
        "seeds": len(both),
        "difference": difference,
        "examples": test,
        "by_seed": over_seeds(scores, base_scores),
        "seeds_low": seed_interval.low,
        "seeds_high": seed_interval.high,
        "examples_low": example_interval.low,
        "examples_high": example_interval.high,
        "why_no_interval": "; ".join(f"over {over}: {reason}" for over, reason in reasons.items() if reason),
    }


def _counterpart(candidates: pd.DataFrame, ours: pd.DataFrame, is_method: bool) -> pd.DataFrame | None:
    """Return the baseline's runs that `ours` are compared with, or None.

    Of several variants, the one that shares most of `AXES` with `ours` is used. Of variants that share as many, it is
    the one whose label is the method alone, else the one with most equal settings.

    Args:
        candidates: the runs of the baseline in this table that have the sparsity of `ours`. A baseline that removes
            nothing (dense) has only one sparsity, so that one is used.
        ours: the runs of one cell.
        is_method: whether the baseline is a whole method, not one row.
    """
    others = candidates["label"] != ours["label"].iloc[0]
    if not others.any():
        return None
    candidates = candidates if others.all() else candidates[others]
    is_variant = is_method and ours["method"].iloc[0] == candidates["method"].iloc[0]
    if is_variant and ours["order"].min() < candidates["order"].min():
        return None  # the baseline's first variant is the reference for its other variants
    if candidates["label"].nunique() == 1:
        return candidates
    facts = ours["facts"].iloc[0]
    plain = candidates["label"] == candidates["method"]
    shared = candidates["facts"].map(lambda f: sum(f[axis] == facts[axis] for axis in AXES))
    equal = candidates["facts"].map(lambda f: len(f.items() & facts.items()))
    shared = pd.Series(list(zip(shared, plain, equal, strict=True)), candidates.index)
    closest = candidates[shared == max(shared)]
    return closest[closest["label"] == closest["label"].iloc[0]]
