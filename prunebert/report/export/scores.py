"""Arrange finished runs as the tables of a paper: scores, tasks × methods, and differences to a baseline."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from prunebert.report import cells, origin
from prunebert.report.export.grid import (
    MISSING,
    NO_SCORE,
    PERCENT,
    Cell,
    Column,
    Form,
    Grid,
    Row,
    commonest,
    score_column,
    seeds,
)
from prunebert.report.statistics.format import p_text
from prunebert.report.statistics.paired import Test
from prunebert.report.statistics.ranking import Entry, Ranking
from prunebert.report.statistics.ranking import Row as RankedRow
from prunebert.report.variants import DENOMINATORS
from prunebert.system.names import brief

REFERENCE = "reference"  # the mark of a row whose method removes nothing
MAX_METRIC = 60  # characters of a metric's name in a caption


def by_sparsity(runs: pd.DataFrame, metric: str, form: Form) -> Grid:
    """Return the table method × sparsity.

    Args:
        runs: the runs of one table.
        metric: one of their metrics.
        form: how numbers are printed.
    """
    name, main_metric = runs["table"].iloc[0], runs["metric"].iloc[0]
    means = cells.cells(runs, None if metric == main_metric else metric)
    by_cell = {(cell.label, cell.sparsity): cell for cell in means.itertuples()}
    sparsities = sorted(means["sparsity"].unique())
    names = _names(runs)
    of, denominator_notes = _denominators(runs)
    labels = means.sort_values("order")["label"].drop_duplicates()
    counts = [[by_cell[at].n if (at := (label, s)) in by_cell else 0 for s in sparsities] for label in labels]
    seeds_text, seed_notes = seeds(counts, [f"sparsity {s:g}" for s in sparsities])
    rows = []
    for label, notes in zip(labels, seed_notes, strict=True):
        line = []
        for sparsity in sparsities:
            cell = by_cell.get((label, sparsity))
            line.append(form.score(cell.mean, cell.sd, cell.n, metric, cell.mark or "") if cell else NO_SCORE)
        rows.append(Row(*names[label], line, (*denominator_notes.get(label, ()), *notes)))
    caption = f"{_unit([metric], form)} on {name}, by sparsity{_of(of)}. {_spread(rows)}{seeds_text}."
    return Grid(f"{name} {metric}", caption, [score_column(f"{s:g}") for s in sparsities], rows, (), origin.share(runs))


def by_task(ranking: Ranking, runs: pd.DataFrame, form: Form) -> Grid:
    """Return the table tasks × methods at one sparsity, with the mean and the mean rank.

    Args:
        ranking: the means, ranks and marks at this sparsity.
        runs: the runs of all tables.
        form: how numbers are printed.
    """
    titles, shared = task_titles(ranking.tables)
    names = _names(runs)
    of, denominator_notes = _denominators(runs[runs["sparsity"].isin([0, ranking.sparsity])])
    metrics = {table: ranking.metrics[table] for table in ranking.tables}
    usual = commonest(metrics.values())
    counts = [[row.cells[t].n if t in row.cells else 0 for t in ranking.tables] for row in ranking.rows]
    seeds_text, seed_notes = seeds(counts, [titles[table] for table in ranking.tables])
    rows = []
    for row, notes in zip(ranking.rows, seed_notes, strict=True):
        line = [_entry(row.cells.get(table), metrics[table], form) for table in ranking.tables]
        line += [_mean(row, usual, form), _rank(row)]
        reference = ("not pruned, for reference",) if is_reference(row) else ()
        rows.append(Row(*names[row.label], line, (*reference, *denominator_notes.get(row.label, ()), *notes)))
    columns = [*(score_column(titles[table]) for table in ranking.tables), Column("mean", ("mean",))]
    columns.append(Column("rank", ("mean rank",)))
    others = [
        f"{titles[table]}: {PERCENT.get(metric, brief(metric, MAX_METRIC))}"
        for table, metric in metrics.items()
        if metric != usual
    ]
    listed = _unit([usual, *metrics.values()], form) + (f" ({', '.join(others)})" if others else "")
    model = f" of {shared}" if shared else ""
    caption = f"{listed}{model} at sparsity {ranking.sparsity:g}{_of(of)}. {_spread(rows)}{seeds_text}."
    name = f"tasks {shared} {ranking.sparsity:g}"
    ranked = any(row.mean_rank is not None for row in ranking.rows)
    caption += " Rank: mean over tasks." if ranked else " There is no mean rank." if len(ranking.tables) > 1 else ""
    shown = runs[runs["table"].isin(ranking.tables) & runs["sparsity"].isin([0, ranking.sparsity])]
    return Grid(name, caption, columns, rows, ranking.sentences, origin.share(shown))


def by_task_and_sparsity(rankings: Sequence[Ranking], runs: pd.DataFrame, form: Form) -> Grid:
    """Return the tables of `by_task` as one, with the sparsity as a column. Rows of reference come once."""
    grids = [by_task(ranking, runs, form) for ranking in rankings]
    titles = dict.fromkeys(column.title for grid in grids for column in grid.columns[:-2])
    columns = [Column("sparsity", ("sparsity",), is_key=True), *map(score_column, titles), *grids[0].columns[-2:]]
    rows, seen = [], set()
    for ranking, grid in zip(rankings, grids, strict=True):
        for ranked, row in zip(ranking.rows, grid.rows, strict=True):
            if is_reference(ranked) and row.label in seen:
                continue
            seen.add(row.label)
            sparsity = 0.0 if is_reference(ranked) else ranking.sparsity
            by_title = {c.title: cell for c, cell in zip(grid.columns[:-2], row.cells[:-2], strict=True)}
            line = [Cell(f"{sparsity:g}", numbers=(sparsity,))]
            line += [by_title.get(title, NO_SCORE) for title in titles]
            rows.append(Row(row.name, row.setting, [*line, *row.cells[-2:]], row.notes))
    caption = " ".join(dict.fromkeys(grid.caption for grid in grids))
    return Grid("tasks", caption, columns, rows, (), origin.share(runs))


def of_differences(gaps: pd.DataFrame, runs: pd.DataFrame, form: Form) -> list[Grid]:
    """Return a table for each baseline: the difference, its intervals and the corrected p-values of both tests.

    Args:
        gaps: see `statistics.differences.differences`.
        runs: the runs of the same table.
        form: how numbers are printed.
    """
    table, metric = runs["table"].iloc[0], runs["metric"].iloc[0]
    names = _names(runs)
    columns = [Column("sparsity", is_key=True), Column("difference"), Column("95 % interval, seeds")]
    columns += [Column("p, seeds"), Column("95 % interval, examples"), Column("p, examples")]
    grids = []
    for baseline, found in gaps.groupby("baseline", sort=False):
        usual = commonest(found["against"])
        seeds_text, seed_notes = seeds([[n] for n in found["seeds"]])
        rows = []
        for (_, gap), notes in zip(found.iterrows(), seed_notes, strict=True):
            against = () if gap["against"] == usual else (f"against {gap['against']}",)
            other = ("the two sparsities are fractions of different matrices",) if gap["other_denominator"] else ()
            line = [Cell(f"{gap['sparsity']:g}"), Cell(form.number(gap["difference"], metric, "+"))]
            for test, side in (("by_seed", "seeds"), ("examples", "examples")):
                line += [_interval(gap, side, metric, form), _p(gap[test], gap[f"{test}_holm"])]
            rows.append(Row(*names[gap["label"]], line, (*against, *other, *notes)))
        caption = f"{_unit([metric], form)} on {table}: the difference to {usual}. {seeds_text}. "
        caption += "The p-values are corrected by Holm's method, over both tests, all baselines and all sparsities."
        grids.append(
            _without_empty(Grid(f"{table} difference to {baseline}", caption, columns, rows, (), origin.share(runs)))
        )
    return grids


def _without_empty(grid: Grid) -> Grid:
    """Return the table without the columns that have no value. The caption has the only reason, if there is one."""
    kept = [k for k in range(len(grid.columns)) if any(row.cells[k].text != MISSING for row in grid.rows)]
    dropped = [k for k in range(len(grid.columns)) if k not in kept]
    rows = [Row(row.name, row.setting, [row.cells[k] for k in kept], row.notes) for row in grid.rows]
    caption = grid.caption
    for k in dropped:
        reasons = sorted({note for row in grid.rows for note in row.cells[k].notes})
        caption += f" No {grid.columns[k].title}: {'; '.join(reasons)}." if reasons else ""
    return Grid(grid.name, caption, [grid.columns[k] for k in kept], rows, grid.remarks, grid.origin)


def is_reference(row: RankedRow) -> bool:
    """Return whether the row is outside of the competition, because its method removes nothing."""
    return all(entry.mark == REFERENCE for entry in row.cells.values())


def task_titles(tables: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return the title of each table's column, and what all tables share, such as the model."""
    parts = {table: table.split(", ") for table in tables}
    shared = [part for part in parts[tables[0]][1:] if all(part in other[1:] for other in parts.values())]
    titles = {t: ", ".join([words[0], *(w for w in words[1:] if w not in shared)]) for t, words in parts.items()}
    return titles, ", ".join(shared)


def _names(runs: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Map each label to its method and its setting. The setting is that of the short label where this one is unique."""
    variants = runs.drop_duplicates(["label", "short_label"])
    counts = [variants[column].value_counts() for column in ("label", "short_label")]
    names = {}
    for run in variants.itertuples():
        is_unique = counts[0][run.label] == 1 and counts[1][run.short_label] == 1
        text = run.short_label if is_unique else run.label
        rest = text.removeprefix(run.method)
        has_setting = text.startswith(run.method) and rest.startswith(" (") and rest.endswith(")")
        names[run.label] = (run.method, rest[2:-1]) if has_setting else (text, "")
    return names


def _denominators(runs: pd.DataFrame) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return the commonest denominator of the pruned rows, and a note for the labels that have another one."""
    pruned = runs[runs["sparsity"] > 0].drop_duplicates(["label", "denominator"])
    names = {run.label: DENOMINATORS.get(run.denominator, run.denominator) for run in pruned.itertuples()}
    usual = commonest(names.values())
    return usual, {label: (f"sparsity of {name}",) for label, name in names.items() if name != usual}


def _unit(metrics: Sequence[str], form: Form) -> str:
    """Return the first metric, "in percent" if it is printed so, and which others are not."""
    first, *others = dict.fromkeys(metrics)
    name = PERCENT.get(first, brief(first, MAX_METRIC))
    name = name[:1].upper() + name[1:] if first in PERCENT else name
    if not form.is_percent(first):
        return name
    unscaled = [metric for metric in others if not form.is_percent(metric)]
    return f"{name} in percent" + (
        f", {', '.join(brief(metric, MAX_METRIC) for metric in unscaled)} not" if unscaled else ""
    )


def _spread(rows: Sequence[Row]) -> str:
    has_deviation = any(cell.deviation for row in rows for cell in row.cells)
    return "Mean ± standard deviation; " if has_deviation else ""


def _of(denominator: str) -> str:
    return f" (of {denominator})" if denominator else ""


def _entry(entry: Entry | None, metric: str, form: Form) -> Cell:
    if entry is None:
        return NO_SCORE
    return form.score(entry.mean, entry.sd, entry.n, metric, entry.mark)


def _mean(row: RankedRow, metric: str, form: Form) -> Cell:
    return Cell(numbers=(None,)) if row.mean is None else Cell(form.number(row.mean, metric), numbers=(row.mean,))


def _rank(row: RankedRow) -> Cell:
    return Cell(numbers=(None,)) if row.mean_rank is None else Cell(f"{row.mean_rank:.1f}", numbers=(row.mean_rank,))


def _interval(gap: pd.Series, side: str, metric: str, form: Form) -> Cell:
    low, high = gap[f"{side}_low"], gap[f"{side}_high"]
    if pd.isna(low) or pd.isna(high):
        return Cell()
    return Cell(f"{form.number(low, metric, '+')} to {form.number(high, metric, '+')}")


def _p(test: Test, corrected: float | None) -> Cell:
    """Return the cell of a corrected p-value. A note has the reason why there is none, or which seeds were tested."""
    if test.p is None or corrected is None or pd.isna(corrected):
        return Cell(notes=(test.reason,) if test.reason else ())
    return Cell(p_text(corrected), notes=(test.part,) if test.part else ())
