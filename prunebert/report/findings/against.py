"""Say how the rows compare with a baseline, and which rows are no better than the constant baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from prunebert.choices import LOWER_IS_BETTER
from prunebert.report import cells
from prunebert.report.export.grid import PERCENT
from prunebert.report.findings import text
from prunebert.report.findings.results import Results
from prunebert.report.findings.text import listed
from prunebert.report.statistics.format import LEVEL
from prunebert.runs.comparability import MIN_SEEDS
from prunebert.system.console import counted

HALF_A_POINT = 0.005  # a mean less than this above the constant baseline counts as no better
LISTED = 2  # places of a row that are listed; more are counted
ROWS = 3  # rows in a list


def baseline(results: Results) -> str:
    """Return what the tests say about the differences to the first baseline, over all tables and sparsities."""
    name = next(iter(results.baselines), None)
    parts = [gaps[gaps["baseline"] == name].assign(table=table) for table, gaps in results.gaps.items()]
    parts = [part[~part["other_denominator"].astype(bool)] for part in parts if len(part)]
    parts = [part for part in parts if len(part)]
    if not parts:
        return ""
    gaps = pd.concat(parts, ignore_index=True)
    by_seed, by_example = (gaps[column].astype(float) for column in ("by_seed_holm", "examples_holm"))
    tested, significant = int(by_seed.notna().sum()), by_seed < LEVEL
    examples_only = (by_example < LEVEL) & ~significant
    to = f"to {text.name(name)}"
    if not tested:
        compared = int(by_example.notna().sum())
        if not compared:
            return ""
        none = f"No difference {to} has the {MIN_SEEDS} common seeds that a test over seeds needs"
        found = f"{int(examples_only.sum())} of {compared:,}" if examples_only.any() else f"none of {compared:,}"
        return f"{none}; the test over examples separates {found}{_rows_in(results, gaps[examples_only])}."
    more = int(examples_only.sum())
    rest = f"; the test over examples separates {more:,} more{_rows_in(results, gaps[examples_only])}" if more else ""
    if not significant.any():
        if tested == 1:
            return f"By the test over seeds, the one difference {to} is not significant{rest}."
        return f"By the test over seeds, none of the {tested:,} differences {to} is significant{rest}."
    sign = gaps["table"].map(lambda t: -1 if _metric(results, t) in LOWER_IS_BETTER else 1)
    better = sign * gaps["difference"].astype(float) > 0
    sides = [(" better", gaps[significant & better]), (" worse", gaps[significant & ~better])]
    clauses = [_places(results, rows, side) for side, rows in sides if len(rows)]
    count = int(significant.sum())
    if tested == 1:
        return f"By the test over seeds, the one difference {to} is significant: {clauses[0]}{rest}."
    verb = "is" if count == 1 else "are"
    text_of_all = f"By the test over seeds, {count:,} of {tested:,} differences {to} {verb} significant"
    return f"{text_of_all}: {', and '.join(clauses)}{rest}."


def _metric(results: Results, table: str) -> str:
    return str(results.runs.loc[results.runs["table"] == table, "metric"].iloc[0])


def _rows_in(results: Results, gaps: pd.DataFrame) -> str:
    """Return " (`gmp` and `l0`)", or "" where more rows than ROWS are concerned."""
    labels = [str(label) for label in gaps["label"].drop_duplicates()]
    return f" ({listed([results.name(label) for label in labels])})" if 0 < len(labels) <= ROWS else ""


def _places(results: Results, gaps: pd.DataFrame, side: str) -> str:
    """Return "`smp` (at 0.5) and `l0` (on sst2 at 0.9) are better"."""
    cells_of = {str(label): _cells(rows) for label, rows in gaps.groupby("label", sort=False)}
    return f"{_with_places(results, cells_of)} {'is' if len(cells_of) == 1 else 'are'}{side}"


def _cells(rows: pd.DataFrame) -> list[tuple[str, float]]:
    return [(str(table), float(sparsity)) for table, sparsity in zip(rows["table"], rows["sparsity"], strict=True)]


def _with_places(results: Results, cells_of: dict[str, list[tuple[str, float]]]) -> str:
    """Return the rows that are concerned most often, each with where."""
    ordered = sorted(cells_of, key=lambda label: -len(cells_of[label]))
    items = [f"{results.name(label)} ({_where(results, label, cells_of[label])})" for label in ordered]
    more = len(items) - ROWS
    return listed([*items[:ROWS], counted(more, "more row")] if more > 0 else items)


def _where(results: Results, label: str, places: Sequence[tuple[str, float]]) -> str:
    """Return "at 0.5 and 0.9", "on sst2 at 0.9", or of many places "3 of 20 means"."""
    rows = results.runs[results.runs["label"] == label]
    total = len(rows[rows["sparsity"] > 0].drop_duplicates(["table", "sparsity"])) or rows["table"].nunique()
    if len(results.tables) == 1:
        sparsities = sorted({s for _, s in places if s > 0})
        if not sparsities:
            return "nothing removed"
        if len(sparsities) == total > LISTED:
            return f"at all {total} sparsities"
        return f"at {listed([f'{s:g}' for s in sparsities])}"
    by_task: dict[str, list[str]] = {}
    for table, sparsity in places:
        by_task.setdefault(f"on {results.title(table)}", []).extend([f"{sparsity:g}"] if sparsity else [])
    if len(places) > LISTED:
        return f"{len(places)} of {total} means"
    return listed([f"{task} at {listed(at)}" if at else task for task, at in by_task.items()])


def constant(results: Results) -> str:
    """Return which rows are no better than the constant baseline, and where."""
    found: dict[str, list[tuple[str, float]]] = {}
    metrics = set()
    for table, runs in results.tables:
        scores = runs["majority_score"].dropna()
        if scores.empty:
            continue
        metric = str(runs["metric"].iloc[0])
        metrics.add(metric)
        means = cells.cells(runs)
        for cell in means[is_no_better(means["mean"], float(scores.iloc[0]), metric)].itertuples():
            found.setdefault(str(cell.label), []).append((table, float(cell.sparsity)))
    if not metrics:
        return ""
    has_points = metrics <= set(PERCENT)
    if not found:
        return f"Every mean is {'at least half a point ' if has_points else ''}better than the constant baseline."
    verb = "is" if len(found) == 1 else "are"
    margin = ": less than half a point above it" if has_points else ""
    return f"{_with_places(results, found)} {verb} no better than the constant baseline{margin}."


def is_no_better(means: pd.Series, constant_score: float, metric: str) -> pd.Series:
    """Return whether each mean is no better than the constant baseline.

    Args:
        means: mean scores.
        constant_score: the score of the constant baseline.
        metric: of both. Of a metric in points, half a point above the baseline is no better.
    """
    if math.isnan(constant_score):
        return means.isna()
    if metric in LOWER_IS_BETTER:
        return means >= constant_score
    return means < constant_score + HALF_A_POINT if metric in PERCENT else means <= constant_score
