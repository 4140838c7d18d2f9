"""`dry=true`: list a run's phases and whether the run is finished. Nothing is trained or written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebert.commands import cost
from prunebert.distill.teacher import shared_file
from prunebert.errors import cut
from prunebert.fit import Fit
from prunebert.network.models import Model
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts, claim, heads, reading
from prunebert.settings import tuning
from prunebert.system.console import short
from prunebert.system.impl import Impl
from prunebert.system.table import say_wrapped
from prunebert.tasks.task import KnowsLengths, Task, constant_baseline
from prunebert.training.phase import Method, Phase, never
from prunebert.training.step import Stepper


@dataclass(frozen=True)
class Plan:
    """What a phase would train. The numbers are those that the run's result has afterwards.

    Attributes:
        phase: the phase.
        parameters: tensors' elements that would receive a gradient.
        scores: how many of these are outside the network: scores of weights, or gates.
    """

    phase: Phase
    parameters: int
    scores: int

    @property
    def steps(self) -> str:
        """The number of steps as a reader sees it."""
        return f"{'' if self.phase.stop is never else 'at most '}{self.phase.planned:,} steps"


def show(
    fields: dict[str, Any],
    build: Callable[[Any], Any],
    task: Task,
    model: Model,
    directory: Path,
    labels: dict[str, Any],
    varied: Mapping[str, str],
) -> None:
    """Print a line for the run, one for each of its phases, and the estimated time on each kind of device.

    The method generates its phases. None of them is trained: of its last step only the gradients are computed, to count
    the tensors that get one.

    Args:
        fields: the whole configuration, resolved; its method and its seed are used.
        build: makes an object of a node with a `_target_`.
        task: the run's task.
        model: the run's model.
        directory: where the run would start.
        labels: the row's labels; the identity among them finds an earlier start.
        varied: of a sweep's cell, the keys that the sweep varies and their values. Those not shown anyway are added.
    """
    constant_baseline(task)
    identity = labels["identity"]
    earlier = claim.find_run(directory, identity)
    if earlier:
        heads.refuse_another(earlier, model.heads_hash)
    if earlier and artifacts.holds_result_of(earlier, identity):
        state = f"done, in {short(earlier)}"
    elif earlier:
        state = f"started, in {short(earlier)}"
    else:
        state = "to do"
    parts = {key: labels[key] for key in ("method", "task", "model", "sparsity")}
    rates = labels.get("tuning", {}).get("rates", ())
    parts |= {key: f"{tuning.read_of(labels['settings'], key):g}" for key in rates}
    parts |= {key: cut(value) for key, value in varied.items() if key not in parts and key != "seed"}
    settings = " ".join(f"{key}={value}" for key, value in parts.items())
    seed, net = fields["seed"], SubNetwork(model, fields["seed"])
    shared = _shared_teacher(fields["method"], net, task)
    is_stored = shared is not None and (shared in cost.TOTAL.teachers or shared.exists())
    method = build(_without_stored_teacher(fields["method"], is_stored))
    with _no_warnings("methods", "masks", *(["distill"] if is_stored else [])):
        plans = list(planned(method, net, task, seed))
    phases = [plan.phase for plan in plans]
    most = "at most " if any(phase.stop is not never for phase in phases) else ""
    say_wrapped(f"{settings} seed={seed}: {most}{sum(phase.planned for phase in phases):,} steps, {state}")
    for plan in plans:
        phase = plan.phase
        data = labels["task"] if phase.task is task else phase.task.name
        scores = f", {plan.scores:,} of them scores" if plan.scores else ""
        choices = phase.task.form().choices
        texts = f" questions with {choices} texts each" if choices else ""
        say_wrapped(
            f"    {phase.name}: {plan.steps} of {phase.fit.batch_size}{texts} on {phase.task.train_rows:,} "
            f"training rows of {data}{_lengths(phase.task)}, {plan.parameters:,} parameters trained{scores}"
        )
    works = cost.works_of(phases, net, seed)
    for line in cost.lines(works, cost.TOTAL.named):
        say_wrapped(f"    {line}")
    if not state.startswith("done"):
        cost.TOTAL.add(works)
        cost.TOTAL.teachers |= {shared} if shared else set()


def _lengths(task: Task) -> str:
    """Return " (25 tokens on average, 128 at most)" of a task that knows its training rows' lengths."""
    if not isinstance(task, KnowsLengths):
        return ""
    lengths = task.train_lengths()
    return f" ({lengths.mean():,.0f} tokens on average, {lengths.max():,} at most)"


def planned(method: Method, net: SubNetwork, task: Task, seed: int) -> Iterator[Plan]:
    """Yield the plan of each phase of a method. `net` keeps its weights; its masks may change.

    A tensor counts if it gets a gradient in the phase's last step, as in a run. A batch of one row shows which ones do.
    """
    impl = Impl(device="cpu", precision="fp32", compile=False, threads=None)
    for phase in method(net, task):
        stepper = Stepper(net, phase, seed=seed, impl=impl)
        stepper.differentiate(phase.planned - 1, next(phase.task.batches(1, seed)))
        yield Plan(phase, *stepper.end())


@contextmanager
def _no_warnings(*folders: str) -> Iterator[None]:
    """Log only errors of some folders of prunebert: warnings about untrained masks mean nothing in a dry run."""
    levels = {log: log.level for log in (logging.getLogger(f"prunebert.{folder}") for folder in folders)}
    for log in levels:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)


def _shared_teacher(method: dict[str, Any], net: SubNetwork, task: Task) -> Path | None:
    """Return the file in which a run shares its teacher, or None. `net` gets the teacher's head."""
    distill = method.get("distill") or {}
    if not distill.get("shared") or distill.get("teacher"):
        return None
    fit = Fit(**{key: value for key, value in distill["fit"].items() if not key.startswith("_")})
    key = net.add_head(task.form(), "linear")
    return shared_file(net, task, key, fit, reading.home(distill["shared"])).absolute()


def _without_stored_teacher(method: dict[str, Any], is_stored: bool) -> dict[str, Any]:
    """Return a method's settings without the shared and cached options of its teacher.

    With these options a dry run would store an untrained teacher for other runs.

    Args:
        method: the settings.
        is_stored: the shared teacher is fine-tuned before this run. The pre-trained weights then stand for it, because
            they need no phase either.
    """
    options = {"shared": None, "cached": False} | ({"teacher": "pretrained"} if is_stored else {})
    teacher, pruner = method.get("distill") or {}, method.get("pruner")
    changed = {"distill": teacher | {k: v for k, v in options.items() if k in teacher}} if teacher else {}
    if pruner:  # a method inside this one, with a teacher of its own
        changed["pruner"] = _without_stored_teacher(pruner, is_stored=False)
    return method | changed
