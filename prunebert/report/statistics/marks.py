"""Mark the best cell of each column where tests separate it from its rivals. All tables of the report use these marks.

The rivals of a cell have the same sparsity, as a fraction of the same matrices. The best mean is compared with each of
them, on the seeds that both have. A t-test over seeds decides where there are enough seeds, otherwise the test over
examples. The p-values of one column are corrected together by Holm's method (1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prunebert.choices import LOWER_IS_BETTER
from prunebert.report.statistics import pairs
from prunebert.report.statistics.examples import Reader
from prunebert.report.statistics.format import LEVEL
from prunebert.report.statistics.paired import holm, over_seeds

Key = tuple[str, float]  # a label and a sparsity
BEST, TIED, WORSE = "best", "tied", ""
UNTESTED = "nothing"


@dataclass(frozen=True)
class Mark:
    """What the tests say about one cell."""

    mark: str  # BEST: separated from every rival. TIED: not separated from the best mean. WORSE: separated from it.
    rests_on: str = ""  # the test against the best mean: "seeds", "examples" or UNTESTED; "" for the best mean itself


def add_marks(runs: pd.DataFrame, unreadable: dict[Path, str] | None = None) -> pd.DataFrame:
    """Return the runs of all tables with the column `marks`: for each metric of the run's table, its `marks_of`.

    Tables that are made of the same runs afterwards need no more tests.
    """
    by_table: dict[str, dict[str | None, dict[Key, Mark]]] = {}
    for name, table_runs in runs.groupby("table", sort=False):
        others = {m for metrics in table_runs["metrics"] for m in metrics} - {table_runs["metric"].iloc[0]}
        by_table[str(name)] = {metric: _marks(table_runs, metric, unreadable) for metric in (None, *sorted(others))}
    return runs.assign(marks=[by_table[name] for name in runs["table"]])


def marks_of(runs: pd.DataFrame, metric: str | None = None) -> dict[Key, Mark]:
    """Return the mark of each cell that has a rival, by its label and sparsity.

    Args:
        runs: the runs of one table.
        metric: the metric to compare; None compares `score`.
    """
    return runs["marks"].iloc[0][metric] if "marks" in runs else _marks(runs, metric)


def values(runs: pd.DataFrame, metric: str | None) -> pd.Series:
    """Return each run's metric, NaN where it has none; None stands for `score`."""
    return runs["score"] if metric is None else runs["metrics"].map(lambda m: m.get(metric, math.nan))


def _marks(runs: pd.DataFrame, metric: str | None, unreadable: dict[Path, str] | None = None) -> dict[Key, Mark]:
    if "row" in runs and runs["row"].iloc[0].get("tuning"):  # a score that chose rates is optimistic
        return {}
    name = runs["metric"].iloc[0] if metric is None else metric
    scored = runs.assign(value=values(runs, metric))
    marks: dict[Key, Mark] = {}
    for _, competitors in scored[scored["value"].notna()].groupby(["denominator", "sparsity"], sort=False):
        marks |= dict(_compete(competitors, name, Reader(unreadable)))
    return marks


def _compete(competitors: pd.DataFrame, metric: str, reader: Reader) -> Iterator[tuple[Key, Mark]]:
    """Yield the mark of each cell of one column, if there are at least two cells."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    cells = {str(label): cell for label, cell in competitors.groupby("label", sort=False)}
    means = {label: sign * cell["value"].mean() for label, cell in cells.items()}
    if len(cells) < 2:
        return
    best, sparsity = max(means, key=lambda label: means[label]), float(competitors["sparsity"].iloc[0])
    decisions = {label: _decide(cell, cells[best], metric, reader) for label, cell in cells.items() if label != best}
    tested = {label: decision.p for label, decision in decisions.items() if decision.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    separated = {label: decision.is_behind and corrected.get(label, 1) < LEVEL for label, decision in decisions.items()}
    for label, decision in decisions.items():
        yield (label, sparsity), Mark(WORSE if separated[label] else TIED, decision.rests_on)
    yield (best, sparsity), Mark(BEST if all(separated.values()) else TIED)


@dataclass(frozen=True)
class Decision:
    """The test between a cell and the best one of its column."""

    rests_on: str  # see `Mark`
    p: float | None
    is_behind: bool  # whether the cell is worse, in its metric and in what was tested, on the seeds that both have


def _decide(ours: pd.DataFrame, best: pd.DataFrame, metric: str, reader: Reader) -> Decision:
    sign = -1 if metric in LOWER_IS_BETTER else 1
    both = pairs.pair(ours, best)
    values, best_values = [pair.ours.value for pair in both], [pair.theirs.value for pair in both]
    is_behind = sign * (sum(values) - sum(best_values)) < 0
    by_seed = over_seeds(values, best_values)
    if by_seed.p is not None:
        return Decision("seeds", by_seed.p, is_behind)
    examples = pairs.read(both, metric, reader).test()
    return Decision(UNTESTED if examples.p is None else "examples", examples.p, is_behind and examples.lead < 0)
