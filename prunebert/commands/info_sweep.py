"""The table of a sweep's runs: at the end of a sweep, and by `prunebert info SWEEP`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebert.commands import info_facts
from prunebert.errors import BadInput
from prunebert.runs import artifacts, discover, identity
from prunebert.runs.failures import Failure, Failures
from prunebert.settings import quoting
from prunebert.system import table
from prunebert.system.console import counted, say, short
from prunebert.system.countdown import track
from prunebert.system.names import in_order
from prunebert.system.table import Column

AXES = ("method", "task", "model", "fit", "distill", "augment")
KNOWN = {*AXES, "sparsity", "prunable", "seed", "experiment", "model.name", "task.name"}  # keys with a column already
OFF_TARGET = 0.005  # largest difference between requested and measured sparsity that is not shown
Run = tuple[Path, dict[str, Any]]  # a finished run's directory and result


def show_sweep(root: Path, failures: Failures | None = None, *, wide: bool = False, reported: bool = False) -> None:
    """Print a table of the finished runs below `root`, a line for each reason why others did not finish, and a line for
    each damaged run.

    Args:
        root: the sweep's directory.
        failures: those that are known already. The unfinished runs below `root` are added.
        wide: print whole lines at any width.
        reported: whether a report of the sweep follows.
    """
    failures = Failures() if failures is None else failures
    rows: list[Run] = []
    unfinished: list[Path] = []
    damaged: list[str] = []  # a message for each
    for directory in track(artifacts.runs(root), "reading runs"):
        try:
            rows.append((directory, artifacts.result(directory)))
        except BadInput as error:
            if artifacts.is_finished(directory):
                damaged.append(str(error))
            else:
                unfinished.append(directory)
    rows.sort(key=lambda run: in_order(Path(run[0].name)))  # a cell that was finished before may be elsewhere
    say(f"{counted(len(rows), 'finished run')} in {short(root)}")
    if rows:
        _show_rows(root, rows, wide)
        say(f"show one of them: prunebert info {quoting.argument(short(rows[-1][0]))}")
        if not reported:
            say(f"report on all of them: prunebert report {quoting.argument(short(root))}")
    known = {directory for directories in failures.cells.values() for directory in directories}
    for directory in unfinished:
        last_line = discover.last_words(directory)
        if (name := os.path.relpath(directory, root)) not in known:
            failures.add(Failure(name, last_line.partition(" ERROR ")[2] or last_line))
    failures.show("did not finish")
    for reason in damaged:
        say(f"left out: {reason}")


def _show_rows(root: Path, rows: list[Run], wide: bool) -> None:
    results = [row for _, row in rows]
    baselines = {(row["metric"], row["majority_score"], info_facts.constant(row)) for row in results}
    near_chance = any(map(info_facts.is_near_chance, results))
    columns = _columns(root, rows)
    if len(baselines) == 1:
        ((metric, baseline, constant),) = baselines
        explained = f" ({constant})" if constant else ""
        table.say_wrapped(f"constant baseline: {metric} {info_facts.decimal(baseline)}{explained}")
    else:
        place = next(index for index, column in enumerate(columns) if column.name == "weights trained")
        baseline_cells = [info_facts.decimal(row["majority_score"]) for row in results]
        columns.insert(place, Column("constant\nbaseline", baseline_cells, number=True, rank=2))
    table.show(columns, wide=wide, more=f"prunebert info {quoting.argument(short(root))} --wide shows all")
    if near_chance:
        say("* less than half a point above the constant baseline")


def _columns(root: Path, rows: list[Run]) -> list[Column]:
    """Return the table's columns: what varies or might, then the results."""
    results = [row for _, row in rows]

    def cells(value: Callable[[dict[str, Any]], Any]) -> list[Any]:
        return [value(row) for row in results]

    axes = [Column(k, cells(lambda row, k=k: _chosen(row[k])), shortest=16, shared=True) for k in AXES]  # type: ignore[misc]
    axes += _swept_words(results)
    axes.append(Column("seed", cells(lambda row: row["seed"]), number=True, shared=True))
    prunable = cells(lambda row: row["prunable"] if info_facts.removes(row) else None)
    axes.append(Column("prunable", prunable, shortest=16, shared=True))
    if any(abs(info_facts.measured(row) - row["sparsity"]) > OFF_TARGET for row in results):
        axes.append(Column("target", cells(lambda row: f"{row['sparsity']:g}"), number=True, rank=1, shared=True))
    axes.append(_number("sparsity", cells(lambda row: f"{info_facts.measured(row):.4f}"), shared=True))
    metrics = {row["metric"] for row in results}
    mark = "*" if any(map(info_facts.is_near_chance, results)) else ""
    scores = [f"{row['score']:.4f}{mark if info_facts.is_near_chance(row) else ' ' * len(mark)}" for row in results]
    model_sparsity = cells(lambda row: f"{row['sparsity_model']:.4f}")
    directories = [os.path.relpath(directory, root) for directory, _ in rows]
    repeated = len(set(zip(*(column.cells for column in axes), strict=True))) < len(rows)
    return [
        *axes,
        _number("model\nsparsity", model_sparsity, rank=4, shared=True),
        *([Column("metric", cells(lambda row: row["metric"]), shortest=10)] if len(metrics) > 1 else []),
        _number(metrics.pop() if len(metrics) == 1 else "score", scores),
        _number("weights\ntrained", cells(info_facts.trained_share), rank=5, shared=True),
        _number("time", cells(lambda row: info_facts.duration(row["seconds"])), rank=3),
        # Two rows that nothing else tells apart need their directories.
        Column("directory", directories, rank=0 if repeated else 2, shortest=20 if repeated else 0, from_middle=True),
    ]


def _number(title: str, cells: list[Any], rank: int = 0, shared: bool = False) -> Column:
    return Column(title, cells, rank=rank, number=True, shared=shared)


def _chosen(option: str) -> str | None:
    return None if option == "none" else option


def _swept_words(results: list[dict[str, Any]]) -> list[Column]:
    """Return a column for each other key of the command lines whose value differs between the runs."""
    commands = [_words(row) for row in results]
    keys = dict.fromkeys(key for words in commands for key in words)
    return [
        Column(key, values, shortest=16, from_middle=True)
        for key in keys
        if len(set(values := [words.get(key) for words in commands])) > 1
    ]


def _words(row: dict[str, Any]) -> dict[str, str]:
    """Return the value of each key of a run's command that can change a result and has no column of its own."""
    pairs = [word.lstrip("+~").partition("=") for word in info_facts.words(row)[1:]]
    effective = [(key, value) for key, _, value in pairs if re.split("[./]", key)[0] not in identity.WITHOUT_EFFECT]
    return {key: value for key, value in effective if key not in KNOWN}
