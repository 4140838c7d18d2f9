"""Tables as the page shows them: columns, rows of cells, and what a cell's text is sorted by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prunebert.report import cells, published
from prunebert.report.collect import SPARSITIES, Trouble
from prunebert.report.statistics import Test
from prunebert.report.variants import OF
from prunebert.system.console import short


@dataclass(frozen=True)
class Cell:
    """text as shown; sort: a number to sort by instead of the text; kind: "", "best", "muted", "long" or "code"."""

    text: str
    sort: float | None = None
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A row has a cell for each column. note: a sentence below the table."""

    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""


def number(value: Any, form: str = "{:,.4f}", kind: str = "") -> Cell:
    """A dash for what is not known."""
    known = value is not None and not pd.isna(value)
    return Cell(form.format(value), float(value), kind) if known else Cell("–", -math.inf, "muted")


def scores(found: pd.DataFrame, lower_is_better: bool) -> Table:
    """method × sparsity, the best of a column marked."""
    texts, best = cells.grid(found, lower_is_better)
    of = cells.denominator(found)
    means = found.pivot(index="label", columns="sparsity", values="mean")
    steps = found.groupby("label")["steps"]
    rows = []
    for label in texts.index:
        row = [Cell(label), Cell(of[label], kind="muted"), _steps(steps.get_group(label))]
        for sparsity in texts:
            mark = "best" if best.at[label, sparsity] else ""
            text = texts.at[label, sparsity]
            row.append(Cell(text, means.at[label, sparsity], mark) if text else number(None))
        rows.append(row)
    note = "Bold: the best mean of its column among rows whose sparsity is of the same matrices. "
    note += "Steps: of all phases, a teacher's among them."
    return Table(["method", "sparsity of", "steps", *(f"{s:g}" for s in texts)], rows, note)


def _steps(values: pd.Series) -> Cell:
    few, many = values.min(), values.max()
    return Cell(f"{few:,.0f} to {many:,.0f}", few) if few < many else number(few, "{:,.0f}")


def differences(found: pd.DataFrame) -> Table:
    """Of compare.differences."""
    columns = ["method", "sparsity", "against", "seeds", "difference"]
    columns += ["won : lost", "p, examples", "Holm", "p, seeds", "Holm"]
    rows = []
    for _, row in found.iterrows():
        against = str(row["against"]) + ("\N{NO-BREAK SPACE}†" if row["other_of"] else "")
        line = [Cell(row["label"]), number(row["sparsity"], "{:g}"), Cell(against), number(row["seeds"], "{:d}")]
        line.append(number(row["difference"], "{:+.4f}"))
        line.append(Cell(_with(row["examples"].won, row["examples"].part)))
        for column in ("examples", "by_seed"):
            test: Test = row[column]
            line += [_p(test.p, test.why), _p(row[f"{column}_holm"], "–", 0.05)]
        rows.append(line)
    note = "† their sparsities are fractions of different matrices." if found["other_of"].any() else ""
    return Table(columns, rows, note)


def _with(text: str, part: str) -> str:
    return f"{text} ({part})" if part else text


def _p(value: float | None, instead: str, bold_below: float = 0.0) -> Cell:
    if value is None or pd.isna(value):
        return Cell(instead, math.inf, "muted")
    return Cell("< 0.0001" if value < 0.0001 else f"{value:.4f}", value, "best" if value < bold_below else "")


def beside_published(runs: pd.DataFrame, numbers: pd.DataFrame) -> Table:
    """Every cell of one table beside the published numbers that agree with it."""
    columns = [
        "method",
        "sparsity",
        "metric",
        "measured",
        "published",
        "measured − published",
        "source",
        "their budget",
    ]
    rows = []
    for (label, sparsity), cell in runs.groupby(["label", "sparsity"], sort=False):
        for found in published.beside(cell, numbers):
            epochs = f"{found['epochs']:g} epochs" if pd.notna(found["epochs"]) else "not told"
            seeds = f", {found['seeds']:g} seeds" if pd.notna(found["seeds"]) else ""
            told = f"{found['source']} ({published.READ[found['read']]})" + (
                f"; {found['note']}" if found["note"] else ""
            )
            rows.append(
                [
                    Cell(label),
                    number(sparsity, "{:g}"),
                    Cell(found["metric"]),
                    Cell(cells.told(found["mean"], found["sd"], found["n"]), found["mean"]),
                    number(found["score"], "{:.4g}" + (f" ± {found['std']:.4g}" if pd.notna(found["std"]) else "")),
                    number(found["mean"] - found["score"], "{:+.4f}"),
                    Cell(told, kind="long"),
                    Cell(epochs + seeds),
                ]
            )
    return Table(columns, rows)


def costs(runs: pd.DataFrame) -> Table:
    """Time and memory of each cell; devices are never mixed."""
    columns = ["method", "sparsity", "device", "runs", "steps", "seconds a step", "seconds", "peak memory, GiB"]
    rows = []
    for (label, sparsity, device), cell in runs.groupby(["label", "sparsity", "device"], sort=False):
        line = [Cell(label), number(sparsity, "{:g}"), Cell(device or "unknown"), number(len(cell), "{:d}")]
        line += [number(cell["steps"].mean(), "{:,.0f}"), number(cell["seconds_per_step"].mean(), "{:.4f}")]
        line += [number(cell["seconds"].mean(), "{:,.1f}"), number(cell["peak_memory_bytes"].max() / 2**30, "{:.2f}")]
        line.append(number(cell["trained_parameters"].mean(), "{:,.0f}"))
        rows.append(line)
    return Table([*columns, "trained parameters"], rows)


def every_run(runs: pd.DataFrame) -> Table:
    """Each run with the command that repeats it, where it lies and its four measured sparsities."""
    columns = ["method", "asked", "seed", "score", "command that repeats it", "prunebert at commit", "directory"]
    rows = []
    for _, run in runs.iterrows():
        line = [Cell(run["label"]), number(run["sparsity"], "{:g}"), number(run["seed"], "{:d}"), number(run["score"])]
        commit = run["git_commit"][:10] + (", changed since" if run["row"].get("git_dirty") else "")
        line += [Cell(run["command"], kind="code"), Cell(commit or "installed package")]
        line.append(Cell(short(run["directory"]), kind="long"))
        line += [number(run[key]) for key in SPARSITIES]
        rows.append([*line, number(run["majority_score"]), number(run["seconds"], "{:,.1f}")])
    return Table([*columns, *OF.values(), "whole model", "constant answer", "seconds"], rows)


def troubles(found: list[Trouble]) -> Table:
    return Table(
        ["what", "where", "why"], [[Cell(t.kind), Cell(t.where, kind="long"), Cell(t.what, kind="long")] for t in found]
    )
