"""`prunebert report DIR --format FORMAT`: print one table and write nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from prunebert.errors import BadInput, bad_choice, cut
from prunebert.report import collect, origin, terminal
from prunebert.report.export import document, scores
from prunebert.report.export.grid import Grid
from prunebert.report.export.options import Choice
from prunebert.report.export.plain import to_csv, to_markdown
from prunebert.report.page import tuning
from prunebert.report.statistics import ranking
from prunebert.system.console import counted, say_block


def show(dirs: list[Path], choice: Choice) -> None:
    """Print the chosen table and nothing else.

    Lines on standard error say how many runs are in no table, and how many are rows of results tables.

    Raises:
        BadInput: see `one_table`.
    """
    text, unused, note = one_table(dirs, choice)
    say_block(text)
    if note:
        sys.stderr.write(f"prunebert: {note}\n")
    if unused:
        line = f"{counted(unused, 'run')} not in the table; `prunebert report` without --format lists the reasons"
        sys.stderr.write(f"prunebert: {line}\n")


def one_table(dirs: list[Path], choice: Choice) -> tuple[str, int, str]:
    """Return the text of the chosen table, the number of runs in no table, and a note on rows of results tables.

    One task gives the table method × sparsity. Several give tasks × methods, with a row for each sparsity.

    Raises:
        BadInput: one of `dirs` cannot be read, no run has finished, or no run has the chosen table, sparsity or metric.
    """
    collected = collect.collect(dirs)
    chosen = _chosen_runs(tuning.compared(collected.runs), choice)
    grids = _grids(chosen, choice)
    if choice.format == "latex":
        text = document.head(choice.style) + document.in_full(grids, choice.style)
    else:
        (grid,) = grids
        text = to_csv(grid) if choice.format == "csv" else to_markdown(grid)
    unused = sum(trouble.kind in terminal.UNUSED for trouble in collected.troubles)
    return text.rstrip("\n"), unused, origin.counted_rows(chosen)


def _chosen_runs(runs: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Return the runs of the chosen tables and sparsity. Runs that remove nothing stay as reference."""
    if choice.table is not None:
        runs = runs[runs["table"].isin(_tables(list(dict.fromkeys(runs["table"])), choice.table))]
    if choice.sparsity is not None:
        several = runs["table"].nunique() > 1  # tasks × methods is a table of pruned networks
        allowed = sorted(s for s in runs["sparsity"].unique() if s > 0 or not several)
        if choice.sparsity not in allowed:
            raise bad_choice("--sparsity", f"{choice.sparsity:g}", [f"{s:g}" for s in allowed])
        unpruned = runs.groupby("label")["sparsity"].transform("max") == 0
        runs = runs[(runs["sparsity"] == choice.sparsity) | unpruned]
    if choice.metric is not None:
        if runs["table"].nunique() > 1:
            text = f"--metric={cut(choice.metric)} needs --table=NAME, because there are several"
            raise BadInput(f"{text}: {', '.join(_tasks(runs['table']))}")
        allowed_metrics = document.metrics(runs)
        if choice.metric not in allowed_metrics:
            raise bad_choice("--metric", choice.metric, allowed_metrics)
    return runs


def _tables(names: Sequence[str], wanted: str) -> list[str]:
    """Return the table of this name, or else those of the task of this name."""
    found = [name for name in names if name == wanted] or [n for n in names if n.split(", ")[0] == wanted]
    if not found:
        raise bad_choice("--table", wanted, _tasks(names))
    return found


def _tasks(names: Iterable[str]) -> list[str]:
    """Return the names of the tasks of tables."""
    return list(dict.fromkeys(name.split(", ")[0] for name in names))


def _grids(runs: pd.DataFrame, choice: Choice) -> list[Grid]:
    """Return the table; for LaTeX with several tasks one for each sparsity, because a page has no room for more."""
    form = choice.style.form
    pruned = sorted({s for s in runs["sparsity"] if s > 0})
    rankings = [ranking.rank(runs, sparsity) for sparsity in pruned]
    if runs["table"].nunique() == 1:
        metric = choice.metric or str(runs["metric"].iloc[0])
        return [scores.by_sparsity(runs, metric, form)]
    if not rankings:
        raise BadInput(
            f"no run was pruned: {', '.join(_tasks(runs['table']))} have no common table; choose one with --table=NAME"
        )
    if choice.format == "latex" or len(rankings) == 1:
        return [scores.by_task(found, runs, form) for found in rankings]
    return [scores.by_task_and_sparsity(rankings, runs, form)]
