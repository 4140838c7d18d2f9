"""Build the tables of scores, differences and costs: columns, rows of cells, and what cells are sorted by."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prunebert.report import cells, origin
from prunebert.report.statistics.format import LEVEL, p_text
from prunebert.report.statistics.paired import Test

IN_ONE_LINE = 6  # columns of scores; where there are more, the deviation is below the mean


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    sort: float | None = None  # sorts the column instead of the text
    kind: str = ""  # "", "best", "muted", "name", "long" or "code"
    link: str = ""  # the text leads there
    below: Cell | None = None  # a second line


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


def without_constants(table: Table, columns: tuple[str, ...]) -> Table:
    """Return the table without those of `columns` that have one text in all rows. The note gets that text.

    A table with a single row keeps all columns.
    """
    constant = {
        name: texts.pop()
        for i, name in enumerate(table.columns)
        if name in columns and len(table.rows) > 1 and len(texts := {row[i].text for row in table.rows}) == 1
    }
    kept = [i for i, name in enumerate(table.columns) if name not in constant]
    note = (
        f"The same in all rows: {'; '.join(f'{name}: {text}' for name, text in constant.items())}. " if constant else ""
    )
    return Table(
        [table.columns[i] for i in kept], [[row[i] for i in kept] for row in table.rows], (note + table.note).strip()
    )


def scores(cell_means: pd.DataFrame, marked: Collection[tuple[str, float]] = (), from_tables: str = "") -> Table:
    """Return the table method × sparsity, with the best of each column marked.

    Args:
        cell_means: see `cells.cells`.
        marked: label and sparsity of the cells that contain rows of results tables, see `origin.marked`.
        from_tables: the sentence that explains this mark.
    """
    _, best = cells.grid(cell_means)
    denominators = cells.denominator(cell_means)
    steps = cell_means.groupby("label")["steps"]
    found = {(cell["label"], cell["sparsity"]): cell for cell in cell_means.to_dict("records")}
    rows = []
    for label in best.index:
        row = [Cell(label, kind="name"), Cell(denominators[label], kind="muted"), _range(steps.get_group(label))]
        for sparsity in best:
            kind = "best" if best.at[label, sparsity] else ""
            cell = found.get((label, sparsity))
            end = origin.MARK if (label, sparsity) in marked else ""
            row.append(_score(cell, kind, len(best.columns), end) if cell else number(None))
        rows.append(row)
    note = "Bold: the best mean of its column, which the tests separate from all other rows with the same "
    note += "“sparsity of”. Steps: the sum over all phases, including a teacher's."
    note += f" {from_tables}" if from_tables else ""
    columns = ["method", "sparsity of", "steps", *(f"{s:g}" for s in best)]
    return without_constants(Table(columns, rows, note), ("sparsity of", "steps"))


def _score(cell: dict[str, Any], kind: str, columns: int, end: str) -> Cell:
    """Return a mean with its deviation and seeds, in one line if few columns leave the room. end: a mark."""
    text = cells.format_mean(cell["mean"], cell["sd"], cell["n"]) + end
    if columns <= IN_ONE_LINE:
        return Cell(text, cell["mean"], kind)
    mean, _, rest = text.partition(" ")
    return Cell(mean, cell["mean"], kind, below=Cell(rest))


def _range(values: pd.Series) -> Cell:
    """Return a cell with the smallest and the largest value, or one number if they are equal."""
    low, high = values.min(), values.max()
    return Cell(f"{low:,.0f} to {high:,.0f}", low) if low < high else number(low, "{:,.0f}")


def differences(gaps: pd.DataFrame) -> Table:
    """Return the table of differences to the baselines.

    Args:
        gaps: see `prunebert.report.statistics.differences.differences`.
    """
    columns = ["method", "sparsity", "seeds", "difference", "95 % interval, seeds", "95 % interval, examples"]
    columns += ["won : lost", "raw p, examples", "p, examples", "raw p, seeds", "p, seeds", "against"]
    rows = []
    for _, row in gaps.iterrows():
        against = str(row["against"]) + ("\N{NO-BREAK SPACE}†" if row["other_denominator"] else "")
        line = [Cell(row["label"], kind="name"), number(row["sparsity"], "{:g}"), number(row["seeds"], "{:d}")]
        line += [number(row["difference"], "{:+.4f}"), _interval(row, "seeds"), _interval(row, "examples")]
        line.append(Cell(_with_part(row["examples"].wins, row["examples"].part)))
        for column in ("examples", "by_seed"):
            test: Test = row[column]
            line += [_p(test.p, test.reason), _p(row[f"{column}_holm"], "–", LEVEL)]
        rows.append([*line, Cell(against)])
    reasons = [reason for text in gaps["why_no_interval"] for reason in text.split("; ") if reason]
    note = "".join(f"No interval {reason}. " for reason in dict.fromkeys(reasons))
    note += "† The two sparsities are fractions of different matrices." if gaps["other_denominator"].any() else ""
    kept = {"method", "difference"}
    return without_constants(Table(columns, rows, note.strip()), tuple(name for name in columns if name not in kept))


def _interval(row: pd.Series, over: str) -> Cell:
    """Return a cell with the interval over seeds or examples, sorted by its lower end."""
    low, high = row[f"{over}_low"], row[f"{over}_high"]
    return number(None) if pd.isna(low) or pd.isna(high) else Cell(f"{low:+.4f} to {high:+.4f}", float(low))


def _with_part(text: str, part: str) -> str:
    return f"{text} ({part})" if part else text


def _p(value: float | None, instead: str, bold_below: float = 0.0) -> Cell:
    """Return a cell with a p-value, or with the text `instead` if there is none."""
    if value is None or pd.isna(value):
        return Cell(instead, math.inf, "muted")
    return Cell(p_text(value), value, "best" if value < bold_below else "")


def costs(runs: pd.DataFrame) -> Table:
    """Return the parameters, time, memory and disk of each cell, with a row per device."""
    columns = ["method", "sparsity", "runs", "trained weights", "trained scores", "steps", "seconds per step"]
    columns += ["seconds", "peak GiB", "MB on disk", "device"]
    rows = []
    for (label, sparsity, device), cell in runs.groupby(["label", "sparsity", "device"], sort=False):
        scores = cell["trained_scores"].mean()
        line = [Cell(label, kind="name"), number(sparsity, "{:g}"), number(len(cell), "{:d}")]
        line += [number(cell["trained_parameters"].mean() - scores, "{:,.0f}"), number(scores, "{:,.0f}")]
        line += [number(cell["steps"].mean(), "{:,.0f}"), number(cell["seconds_per_step"].mean(), "{:.4f}")]
        line += [number(cell["seconds"].mean(), "{:,.1f}"), number(cell["peak_memory_bytes"].mean() / 2**30, "{:.2f}")]
        line += [number(cell["disk_bytes"].mean() / 1e6, "{:,.2f}"), Cell(device or "unknown")]
        rows.append(line)
    return without_constants(Table(columns, rows), ("device",))
