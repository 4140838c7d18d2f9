"""Answer which method is best: the ranking at each sparsity, and the differences to the baselines."""

from __future__ import annotations

import math

import pandas as pd

from prunebert.report import cells, origin
from prunebert.report.page import comparisons, published, results_tables, study, tables
from prunebert.report.page.drawings import Draw
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number
from prunebert.report.published import numbers
from prunebert.report.statistics.ranking import Entry, Ranking
from prunebert.settings import overlaps
from prunebert.system.console import counted

MARKS = {"best": "best", "tied": "", "": "", "reference": "muted", "other denominator": "muted"}
LEGEND = (
    "Each cell has the mean over seeds, then ± their standard deviation and the number of seeds. Bold: the best mean, "
    "and the tests separate it from every other row. ≈: the best mean, or one that the tests do not separate from it. "
    "Grey: not ranked."
)
LEAD = 2  # sentences of a ranking above its table: which row is best, and what the tests support
NO_RANKING = "No two rows share a task, a model and a sparsity, so there is nothing to rank."


def section(asked: Study, draw: Draw) -> Section:
    """Return the section: a ranking for each sparsity, then the differences, then every table of scores."""
    parts = [_rankings(asked), *comparisons.forests(asked, draw), _every_table(asked)]
    return Section("Which method is best", "best", parts)


def _rankings(asked: Study) -> Part:
    if not asked.rankings:
        return Part(text=NO_RANKING)
    names = study.short_names([name for name, _ in asked.tables])
    tabs = [
        Part(
            f"{r.sparsity:g}",
            text=" ".join(r.sentences[:LEAD]),
            table=results_tables.marked(_ranking(r, names), r, asked.runs),
            parts=[Part(text=" ".join(r.sentences[LEAD:]))],
        )
        for r in asked.rankings
    ]
    return Part(parts=tabs, choice="Sparsity", chosen=study.first(asked.rankings))


def _ranking(ranking: Ranking, names: dict[str, str]) -> Table:
    """Return the table method × task at one sparsity."""
    several = len({*ranking.metrics.values()}) > 1
    columns = [names[t] + (f": {ranking.metrics[t]}" if several else "") for t in ranking.tables]
    has_mean = any(row.mean is not None for row in ranking.rows) and len(ranking.tables) > 1
    has_rank = any(row.mean_rank is not None for row in ranking.rows)
    rows = []
    for row in ranking.rows:
        marks = {entry.mark for entry in row.cells.values()}
        reason = "removes nothing" if "reference" in marks else ""
        if "other denominator" in marks:
            reason = f"sparsity of {row.denominator}"
        line = [Cell(row.label, kind="name", below=Cell(f"not ranked: {reason}") if reason else None)]
        line += [_entry(row.cells[t]) if t in row.cells else number(None) for t in ranking.tables]
        line += [number(row.mean)] if has_mean else []
        rows.append([*line, number(row.mean_rank, "{:.1f}")] if has_rank else line)
    ends = ["mean"] * has_mean + [("mean rank" if len(ranking.tables) > 1 else "rank")] * has_rank
    metric = "" if several else f"All columns: {next(iter(ranking.metrics.values()))}. "
    return Table(["method", *columns, *ends], rows, metric + LEGEND)


def _entry(entry: Entry) -> Cell:
    text = ("≈\N{NO-BREAK SPACE}" if entry.mark == "tied" else "") + f"{entry.mean:.4f}"
    spread = f"± {entry.sd:.4f} ({entry.n})" if entry.n > 1 and not math.isnan(entry.sd) else f"({entry.n})"
    return Cell(text, entry.mean, MARKS[entry.mark], below=Cell(spread))


def _every_table(asked: Study) -> Part:
    published_numbers = numbers.read_table()
    parts = []
    for name, runs in asked.tables:
        metric, task = runs["metric"].iloc[0], runs["task"].iloc[0]
        inner = [
            Part(text=_described(runs), table=_scores(runs)),
            *_other_metrics(runs, metric),
            *comparisons.numbers(asked.gaps[name], metric, task),
            *published.parts(runs, published_numbers),
        ]
        parts.append(Part(folded=f"{name}: {metric}", parts=[*inner, *_names(runs)]))
    return Part("Scores, tests and published numbers of each task", parts=parts)


def _described(runs: pd.DataFrame) -> str:
    """Name the metric, the evaluation data and the constant baseline, and warn where scores are not held-out scores."""
    constant_scores = runs["majority_score"].dropna()
    text = f"{runs['metric'].iloc[0]}{_evaluation_data(runs)}."
    if len(constant_scores):
        text += f" The constant baseline scores {constant_scores.iloc[0]:.4f}."
    return text + "".join(f"\nWarning: {note}." for note in _overlap_notes(runs))


def _evaluation_data(runs: pd.DataFrame) -> str:
    """Describe the evaluation data: " on 872 examples of validation", or "" if it is unknown."""
    data = runs["row"].iloc[0].get("data")
    splits = (data.get("rows") or {}) if isinstance(data, dict) else {}
    sizes = [
        f"{counted(n, 'example')} of {split}" for split, n in splits.items() if split != "train" and isinstance(n, int)
    ]
    return f" on {', '.join(sizes)}" if sizes else ""


def _overlap_notes(runs: pd.DataFrame) -> list[str]:
    """Return why scores may not be held-out scores, with the rows concerned if these are not all."""
    labels: dict[str, list[str]] = {}
    for row, label in zip(runs["row"], runs["label"], strict=True):
        for note in overlaps.of_result(row):
            labels.setdefault(note, []).append(label)
    shown = {note: ", ".join(dict.fromkeys(rows)) for note, rows in labels.items()}
    return [note if len(labels[note]) == len(runs) else f"{note} (of {shown[note]})" for note in labels]


def _other_metrics(runs: pd.DataFrame, metric: str) -> list[Part]:
    others = sorted({m for metrics in runs["metrics"] for m in metrics} - {metric})
    found = [(other, _scores(runs, other)) for other in others]
    return [Part(folded=f"The same for {other}", table=table) for other, table in found]


def _scores(runs: pd.DataFrame, metric: str | None = None) -> Table:
    """Return the table method × sparsity, with a mark at means over rows of results tables."""
    marked = {(label, sparsity) for _, label, sparsity in origin.marked(runs)}
    return tables.scores(cells.cells(runs, metric), marked, origin.note(runs))


def _names(runs: pd.DataFrame) -> list[Part]:
    """Return the table of all settings in which the rows of a method differ, where their labels name some of these."""
    named = runs[runs["details"] != ""].drop_duplicates("label")
    rows = [[Cell(label, kind="name"), Cell(text, kind="long")] for label, text in named[["label", "details"]].values]
    table = Table(["method", "all settings in which the rows of this method differ"], rows)
    return [Part(folded="What the names stand for", table=table)] if rows else []
