"""`dry=true`: what a run would do, phase by phase, and whether it is done already. Nothing is trained or written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from prunebert.network.models import Model
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts, claim
from prunebert.system.console import say, short
from prunebert.tasks.task import Task
from prunebert.training.phase import Method


def show(
    method: Method, task: Task, model: Model, directory: Path, identity: str, labels: dict[str, Any], seed: int
) -> None:
    """A line for the cell, and one for each of its phases: the method is asked for them, and none is trained."""
    known = claim.find_run(directory, identity)
    if known and artifacts.holds_result_of(known, identity):
        state = f"done, in {short(known)}"
    elif known:
        state = f"begun, in {short(known)}"
    else:
        state = "to do"
    told = " ".join(f"{key}={labels[key]}" for key in ("method", "task", "model", "sparsity"))
    log = logging.getLogger("prunebert.methods")
    level = log.level
    log.setLevel(logging.ERROR)  # what they say of masks that nobody trained
    try:
        phases = list(method(SubNetwork(model, seed), task))
    finally:
        log.setLevel(level)
    say(f"{told} seed={seed}: {sum(p.planned for p in phases):,} steps, {state}")
    for phase in phases:
        trained = sum(x.numel() for group in phase.train for x in group.tensors.values())
        say(
            f"    {phase.name}: {phase.planned:,} steps of {phase.fit.batch_size} on {phase.task.train_rows:,} rows of "
            f"{phase.task.name}, {trained:,} numbers in training"
        )


def alone(method: dict[str, Any]) -> dict[str, Any]:
    """Its settings without what its teacher would leave for others: one that was not trained must not lie there."""
    left = {"shared": None, "cached": False}
    teacher = method.get("distill") or {}
    return method | ({"distill": teacher | {k: v for k, v in left.items() if k in teacher}} if teacher else {})
