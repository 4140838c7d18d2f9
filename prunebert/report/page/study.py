"""What the page is about: the runs, what was computed from them, and one sentence that says what was compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.report.collect import Collected
from prunebert.report.page import tuning
from prunebert.report.statistics.function import Function
from prunebert.report.statistics.ranking import Ranking
from prunebert.system.console import counted
from prunebert.system.names import brief

NAMED = 14  # methods, tasks or models that the first sentence names
MAX_NAME = 60  # characters of each
LISTED = 6  # sparsities that the first sentence lists
NAMED_DIRS = 4
PREFERRED = 0.9  # the sparsity that the page shows first, if equally many rows have one as near


@dataclass(frozen=True)
class Study:
    """All that the page shows."""

    collected: Collected
    dirs: list[Path]  # what was read
    out: Path  # the folder of the page
    baselines: list[str]
    gaps: dict[str, pd.DataFrame]  # by table, see `differences.differences`
    rankings: list[Ranking]  # by sparsity
    charts: Mapping[str, Any]  # see `interactive.payload`
    functions: Mapping[str, Function] = field(default_factory=dict)  # by table, see `function.measure`

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The runs of all tables, without those that chose learning rates."""
        return tuning.compared(self.collected.runs)

    @cached_property
    def tables(self) -> list[tuple[str, pd.DataFrame]]:
        """The runs of each table, by name."""
        return [(str(name), runs) for name, runs in self.runs.groupby("table", sort=False)]


def short_names(names: list[str]) -> dict[str, str]:
    """Map the names of tables to themselves without the parts with which all of them end, as the model's."""
    parts = [name.split(", ") for name in names]
    common = 0
    while len(parts) > 1 and all(len(p) > common + 1 and p[-1 - common] == parts[0][-1 - common] for p in parts):
        common += 1
    shown = {name: ", ".join(part[: len(part) - common]) for name, part in zip(names, parts, strict=True)}
    return shown if len(set(shown.values())) == len(shown) else {name: name for name in names}


def first(rankings: list[Ranking]) -> int:
    """Return the index of the ranking to show first: the one with most rows, of these the nearest to PREFERRED.

    Rows that remove nothing do not count.
    """

    def preference(ranking: Ranking) -> tuple[int, float]:
        rows = sum(all(entry.mark != "reference" for entry in row.cells.values()) for row in ranking.rows)
        return rows, -abs(ranking.sparsity - PREFERRED)

    return max(range(len(rankings)), key=lambda i: preference(rankings[i]))


def nearest(sparsities: list[float]) -> int:
    """Return the index of the sparsity to show first: the nearest to PREFERRED; 0 if there are none."""
    return min(range(len(sparsities)), key=lambda i: abs(sparsities[i] - PREFERRED), default=0)


def sentence(runs: pd.DataFrame) -> str:
    """Say what was compared: methods, tasks, models, sparsities, seeds, steps and the number of runs."""
    methods = _named(runs["method"], "method")
    tasks = _named(runs["task"], "task")
    models = _named((model.rstrip("/").rpartition("/")[2] for model in runs["model"]), "model")
    pruned = [f"{s:g}" for s in sorted({*runs["sparsity"][runs["sparsity"] > 0]})]
    if len(pruned) > LISTED:
        sparsities = f", at {len(pruned)} sparsities from {pruned[0]} to {pruned[-1]}"
    else:
        listed = " and ".join(filter(None, [", ".join(pruned[:-1]), *pruned[-1:]]))
        sparsities = f", at sparsity {listed}" if pruned else ", nothing pruned"
    seeds = counted(runs["seed"].nunique(), "seed")
    text = f"{methods} on {tasks} with {models}{sparsities}, {seeds}{_steps(runs)}: {counted(len(runs), 'run')}."
    return text[0].upper() + text[1:]


def _steps(runs: pd.DataFrame) -> str:
    """Return ", 300 steps" or ", 200 to 600 steps", all phases of a run together; "" if a run's steps are unknown."""
    if not len(runs) or runs["steps"].isna().any():
        return ""
    low, high = int(runs["steps"].min()), int(runs["steps"].max())
    return f", {counted(low, 'step')}" if low == high else f", {low:,} to {counted(high, 'step')}"


def origin(study: Study) -> str:
    """Say from where the runs were read, and how many were replaced."""
    dirs = [str(directory) for directory in study.dirs]
    shown = ", ".join(dirs[:NAMED_DIRS])
    more = f" and {len(dirs) - NAMED_DIRS} more" if len(dirs) > NAMED_DIRS else ""
    found, used = study.collected.finished, len(study.runs)
    replaced = f"; {counted(used, 'run')} in the tables" if used < found else ""
    return f"Read from {shown}{more}: {counted(found, 'finished run')}{replaced}."


def _named(values: Iterable[str], noun: str) -> str:
    """Return "the method smp", or "3 methods (dense, gmp, smp)"; of many only the number."""
    names = [brief(name, MAX_NAME) for name in dict.fromkeys(values)]
    if len(names) == 1:
        return f"the {noun} {names[0]}"
    return f"{len(names)} {noun}s" + (f" ({', '.join(names)})" if len(names) <= NAMED else "")
