"""Build the tables of the page: columns, rows of cells, and the numbers that cells are sorted by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prunebert.report import cells
from prunebert.report.collect import SPARSITIES, Trouble
from prunebert.report.published import numbers as published
from prunebert.report.statistics.format import LEVEL, p_text
from prunebert.report.statistics.paired import Test
from prunebert.report.variants import DENOMINATORS
from prunebert.system.console import counted, short

NAMED_SETTINGS = 4  # of those in which a run differs from a published number


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    sort: float | None = None  # sorts the column instead of the text
    kind: str = ""  # "", "best", "muted", "long" or "code"


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    columns: list[str]
    rows: list[list[Cell]]  # a cell for each column
    note: str = ""  # text below the table


def number(value: Any, form: str = "{:,.4f}", kind: str = "") -> Cell:
    """Return a cell with a number, or a dash if the value is missing."""
    missing = value is None or pd.isna(value)
    return Cell("–", -math.inf, "muted") if missing else Cell(form.format(value), float(value), kind)


def scores(cell_means: pd.DataFrame, lower_is_better: bool) -> Table:
    """Return the table method × sparsity, with the best mean of each column marked."""
    texts, best = cells.grid(cell_means, lower_is_better)
    denominators = cells.denominator(cell_means)
    means = cell_means.pivot(index="label", columns="sparsity", values="mean")
    steps = cell_means.groupby("label")["steps"]
    rows = []
    for label in texts.index:
        row = [Cell(label), Cell(denominators[label], kind="muted"), _range(steps.get_group(label))]
        for sparsity in texts:
            mark = "best" if best.at[label, sparsity] else ""
            text = texts.at[label, sparsity]
            row.append(Cell(text, means.at[label, sparsity], mark) if text else number(None))
        rows.append(row)
    note = "Bold: the best mean of its column, if tests separate it from all rows with the same “sparsity of”. "
    note += "Steps: the sum over all phases, including a teacher's."
    return Table(["method", "sparsity of", "steps", *(f"{s:g}" for s in texts)], rows, note)


def _range(values: pd.Series) -> Cell:
    """Return a cell with the smallest and the largest value, or one number if they are equal."""
    low, high = values.min(), values.max()
    return Cell(f"{low:,.0f} to {high:,.0f}", low) if low < high else number(low, "{:,.0f}")


def differences(gaps: pd.DataFrame) -> Table:
    """Return the table of differences to the baseline.

    Args:
        gaps: see `prunebert.report.differences.differences`.
    """
    columns = ["method", "sparsity", "against", "seeds", "difference", "95 %, seeds", "95 %, examples"]
    columns += ["won : lost", "p, examples", "Holm", "p, seeds", "Holm"]
    rows = []
    for _, row in gaps.iterrows():
        against = str(row["against"]) + ("\N{NO-BREAK SPACE}†" if row["other_denominator"] else "")
        line = [Cell(row["label"]), number(row["sparsity"], "{:g}"), Cell(against), number(row["seeds"], "{:d}")]
        line.append(number(row["difference"], "{:+.4f}"))
        line += [_interval(row["seeds_low"], row["seeds_high"]), _interval(row["examples_low"], row["examples_high"])]
        line.append(Cell(_with_part(row["examples"].wins, row["examples"].part)))
        for column in ("examples", "by_seed"):
            test: Test = row[column]
            line += [_p(test.p, test.reason), _p(row[f"{column}_holm"], "–", LEVEL)]
        rows.append(line)
    note = "Bold: below 0.05 after Holm's correction."
    note += " † The two sparsities are fractions of different matrices." if gaps["other_denominator"].any() else ""
    reasons = [reason for text in gaps["why_no_interval"] for reason in text.split("; ") if reason]
    note += "".join(f" No interval {reason}." for reason in dict.fromkeys(reasons))
    return Table(columns, rows, note)


def _interval(low: float, high: float) -> Cell:
    """Return a cell with an interval, sorted by its lower end."""
    return number(None) if pd.isna(low) else Cell(f"{low:+.4f} to {high:+.4f}", low)


def _with_part(text: str, part: str) -> str:
    return f"{text} ({part})" if part else text


def _p(value: float | None, instead: str, bold_below: float = 0.0) -> Cell:
    """Return a cell with a p-value, or with the text `instead` if there is none."""
    if value is None or pd.isna(value):
        return Cell(instead, math.inf, "muted")
    return Cell(p_text(value), value, "best" if value < bold_below else "")


def published_comparisons(runs: pd.DataFrame, numbers: pd.DataFrame) -> Table:
    """Return a row for each published number that agrees with a cell.

    Args:
        runs: the runs of one table.
        numbers: the published numbers.
    """
    columns = ["method", "sparsity", "metric", "measured", "published", "measured − published"]
    rows = []
    for cell, records in _published_cells(runs, numbers):
        for point in published.merged(published.comparisons(cell, records)):
            mean = Cell(cells.format_mean(point["mean"], point["sd"], point["n"]), point["mean"])
            gap = number(point["mean"] - point["score"], "{:+.4f}")
            rows.append([*_named(cell, point), mean, _published_score(point), gap, *_origin(point)])
    return Table([*columns, "source", "published training"], rows)


def published_with_other_settings(runs: pd.DataFrame, numbers: pd.DataFrame) -> Table:
    """Return a row for each published number that is closest to a cell and differs in settings, which it names.

    The arguments are those of `published_comparisons`.
    """
    columns = ["method", "sparsity", "metric", "published", "settings that differ", "source", "published training"]
    rows = []
    for cell, records in _published_cells(runs, numbers):
        for point in published.closest(cell, records):
            settings = [f"{key}={theirs}, here {ours}" for key, (theirs, ours) in point["differing"].items()]
            if (unnamed := len(settings) - NAMED_SETTINGS) > 0:
                settings = [*settings[:NAMED_SETTINGS], f"and {counted(unnamed, 'more setting')}"]
            text = Cell("; ".join(settings), kind="long")
            rows.append([*_named(cell, point), _published_score(point), text, *_origin(point)])
    return Table(columns, rows)


def _published_cells(runs: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, list[dict[str, Any]]]]:
    """Yield each cell with the published numbers of its model and task; nothing if there are none."""
    records = published.of_task(numbers, runs["model"].iloc[0], runs["task"].iloc[0]).to_dict("records")
    for _, cell in runs.groupby(["label", "sparsity"], sort=False) if records else ():
        yield cell, records


def _named(cell: pd.DataFrame, point: dict[str, Any]) -> list[Cell]:
    run = cell.iloc[0]
    return [Cell(run["label"]), number(run["sparsity"], "{:g}"), Cell(point["metric"])]


def _published_score(point: dict[str, Any]) -> Cell:
    return number(point["score"], "{:.4g}" + (f" ± {point['std']:.4g}" if pd.notna(point["std"]) else ""))


def _origin(point: dict[str, Any]) -> list[Cell]:
    """Return the cells of a published number's source and of its training."""
    source = f"{point['source']} ({published.READ[point['read']]}), {point['where']}"
    kind = [] if point["kind"] == "measured" else [f"{point['kind']}: {published.KINDS[point['kind']]}"]
    also = [f"also in {', '.join(point['also'])}"] if point.get("also") else []
    text = "; ".join([source, *also, *kind, *([point["note"]] if point["note"] else [])])
    epochs = f"{point['epochs']:g} epoch{'s' * (point['epochs'] != 1)}" if pd.notna(point["epochs"]) else "unknown"
    seeds = f", {counted(int(point['seeds']), 'seed')}" if pd.notna(point["seeds"]) else ""
    return [Cell(text, kind="long"), Cell(epochs + seeds)]


def costs(runs: pd.DataFrame) -> Table:
    """Return the time and memory of each cell, with a row per device."""
    columns = ["method", "sparsity", "device", "runs", "steps", "seconds per step", "seconds", "peak GiB"]
    rows = []
    for (label, sparsity, device), cell in runs.groupby(["label", "sparsity", "device"], sort=False):
        line = [Cell(label), number(sparsity, "{:g}"), Cell(device or "unknown"), number(len(cell), "{:d}")]
        line += [number(cell["steps"].mean(), "{:,.0f}"), number(cell["seconds_per_step"].mean(), "{:.4f}")]
        line += [number(cell["seconds"].mean(), "{:,.1f}"), number(cell["peak_memory_bytes"].max() / 2**30, "{:.2f}")]
        scores = cell["trained_scores"].mean()
        line += [number(cell["trained_parameters"].mean() - scores, "{:,.0f}"), number(scores, "{:,.0f}")]
        rows.append(line)
    return Table([*columns, "trained weights", "trained scores"], rows)


def every_run(runs: pd.DataFrame) -> Table:
    """Return each run with the command that repeats it, its directory and its four measured sparsities."""
    columns = ["method", "sparsity", "seed", "score", "command that repeats it", "prunebert at commit", "directory"]
    rows = []
    for run in runs.to_dict("records"):
        line = [Cell(run["label"]), number(run["sparsity"], "{:g}"), number(run["seed"], "{:d}"), number(run["score"])]
        commit = run["git_commit"][:10] + (" with local changes" if run["row"].get("git_dirty") else "")
        line += [Cell(run["command"], kind="code"), Cell(commit or "installed package")]
        line.append(Cell(short(run["directory"]), kind="long"))
        line += [number(run[key]) for key in SPARSITIES]
        rows.append([*line, number(run["majority_score"]), number(run["seconds"], "{:,.1f}")])
    return Table([*columns, *DENOMINATORS.values(), "whole model", "constant baseline", "seconds"], rows)


def troubles(troubles: list[Trouble]) -> Table:
    """Return a row for each trouble."""
    rows = [[Cell(t.kind), Cell(t.location, kind="long"), Cell(t.reason, kind="long")] for t in troubles]
    return Table(["problem", "where", "why"], rows)
