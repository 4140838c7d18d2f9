"""The tables of where weights stay: what each kind of matrix keeps, and what two masks share (results_table.py)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from results_rows import MAIN_SPARSITY, in_order, markdown_row

KINDS = ("query", "key", "value", "attention-output", "intermediate", "output", "embeddings")
REFERENCE = "magnitude"  # the method whose masks the others are compared with


def kept_table(folder: Path) -> str:
    """Return a row per method and a column per kind of matrix: the percentage that stays, as a range over the tasks."""
    budget = pd.read_csv(folder / "budget.csv")
    budget = budget[budget["sparsity"] == MAIN_SPARSITY]
    kinds = [kind for kind in KINDS if kind in set(budget["kind"])]
    cells = budget.groupby(["label", "kind"])["remaining"].agg(["min", "max"])
    head = [f"kept at {MAIN_SPARSITY:g}, %", *(kind.replace("-", " ") for kind in kinds)]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for label in in_order(budget["label"].unique()):
        lines.append(markdown_row([label, *(_range(*cells.loc[(label, kind)]) for kind in kinds)]))
    return "\n".join(lines)


def overlap_table(folder: Path) -> str:
    """Return a row per method: the overlap of its encoder's masks beyond chance.

    There is a column per task for two seeds of the method, and one for the method and magnitude: the lowest and the
    highest task. A blank has no two masks.
    """
    overlap = pd.read_csv(folder / "overlap.csv")
    overlap = overlap[overlap["sparsity"] == MAIN_SPARSITY]
    tasks = sorted(overlap["task"].unique())
    pairs = overlap.set_index(["a", "b", "task"])["encoder"]
    head = [f"encoder at {MAIN_SPARSITY:g}", *(f"two seeds, {task}" for task in tasks), f"with {REFERENCE}"]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for label in in_order({*overlap["a"], *overlap["b"]}):
        own = [_two_digits(pairs[label, label, task]) if (label, label, task) in pairs else "" for task in tasks]
        first, second = sorted((label, REFERENCE))
        other = [pairs[first, second, task] for task in tasks if (first, second, task) in pairs]
        shared = _ends(_two_digits(min(other)), _two_digits(max(other))) if other and label != REFERENCE else ""
        lines.append(markdown_row([label, *own, shared]))
    return "\n".join(lines)


def _range(low: float, high: float) -> str:
    return _ends(_percent(low), _percent(high))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}" if fraction < 0.0995 else f"{100 * fraction:.0f}"


def _two_digits(overlap: float) -> str:
    """Return an overlap with two digits, and 0.00 in place of -0.00."""
    return f"{round(overlap, 2) + 0:.2f}"


def _ends(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
