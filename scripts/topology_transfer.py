"""Measure what the masks of one task do on another, from the runs that `prunebert transfer` makes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import topology_rules as rules
from topology_rules import Evidence
from topology_study import Study

from prunebert.errors import BadInput

NO_RUNS = "no runs of prunebert transfer"
NO_BETTER = 0.005  # a score less than half a point above the constant baseline counts as no better
SIDES = ("own", "own shuffled", "other", "other shuffled", "dense")


def contrast(study: Study, method: str, sparsity: float, first: str, second: str) -> Evidence:
    """Test whether networks of one side score higher than those of the other, on every target task.

    The unit is the seed of the source run: its scores are averaged over the seeds of the target and over the sources.

    Args:
        first, second: two of SIDES. own: the mask was found on the target. other: it was found on another task.
            shuffled: within every matrix. dense: nothing is removed.

    Raises:
        BadInput: the runs were trained in several ways.
    """
    rows = [row for row in study.transferred if _source(row, "method") == method and _sparsity(row) == sparsity]
    if not rows:
        return Evidence(why=NO_RUNS)
    _refuse_several_ways(rows)
    values: dict[str, list[float]] = {}
    best: dict[str, float] = {}  # the highest score of either side
    for task in sorted({row["task"] for row in rows}):
        seeds = sorted({_source(row, "seed") for row in rows if row["task"] == task})
        for seed in seeds:
            a, b = (_scores(study, rows, task, seed, side) for side in (first, second))
            if common := sorted(a.keys() & b.keys()):
                values.setdefault(task, []).append(statistics.fmean(a[s] - b[s] for s in common))
                best[task] = max(best.get(task, -1.0), *(x[s] for x in (a, b) for s in common))
    if not values:
        return Evidence(why=f"no {first} and {second} runs of one target and seed")
    evidence = rules.direction(values, dict.fromkeys(values, 1), scores=True)
    constants = {row["task"]: row["majority_score"] for row in rows if row.get("majority_score") is not None}
    if useless := [task for task in values if best[task] < constants.get(task, -math.inf) + NO_BETTER]:
        why = f"no network is above the constant baseline on {', '.join(useless)}"
        return Evidence(rules.without_tests(evidence.parts), why=why)
    return evidence


def runs_of(study: Study, method: str) -> list[tuple[float, str, int]]:
    """Return the sparsity of the masks, the target task and the seed of the masks of each run on a method's masks."""
    rows = [row for row in study.transferred if _source(row, "method") == method]
    return sorted((_sparsity(row), row["task"], _source(row, "seed")) for row in rows)


def _scores(study: Study, rows: Sequence[dict[str, Any]], task: str, seed: Any, side: str) -> dict[Any, float]:
    """Return the mean score of one side by the seed of the target."""
    found: dict[Any, list[float]] = {}
    for row in study.dense if side == "dense" else rows:
        if row["task"] != task:
            continue
        is_side = side == "dense" or (
            _source(row, "seed") == seed
            and (_source(row, "task") == task) == side.startswith("own")
            and bool(row["settings"].get("shuffled")) == side.endswith("shuffled")
        )
        if is_side and (side != "dense" or row["fit"] == rows[0]["fit"]):
            found.setdefault(row["seed"], []).append(row["score"])
    return {target_seed: statistics.fmean(scores) for target_seed, scores in found.items()}


def _refuse_several_ways(rows: Sequence[dict[str, Any]]) -> None:
    ways = {(row["fit"], *(str(row["settings"].get(k)) for k in ("train", "start", "head"))) for row in rows}
    if len(ways) > 1:
        shown = "; ".join(f"fit={f}, train={t}, start={s}, head={h}" for f, t, s, h in sorted(ways))
        raise BadInput(f"transferred masks were trained in several ways ({shown}); name folders with one of them")


def _source(row: dict[str, Any], key: str) -> Any:
    return row["masks_from"].get(key)


def _sparsity(row: dict[str, Any]) -> float:
    return round(float(row["masks_from"].get("sparsity") or row["sparsity"]), 6)
