"""Rank the rows of the report over all its tables at one sparsity, with what tests say about the differences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from scipy import stats

from prunebert.analysis.transfer import is_transfer
from prunebert.choices import LOWER_IS_BETTER
from prunebert.report import cells, namesakes
from prunebert.report.export.grid import PERCENT
from prunebert.report.statistics import marks
from prunebert.report.statistics.summary import Competition, describe, winners
from prunebert.report.variants import DENOMINATORS

ELSEWHERE_SHOWN = (
    "Runs on the masks of other runs are not ranked beside the methods that made the masks; the section Transfer of "
    "masks has them."
)
REFERENCE, ELSEWHERE = "reference", "other denominator"


@dataclass(frozen=True)
class Entry:
    """A row's score in one table."""

    mean: float  # over the seeds
    sd: float  # over the seeds (n - 1); NaN for one seed
    n: int  # seeds
    rank: float | None  # 1 is the best; None for rows that lack a table or do not compete
    mark: str  # "best", "tied", "" (worse), "reference" (removes nothing) or "other denominator" (does not compete)


@dataclass(frozen=True)
class Row:
    """A row: the runs of all tables that have the same label."""

    label: str
    method: str
    denominator: str  # what its sparsity is a fraction of; a dash if it removes nothing
    cells: Mapping[str, Entry]  # by table
    mean: float | None  # of the scores, if the row has every table and the metrics are alike, see `_are_alike`
    mean_rank: float | None  # of the ranks, if the row competes in every table; neither if tables are namesakes
    wins: int  # tables in which it has the best mean


@dataclass(frozen=True)
class Ranking:
    """All tables of a report at one sparsity."""

    sparsity: float
    tables: list[str]
    metrics: dict[str, str]  # by table
    rows: list[Row]  # by mean rank; then those without one; then those that do not compete; then the references
    sentences: list[str]  # what the tests say


def rank_all(runs: pd.DataFrame, unreadable: dict[Path, str] | None = None) -> list[Ranking]:
    """Rank at each of `sparsities`. Runs that only use other runs' masks are left out, and a sentence says so.

    They are ranked if no other run was pruned. Arguments as of `rank`.
    """
    transferred = runs["row"].map(is_transfer).astype(bool)
    if not transferred.any() or not (runs.loc[~transferred, "sparsity"] > 0).any():
        return [rank(runs, sparsity, unreadable) for sparsity in sparsities(runs)]
    others = runs[~transferred].drop(columns="marks", errors="ignore")  # marks compare with the rows left out, too
    found = [rank(others, sparsity, unreadable) for sparsity in sparsities(others)]
    return [replace(each, sentences=[*each.sentences, ELSEWHERE_SHOWN]) for each in found]


def sparsities(runs: pd.DataFrame) -> list[float]:
    """Return the sparsities at which at least two rows of a table can be ranked."""
    pruned = runs[runs["sparsity"] > 0]
    rivals = pruned.groupby(["table", "sparsity", "denominator"])["label"].nunique()
    return sorted({float(sparsity) for _, sparsity, _ in rivals[rivals > 1].index})


def rank(runs: pd.DataFrame, sparsity: float, unreadable: dict[Path, str] | None = None) -> Ranking:
    """Rank the rows of all tables at one sparsity.

    Only rows whose sparsity is a fraction of the same matrices compete: those of the commonest denominator. Rows that
    remove nothing are shown as a reference. Ranks are given among the rows that have every table.

    Args:
        runs: the runs of all tables.
        sparsity: one of `sparsities`.
        unreadable: why predictions cannot be read is added here, by the run's directory.

    Raises:
        ValueError: no run was pruned to this sparsity.
    """
    never_pruned = runs.groupby("label")["sparsity"].transform("max") == 0
    shown = runs[(runs["sparsity"] == sparsity) | never_pruned]
    shown = shown if "marks" in runs else marks.add_marks(shown, unreadable)
    tables = [str(name) for name in runs["table"].drop_duplicates() if (shown["table"] == name).any()]
    found = pd.concat([cells.cells(shown[shown["table"] == name]).assign(table=name) for name in tables])
    rivals = found[found["sparsity"] > 0]
    if rivals.empty:
        raise ValueError(f"no run has sparsity {sparsity:g}")
    main = Counter(rivals.drop_duplicates("label")["denominator"]).most_common(1)[0][0]
    metrics = {name: str(shown.loc[shown["table"] == name, "metric"].iloc[0]) for name in tables}
    competing = rivals[rivals["denominator"] == main]
    labels = competing.sort_values("order", kind="stable")["label"].unique()
    means = competing.pivot(index="label", columns="table", values="mean").reindex(index=labels, columns=tables)
    means *= [-1 if metrics[name] in LOWER_IS_BETTER else 1 for name in tables]  # higher is better everywhere
    complete = means.dropna()
    ranks = pd.DataFrame(stats.rankdata(-complete.round(12), axis=0), complete.index, tables)
    twice = namesakes.find(shown)
    rows = [
        _row(str(label), cell_means.set_index("table"), metrics, main, ranks, means, not twice)
        for label, cell_means in found.groupby("label", sort=False)
    ]
    order = found.groupby("label")["order"].min()
    rows.sort(key=lambda row: (_place(row), row.mean_rank or 0, -row.wins, order[row.label]))
    tasks = shown.drop_duplicates("table").set_index("table")[["task", "model"]]
    rests_on = {
        (name, label): mark.rests_on
        for name, table_runs in shown.groupby("table")
        for (label, at), mark in marks.marks_of(table_runs).items()
        if at == sparsity and label in means.index
    }
    elsewhere = sorted(set(rivals["denominator"]) - {main})
    at_work = shown[(shown["sparsity"] == sparsity) & (shown["denominator"] == main)]
    patterns = list(dict.fromkeys(facts["pattern"] for facts in at_work["facts"]))
    other = [DENOMINATORS.get(d, d) for d in elsewhere]
    alone = ranks.drop(columns=[table for found in twice for table in found.tables[1:]])
    competition = Competition(means, alone, tasks, competing, rests_on, other, patterns)
    apart = [f"Of {found.task}, {found.reason}." for found in twice]
    return Ranking(sparsity, tables, metrics, rows, [*describe(competition), *apart])


def _row(
    label: str,
    cell_means: pd.DataFrame,
    metrics: Mapping[str, str],
    main: str,
    ranks: pd.DataFrame,
    means: pd.DataFrame,
    joined: bool,
) -> Row:
    """Return one row.

    Args:
        label: its label.
        cell_means: its cells by table.
        metrics: by table.
        main: the denominator that competes.
        ranks: of the rows that have every table.
        means: of all competing rows, higher is better.
        joined: whether a mean and a mean rank may join the tables, see `namesakes`.
    """
    pruned = cell_means["sparsity"].max() > 0
    denominator = str(cell_means["denominator"].iloc[0])
    competes = pruned and denominator == main
    entries = {}
    for name, cell in cell_means.iterrows():
        mark = REFERENCE if not pruned else str(cell["mark"]) if competes else ELSEWHERE
        place = float(ranks.at[label, name]) if label in ranks.index else None
        entries[str(name)] = Entry(float(cell["mean"]), float(cell["sd"]), int(cell["n"]), place, mark)
    averaged = joined and len(entries) == len(metrics) and _are_alike(set(metrics.values()))
    return Row(
        label,
        str(cell_means["method"].iloc[0]),
        DENOMINATORS.get(denominator, denominator) if pruned else "–",
        entries,
        math.fsum(entry.mean for entry in entries.values()) / len(entries) if averaged else None,
        float(ranks.loc[label].mean()) if joined and label in ranks.index else None,
        int(winners(means).loc[label].sum()) if competes else 0,
    )


def _are_alike(metrics: set[str]) -> bool:
    """Return whether scores of these metrics have a mean: of fractions and correlations, or of one metric."""
    return metrics <= set(PERCENT) or (len(metrics) == 1 and not metrics & set(LOWER_IS_BETTER))


def _place(row: Row) -> int:
    """Return where rows of a kind stand: ranked, not ranked, not competing, and references."""
    found = {entry.mark for entry in row.cells.values()}
    if REFERENCE in found:
        return 3
    return 2 if ELSEWHERE in found else int(row.mean_rank is None)
