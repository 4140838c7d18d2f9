"""Read how a run was trained: its loss, sparsity and masks over the steps, in a few points."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.runs import discover

POINTS = 60  # of a run, over all its phases; a phase has at least its first and its last


def curve(directory: Path, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return some points of a run's training; None if the run has no metrics.jsonl.

    Args:
        directory: the run's directory.
        row: its verified result.

    Returns:
        step: the steps of the points, counted over all phases.
        loss: the sum of the loss's terms.
        sparsity: the removed fraction.
        flips: how often weights changed sides so far in the phase; [] for a run of a version without it.
        phases: for each phase its name and its first step.
        score: pairs of a step and the score of an evaluation there.

    Raises:
        BadInput: metrics.jsonl is damaged.
    """
    lines = discover.metrics_lines(directory, row)
    if not lines:
        return None
    try:
        return _points(lines)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"{directory}: metrics.jsonl cannot be drawn: {error}") from error


def _points(lines: list[str]) -> dict[str, Any]:
    phases = [list(part) for _, part in itertools.groupby(lines, key=lambda line: line.partition(', "step"')[0])]
    found: dict[str, Any] = {name: [] for name in ("step", "loss", "sparsity", "flips", "phases", "score")}
    before = 0  # steps of the earlier phases
    each = max(2, POINTS // len(phases))
    for phase in phases:
        trained = [json.loads(line) for line in _spread([x for x in phase if '"score"' not in x], each)]
        scored = [json.loads(line) for line in _spread([x for x in phase if '"score"' in x], each)]
        found["phases"].append([str((trained or scored)[0]["phase"]), before + 1])
        for line in trained:
            found["step"].append(before + int(line["step"]))
            found["loss"].append(_rounded(sum(value for key, value in line.items() if key.startswith("loss_"))))
            found["sparsity"].append(_rounded(line["sparsity"]))
            if "flips" in line:
                found["flips"].append(int(line["flips"]))
        found["score"] += [[before + int(line["step"]), _rounded(line["score"])] for line in scored]
        before += max(int(line["step"]) for line in (*trained, *scored))
    if len(found["flips"]) < len(found["step"]):
        found["flips"] = []
    return found


def _spread(lines: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the lines, evenly spread, with the first and the last."""
    if len(lines) <= most:
        return list(lines)
    return [lines[round(i * (len(lines) - 1) / (most - 1))] for i in range(most)]


def _rounded(value: float) -> float | None:
    """Return four significant digits; None for a number that is not finite."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
