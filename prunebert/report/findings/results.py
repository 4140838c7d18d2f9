"""What the findings are about: the runs of a report with its rankings and tests, and each row's mean over the tasks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from prunebert.choices import LOWER_IS_BETTER
from prunebert.report import cells, namesakes
from prunebert.report.collect import Collected
from prunebert.report.export import scores
from prunebert.report.export.grid import PERCENT
from prunebert.report.findings import text
from prunebert.report.page import study, tuning
from prunebert.report.statistics import differences, marks, ranking
from prunebert.report.statistics.ranking import ELSEWHERE, REFERENCE, Ranking
from prunebert.report.trouble import Trouble

TIE = 1e-12  # means that differ by less are equal


@dataclass(frozen=True)
class Results:
    """The runs of a report and what it computed from them.

    All statistics come from the report: no test is computed here. `of` makes the object where no report was written.

    Attributes:
        runs: the runs of all tables, with the column `marks` (see `marks.add_marks`), without those of tuning.
        rankings: a ranking for each sparsity at which two rows can be ranked, see `ranking.rank`.
        gaps: by table, the differences to the baselines, see `differences.differences`.
        baselines: see `differences.choose_baselines`.
        tuning_runs: the runs that chose learning rates; they are in no table.
        troubles: what the report lists as missing, damaged or mixed.
    """

    runs: pd.DataFrame
    rankings: Sequence[Ranking]
    gaps: Mapping[str, pd.DataFrame]
    baselines: Sequence[str]
    tuning_runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    troubles: Sequence[Trouble] = ()

    @cached_property
    def compares(self) -> bool:
        """Whether the runs may be compared. The scores of tuning runs are optimistic, so nothing is said about them."""
        return not tuning.are_tuning(self.runs).all()

    @cached_property
    def tables(self) -> list[tuple[str, pd.DataFrame]]:
        """The runs of each table, by name."""
        return [(str(name), runs) for name, runs in self.runs.groupby("table", sort=False)]

    @cached_property
    def main(self) -> Ranking | None:
        """The ranking that the page shows first; None if there is nothing to rank."""
        return self.rankings[study.first(list(self.rankings))] if self.rankings else None

    @cached_property
    def sparsity(self) -> float | None:
        """The main sparsity: that of the main ranking, else the one nearest to 0.9; None if nothing was pruned."""
        if self.main:
            return self.main.sparsity
        pruned = sorted({float(s) for s in self.runs["sparsity"] if s > 0})
        return pruned[study.nearest(pruned)] if pruned else None

    @cached_property
    def overall(self) -> Overall:
        """Each row's mean over the tables that can be averaged."""
        return average(self.runs)

    def ranked(self, sparsity: float) -> pd.DataFrame:
        """Return the rows of `overall` that compete at a sparsity, the best first."""
        means = self.overall.means
        rows = means[means["sparsity"] == sparsity]
        found = next((r for r in self.rankings if r.sparsity == sparsity), None)
        if found:
            outside = {REFERENCE, ELSEWHERE}
            labels = {r.label for r in found.rows if not outside & {entry.mark for entry in r.cells.values()}}
            rows = rows[rows["label"].isin(labels)]
        order = (self.overall.sign * rows["mean"]).sort_values(ascending=False, kind="stable").index
        return rows.loc[order]

    def leaders(self, sparsity: float) -> pd.DataFrame:
        """Return the rows with the best mean of `overall` at a sparsity: several if their means are equal."""
        rows = self.ranked(sparsity)
        return rows[(rows["mean"] - rows["mean"].iloc[0]).abs() <= TIE] if len(rows) else rows

    @cached_property
    def dense(self) -> pd.Series | None:
        """The row of `overall` that removes nothing and has the best mean; None if there is none."""
        means = self.overall.means
        never = means[means.groupby("label")["sparsity"].transform("max") == 0] if len(means) else means
        return None if never.empty else never.loc[(self.overall.sign * never["mean"]).idxmax()]

    def name(self, label: str) -> str:
        """Return a row's name for a sentence: its method if no other row has this method, else its label."""
        return self._names.get(label, text.name(label))

    def title(self, table: str) -> str:
        """Return a table's name for a sentence: its task, and what else tells it from tables of the same task."""
        return self._titles[table]

    @cached_property
    def _titles(self) -> dict[str, str]:
        short, _ = scores.task_titles([name for name, _ in self.tables])
        several = {table for found in self.namesakes for table in found.tables}
        return {name: text.word(short[name] if name in several else name.split(", ")[0]) for name in short}

    @cached_property
    def namesakes(self) -> list[namesakes.Namesakes]:
        """Each task and model that has several tables."""
        return namesakes.find(self.runs)

    @cached_property
    def _names(self) -> dict[str, str]:
        rows = self.runs.drop_duplicates("label")
        count = Counter(rows["method"])
        pairs = zip(rows["label"], rows["method"], strict=True)
        return {str(label): text.name(method if count[method] == 1 else label) for label, method in pairs}


@dataclass(frozen=True)
class Overall:
    """The means of all rows over the tables of one metric and one model. Of each task there is one table."""

    tables: list[str]
    metric: str
    means: pd.DataFrame  # label, method, short_label, sparsity, denominator, order, mean, sd, n; n: seeds in all tables
    constant: float  # the mean score of the constant baseline; NaN if a table lacks it

    @property
    def sign(self) -> int:
        """1 if a higher score is better, else -1."""
        return -1 if self.metric in LOWER_IS_BETTER else 1

    @property
    def has_points(self) -> bool:
        """Whether a hundredth of the score is a point, as of an accuracy or a correlation."""
        return self.metric in PERCENT


def of(collected: Collected, requested: Sequence[str] = ()) -> Results:
    """Compute what a report computes, of runs for which no report is written.

    Args:
        collected: the runs, see `collect.collect`.
        requested: the baselines; default: magnitude, if it ran.

    Raises:
        BadInput: a requested baseline is in no table.
    """
    runs = tuning.compared(collected.runs)
    compares = not tuning.are_tuning(runs).all()
    baselines = differences.choose_baselines(runs, requested) if compares else []
    runs = marks.add_marks(runs)
    gaps = {str(name): differences.differences(part, baselines) for name, part in runs.groupby("table", sort=False)}
    rankings = [ranking.rank(runs, sparsity) for sparsity in ranking.sparsities(runs)] if compares else []
    chose_rates = collected.runs[tuning.are_tuning(collected.runs)]
    return Results(runs, rankings, gaps, baselines, chose_rates, collected.troubles)


def average(runs: pd.DataFrame) -> Overall:
    """Average each row over the tables of the commonest metric and model. A row that lacks one of them has no mean.

    Of several tables of one task and model, only the one with most runs at hand counts, see `namesakes`.

    The mean is that of the tables' means over seeds. The standard deviation (n - 1) is that of each seed's mean over
    the tables, over the seeds that the row has in all these tables. With fewer than two such seeds it is NaN.
    `n` is the number of these seeds; it may be 0.

    Args:
        runs: the runs of all tables.
    """
    first = runs[~runs["table"].isin(namesakes.left_out(runs))].drop_duplicates("table").set_index("table")
    kinds = list(zip(first["metric"], first["model"], strict=True))
    metric, model = Counter(kinds).most_common(1)[0][0]
    tables = [str(t) for t, kind in zip(first.index, kinds, strict=True) if kind == (metric, model)]
    used = runs[runs["table"].isin(tables)]
    constants = used.groupby("table")["majority_score"].first().reindex(tables)
    constant = float(constants.mean()) if constants.notna().all() else math.nan
    parts = [cells.cells(used[used["table"] == table]) for table in tables]
    if len(parts) == 1:
        return Overall(tables, metric, parts[0], constant)
    grouped = pd.concat(parts).groupby(["label", "sparsity"], sort=False)
    means = grouped.agg(
        **{column: (column, "first") for column in ("method", "short_label", "denominator")},
        order=("order", "min"),
        mean=("mean", "mean"),
        tables=("mean", "size"),
    )
    means = means[means["tables"] == len(tables)].sort_values("order", kind="stable")
    by_seed = used.pivot_table("score", ["label", "sparsity", "seed"], "table").reindex(columns=tables).dropna()
    spread = by_seed.mean(axis=1).groupby(level=["label", "sparsity"]).agg(["std", "size"]).reindex(means.index)
    counts = spread["size"].fillna(0).astype(int)
    means = means.assign(sd=spread["std"], n=counts).drop(columns="tables").reset_index()
    return Overall(tables, metric, means, constant)
