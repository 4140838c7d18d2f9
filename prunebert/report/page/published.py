"""Show published numbers beside the measured ones: those with the same settings, and the closest with others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from prunebert.report import cells
from prunebert.report.page.page import Part
from prunebert.report.page.tables import Cell, Table, number
from prunebert.report.published import numbers as published
from prunebert.system.console import counted

NAMED_SETTINGS = 4  # of those in which a run differs from a published number
MATCHING = (
    "A published number stands beside a run only if model, task, metric, method, sparsity, its denominator and teacher "
    "are the same, and every setting of the method and of its budget. Seeds and devices may differ."
)
OTHER_SETTINGS = (
    "These numbers have the run's model, task, metric, method, sparsity and kind of teacher. Its settings are others, "
    "so they are not compared. For each metric, the number of each source with the fewest differences is listed."
)


def parts(runs: pd.DataFrame, numbers: pd.DataFrame) -> list[Part]:
    """Return both tables of published numbers, each folded, or the sentence that none matches.

    Args:
        runs: the runs of one table.
        numbers: the published numbers.
    """
    agreeing, differing = agreeing_numbers(runs, numbers), numbers_with_other_settings(runs, numbers)
    found = [Part(folded="Published results", text=MATCHING, table=agreeing)] if agreeing.rows else []
    if not agreeing.rows:
        models = numbers[numbers.task == runs["task"].iloc[0]]["model"].unique()
        available = f"those for this task are of {', '.join(models)}" if len(models) else "there are none for this task"
        found = [Part(text=f"No published number matches a run; {available}.")]
    if differing.rows:
        found.append(Part(folded="Published numbers with other settings", text=OTHER_SETTINGS, table=differing))
    return found


def agreeing_numbers(runs: pd.DataFrame, numbers: pd.DataFrame) -> Table:
    """Return a row for each published number that agrees with a cell; the arguments are those of `parts`."""
    columns = ["method", "sparsity", "metric", "measured", "published", "measured − published"]
    rows = []
    for cell, records in _cells(runs, numbers):
        for point in published.merged(published.comparisons(cell, records)):
            mean = Cell(cells.format_mean(point["mean"], point["sd"], point["n"]), point["mean"])
            gap = number(point["mean"] - point["score"], "{:+.4f}")
            rows.append([*_named(cell, point), mean, _score(point), gap, *_origin(point)])
    return Table([*columns, "published training", "source"], rows)


def numbers_with_other_settings(runs: pd.DataFrame, numbers: pd.DataFrame) -> Table:
    """Return a row for each published number that is closest to a cell and differs in settings, which it names.

    The arguments are those of `parts`.
    """
    columns = ["method", "sparsity", "metric", "published", "published training", "source", "settings that differ"]
    rows = []
    for cell, records in _cells(runs, numbers):
        for point in published.closest(cell, records):
            settings = [f"{key}={theirs}, here {ours}" for key, (theirs, ours) in point["differing"].items()]
            if (unnamed := len(settings) - NAMED_SETTINGS) > 0:
                settings = [*settings[:NAMED_SETTINGS], f"and {counted(unnamed, 'more setting')}"]
            text = Cell("; ".join(settings), kind="long")
            rows.append([*_named(cell, point), _score(point), *_origin(point), text])
    return Table(columns, rows)


def _cells(runs: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, list[dict[str, Any]]]]:
    """Yield each cell with the published numbers of its model and task; nothing if there are none."""
    records = published.of_task(numbers, runs["model"].iloc[0], runs["task"].iloc[0]).to_dict("records")
    for _, cell in runs.groupby(["label", "sparsity"], sort=False) if records else ():
        yield cell, records


def _named(cell: pd.DataFrame, point: dict[str, Any]) -> list[Cell]:
    run = cell.iloc[0]
    return [Cell(run["label"], kind="name"), number(run["sparsity"], "{:g}"), Cell(point["metric"])]


def _score(point: dict[str, Any]) -> Cell:
    return number(point["score"], "{:.4g}" + (f" ± {point['std']:.4g}" if pd.notna(point["std"]) else ""))


def _origin(point: dict[str, Any]) -> list[Cell]:
    """Return the cells of a published number's training and of its source, which has the details in a second line."""
    kind = [] if point["kind"] == "measured" else [f"{point['kind']}: {published.KINDS[point['kind']]}"]
    also = [f"also in {', '.join(point['also'])}"] if point.get("also") else []
    read = f"{published.READ[point['read']]}, {point['where']}"
    details = "; ".join([read, *also, *kind, *([point["note"]] if point["note"] else [])])
    epochs = f"{point['epochs']:g} epoch{'s' * (point['epochs'] != 1)}" if pd.notna(point["epochs"]) else "unknown"
    seeds = f", {counted(int(point['seeds']), 'seed')}" if pd.notna(point["seeds"]) else ""
    return [Cell(epochs + seeds), Cell(point["source"], kind="long", below=Cell(details))]
