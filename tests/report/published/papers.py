"""Make cells of runs with a paper's settings, as Hydra composes them, and change one setting at a time."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pandas as pd

from prunebert.report.published import numbers as published
from prunebert.settings import overrides

TABLE = published.read_table()
RECORDS = TABLE.to_dict("records")


@cache
def _composed(words: tuple[str, ...]) -> dict[str, Any]:
    return overrides.container(overrides.compose(["fit=paper", *words]), [])


def paper(*words: str) -> dict[str, Any]:
    """Return the `settings` that a run of these words records."""
    return {k: v for k, v in copy.deepcopy(_composed(words))["method"].items() if not k.startswith("_")}


def cell(method: str, task: str, sparsity: float, /, *words: str, **changes: Any) -> pd.DataFrame:
    """Return a cell of one run with the paper's settings on bert-base, as `collect` returns it.

    Args:
        method: the method.
        task: the task.
        sparsity: the requested sparsity.
        words: more of the command line.
        changes: columns of the cell; or `settings`, {dotted key: value} that replace the paper's.
    """
    kd = next((word.partition("=")[2] for word in words if word.startswith("distill=")), "none")
    settings = paper(f"method={method}", f"task={task}", f"sparsity={sparsity}", *words)
    for key, value in changes.pop("settings", {}).items():
        *folders, last = key.split(".")
        node = settings
        for folder in folders:
            node = node[folder]
        node[last] = value
    row = {"settings": settings} | changes.pop("row", {})
    metrics = dict.fromkeys(("accuracy_matched", "accuracy_mismatched", "accuracy", "f1", "exact", "matthews"), 0.5)
    run = {"method": method, "task": task, "model": "bert-base-uncased", "sparsity": sparsity, "seed": 0, "row": row}
    run |= {"distill": kd, "augment": "none", "denominator": settings.get("prunable", "encoder"), "metrics": metrics}
    return pd.DataFrame([run | {"has_files": False, "directory": "unknown"} | changes])


def beside(*arguments: Any, metric: str | None = None, **changes: Any) -> list[tuple[str, str, float]]:
    """Return (source, variant, score) of each published number beside a cell, see `cell`."""
    found = published.comparisons(cell(*arguments, **changes), RECORDS)
    return [(p["source"], p["variant"], p["score"]) for p in found if metric in (None, p["metric"])]
