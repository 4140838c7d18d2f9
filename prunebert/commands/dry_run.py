"""`dry=true`: list a run's phases and whether the run is finished. Nothing is trained or written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from prunebert.commands import cost
from prunebert.network.models import Model
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts, claim, heads
from prunebert.system.console import short
from prunebert.system.table import say_wrapped
from prunebert.tasks.task import Task, constant_baseline
from prunebert.training.phase import Method


def show(
    method: Method, task: Task, model: Model, directory: Path, identity: str, labels: dict[str, Any], seed: int
) -> None:
    """Print a line for the run, one for each of its phases, and the estimated time on each kind of device.

    The method generates its phases, and none of them is trained.

    Args:
        method: the method, made with the settings of `without_stored_teacher`.
        task: the run's task.
        model: the run's model.
        directory: where the run would start.
        identity: the run's identity, by which an earlier start is found.
        labels: the row's labels.
        seed: the run's seed.
    """
    constant_baseline(task)
    earlier = claim.find_run(directory, identity)
    if earlier:
        heads.refuse_another(earlier, model.heads_hash)
    if earlier and artifacts.holds_result_of(earlier, identity):
        state = f"done, in {short(earlier)}"
    elif earlier:
        state = f"started, in {short(earlier)}"
    else:
        state = "to do"
    settings = " ".join(f"{key}={labels[key]}" for key in ("method", "task", "model", "sparsity"))
    log = logging.getLogger("prunebert.methods")
    level = log.level
    log.setLevel(logging.ERROR)  # warnings about untrained masks mean nothing here
    net = SubNetwork(model, seed)
    try:
        phases = list(method(net, task))
    finally:
        log.setLevel(level)
    say_wrapped(f"{settings} seed={seed}: {sum(p.planned for p in phases):,} steps, {state}")
    for phase in phases:
        data = labels["task"] if phase.task is task else phase.task.name
        trained = sum(x.numel() for group in phase.train for x in group.tensors.values())
        say_wrapped(
            f"    {phase.name}: {phase.planned:,} steps of {phase.fit.batch_size} on {phase.task.train_rows:,} "
            f"training rows of {data}, {trained:,} parameters trained"
        )
    works = cost.works_of(phases, net, seed)
    for line in cost.lines(works, cost.TOTAL.named):
        say_wrapped(f"    {line}")
    if not state.startswith("done"):
        cost.TOTAL.add(works)


def without_stored_teacher(method: dict[str, Any]) -> dict[str, Any]:
    """Return a method's settings without the shared and cached options of its teacher.

    With these options a dry run would store an untrained teacher for other runs.
    """
    options = {"shared": None, "cached": False}
    teacher = method.get("distill") or {}
    return method | ({"distill": teacher | {k: v for k, v in options.items() if k in teacher}} if teacher else {})
