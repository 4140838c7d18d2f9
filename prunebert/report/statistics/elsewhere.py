"""Scores of runs on other tasks, beside those on their own: what `prunebert evaluate RUN --keep` left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

COLUMN = "evaluations"  # of a run's row, and so the first part of columns of results.csv


def by_name(kept: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what a run's row records of its evaluations: for each name task, rows, metric, score, constant, metrics.

    Args:
        kept: the files of one run, see `runs.evaluations.read`.
    """
    found: dict[str, dict[str, Any]] = {}
    for evaluation in kept:
        fingerprint = evaluation["data"].get("fingerprint") or {}
        marks = json.dumps({split: mark for split, mark in fingerprint.items() if split != "train"}, sort_keys=True)
        rows = f"rows-{hashlib.sha256(marks.encode()).hexdigest()[:8]}"
        name = evaluation["task"].replace(".", "_")
        found[f"{name} {rows}" if name in found else name] = {
            "task": evaluation["task"],
            "rows": rows,  # text that no reader of a table takes for a number
            "metric": evaluation["metric"],
            "score": evaluation["score"],
            "constant": evaluation["majority"].get(evaluation["metric"]),
            "metrics": evaluation["metrics"],
            "constants": evaluation["majority"],
            **({"own_rows": True} if evaluation.get("own_rows") is True else {}),
            **({"groups": evaluation["groups"]} if evaluation.get("groups") else {}),
        }
    return found


def evaluations(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each evaluation of each run; none if no run has one.

    Columns: those of `runs` for label, short_label, method, sparsity, seed and order; other (the other task's name),
    metric and there (the score there), metrics, constant, constants, own_metric, here (the run's own score), and gap:
    there - here, NaN where the metrics differ.
    """
    found = []
    for run in runs.to_dict("records"):
        own = {key: run[key] for key in ("label", "short_label", "method", "sparsity", "seed", "order")}
        for entry in entries(run["row"]):
            if entry.get("own_rows") is True:  # the run's own rows by group, see statistics.subgroups
                continue
            comparable = are_comparable(run["metric"], str(entry["metric"]))
            found.append(
                own
                | {"task": str(entry["task"]), "rows": entry.get("rows", ""), "metric": str(entry["metric"])}
                | {"there": float(entry["score"]), "metrics": entry.get("metrics") or {}}
                | {"constant": entry.get("constant"), "constants": entry.get("constants") or {}}
                | {"own_metric": run["metric"], "here": run["score"]}
                | {"gap": entry["score"] - run["score"] if comparable else float("nan")}
            )
    table = pd.DataFrame(found)
    if len(table):
        several = table.groupby("task")["rows"].transform("nunique") > 1
        table["other"] = table["task"].where(~several, table["task"] + " (" + table["rows"] + ")")
        table["constant"] = table["constant"].astype(float)
    return table


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each other task, label and sparsity: means and standard deviations (n - 1) over the seeds.

    Args:
        table: from `evaluations`. Both means are over the seeds that have the evaluation.
    """
    grouped = table.groupby(["other", "metric", "label", "sparsity"], sort=False)
    means = grouped.agg(
        method=("method", "first"),
        short_label=("short_label", "first"),
        own_metric=("own_metric", "first"),
        here=("here", "mean"),
        here_sd=("here", "std"),
        there=("there", "mean"),
        there_sd=("there", "std"),
        gap=("gap", "mean"),
        gap_sd=("gap", "std"),
        constant=("constant", "mean"),
        n=("there", "size"),
        order=("order", "min"),
    ).reset_index()
    return means.sort_values(["other", "order"], kind="stable").reset_index(drop=True)


def are_comparable(own: str, other: str) -> bool:
    """Return whether two metrics measure the same, possibly on a split: accuracy_matched and accuracy."""
    return own == other or own.startswith(f"{other}_") or other.startswith(f"{own}_")


def entries(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the evaluations of a run's row. A table of an earlier report may lack some of their columns."""
    found = row.get(COLUMN)
    entries = found.values() if isinstance(found, dict) else ()
    return [e for e in entries if isinstance(e, dict) and {"task", "metric"} <= e.keys() and _is_number(e.get("score"))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
