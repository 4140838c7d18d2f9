"""What a run writes when its last phase has ended: every file of its directory, result.json last."""

from __future__ import annotations

import logging
import math
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prunebert.analysis import patterns, spectral, topology
from prunebert.analysis.layout import Layout
from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput
from prunebert.masks.maskfile import MaskFile
from prunebert.masks.pattern import NONE
from prunebert.masks.top_v import Masks, sparsity
from prunebert.network import tokenizers
from prunebert.network.models import hash_of
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.artifacts import HEAD, RESULT, TOPOLOGY, WEIGHTS, Artifacts
from prunebert.system import distributed
from prunebert.system.impl import Impl
from prunebert.tasks.task import Task
from prunebert.training.evaluate import Evaluation
from prunebert.training.loop import Trained
from prunebert.training.phase import Phase

log = logging.getLogger(__name__)
PACKAGES = ("prunebert", "torch", "transformers", "datasets", "hydra-core")


class PhaseResult(NamedTuple):
    """A phase that has ended, what its training cost, and its evaluation score."""

    phase: Phase
    trained: Trained
    score: float


@dataclass(frozen=True)
class FinishedRun:
    """Everything that result.json and the files beside it are made of."""

    net: SubNetwork
    task: Task
    phases: list[PhaseResult]
    evaluation: Evaluation  # of the last phase's network
    baseline: dict[str, float]  # the constant baseline's metrics
    labels: dict[str, Any]  # method, task, model, seed, asked sparsity and settings: copied into the row
    impl: Impl
    seconds_to_first_step: float | None  # from the start of the command
    started: float  # when the command began, on time.perf_counter's clock


def write(run: FinishedRun, out: Artifacts) -> dict[str, Any]:
    """Write every file of the run, result.json last. Returns what is in result.json.

    Raises BadInput, before anything is written, if the score is NaN or infinite.
    """
    if not math.isfinite(score := run.evaluation.score):
        raise BadInput(f"task.score={run.task.score}: it is {score} on the evaluation data, so the run has no result")
    net, last = run.net, run.phases[-1].phase
    model, head = net.model, net.heads[last.head]
    peak_memory = run.impl.peak_memory()
    masks = _masks(net)
    pretrained = net.parameters_of("pretrained")
    frozen = hash_of({n.removeprefix(net.prefix): p for n, p in pretrained.items()}) == model.weights_hash
    origin = {"model": model.name, "weights_hash": model.weights_hash}
    pattern = patterns.facts(masks, _asked_pattern(run))
    out.save_masks(MaskFile(masks, model.name, model.weights_hash, pattern["asked"] if pattern["satisfied"] else NONE))
    out.save_tensors(HEAD, _trained_head(run), origin)
    out.save_tensors(WEIGHTS, {} if frozen else pretrained, origin)  # frozen weights are the checkpoint's, bit for bit
    out.save_predictions(run.evaluation.predictions)
    sizes = {which: {n: p.numel() for n, p in net.prunable(which).items()} for which in PRUNABLE}
    parameters = sum(p.numel() for module in (net.encoder, head) for p in module.parameters())
    weights = _checkpoint_weights(net, masks, frozen)
    layout = Layout.of(model)
    shape = topology.facts(masks, net.place, layout, sizes, parameters, pooled=bool(head.pooled), weights=weights)
    spectra = spectral.facts(masks, net.place, net.parameters_of(), trained=not frozen)
    out.save_json(TOPOLOGY, shape | {"pattern": pattern, "spectral": spectra} | _history(run))
    steps = sum(result.trained.steps for result in run.phases)
    row = {
        **run.labels,
        **topology.denominators(masks, sizes, parameters),
        "metric": run.task.score,
        "score": score,
        "metrics": run.evaluation.metrics,
        "majority_score": run.baseline[run.task.score],
        "majority": run.baseline,
        "trained_parameters": run.phases[-1].trained.parameters,
        "trained_scores": run.phases[-1].trained.scores,
        "model_parameters": parameters,
        "phases": {result.phase.name: _phase_row(result) for result in run.phases},
        "steps": steps,
        **_seconds(run, steps),
        "peak_memory_bytes": peak_memory,
        "device": (f"{distributed.COUNT} × " if distributed.COUNT > 1 else "") + run.impl.describe(),
        "ranks": distributed.COUNT,
        "data": run.task.facts(),
        "head": net.kind_of(last.head),
        "form": asdict(last.task.form()),
        "checkpoint": model.origin,
        "weights_hash": model.weights_hash,
        "heads_hash": model.heads_read,
        "architecture": model.unusual(),
        "tokenizer_hash": tokenizers.hash_of(model.tokenizer),
        **code_state(),
        "status": "complete",
    }
    out.save_json(RESULT, row)
    return row


def _asked_pattern(run: FinishedRun) -> str:
    """The pattern in the method's settings, as mask files have it."""
    return str(run.labels.get("settings", {}).get("pattern", NONE))


def _masks(net: SubNetwork) -> dict[str, Tensor]:
    """The network's masks on the CPU; an encoder matrix without a mask gets one of all True."""
    dense = {n: torch.ones_like(p, dtype=torch.bool) for n, p in net.prunable().items()}
    return {n: m.bool().cpu() for n, m in (dense | net.masks).items()}


def _trained_head(run: FinishedRun) -> dict[str, Tensor]:
    """Those parameters of the last phase's head that some phase with the same head trained."""
    key = run.phases[-1].phase.head
    phases = [result.phase for result in run.phases if result.phase.head == key]
    trained = {id(x) for phase in phases for group in phase.train for x in group.tensors.values()}
    return {n: p for n, p in run.net.head_parameters(key).items() if id(p) in trained}


def _checkpoint_weights(net: SubNetwork, masks: Masks, frozen: bool) -> Mapping[str, Tensor] | None:
    """The pre-trained weights. None where nothing was removed, or where they were trained and cannot be read again."""
    if not sparsity(masks):
        return None
    try:
        return net.parameters_of() if frozen else {net.prefix + n: p for n, p in net.model.pretrained().items()}
    except BadInput as error:
        log.warning("%s is without the overlap with the checkpoint's largest weights: %s", TOPOLOGY, error)
        return None


def _history(run: FinishedRun) -> dict[str, Any]:
    """The history of the last phase whose masks changed from one step to another; empty if there is none.

    A phase that ranks only at its end is none of them. A history of an earlier version has no `at_end`.
    """
    histories = [result.trained.history for result in run.phases]
    changing = [history for history in histories if history["flips"] - history.get("at_end", 0) > history["at_once"]]
    return {"history": changing[-1]} if changing else {}


def _phase_row(result: PhaseResult) -> dict[str, Any]:
    trained = result.trained
    return {
        "steps": trained.steps,
        "selected_step": trained.selected_step,
        "seconds": round(trained.seconds, 3),
        "score": result.score,
    }


def _seconds(run: FinishedRun, steps: int) -> dict[str, float | None]:
    """Seconds of training and its evaluations, until the first step, of the whole command, and of one step."""
    training = sum(result.trained.seconds for result in run.phases)
    evaluating = sum(result.trained.seconds_evaluating for result in run.phases)
    until_first = run.seconds_to_first_step
    return {
        "seconds": round(training + evaluating, 3),
        "seconds_to_first_step": None if until_first is None else round(until_first, 3),
        "seconds_overall": round(time.perf_counter() - run.started, 3),
        "seconds_per_step": round(training / steps, 6),
    }


@cache
def code_state() -> dict[str, Any]:
    """The packages' versions and the `git_state`, when a process first calls this.

    A process calls it before it trains: what the user installs or commits meanwhile is not what runs.
    """
    versions = {package: version(package) for package in PACKAGES} | {"python": platform.python_version()}
    return {"versions": versions, **git_state()}


def git_state() -> dict[str, Any]:
    """The commit that prunebert runs from, and whether it has uncommitted changes; null in an installed package."""
    package = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", package, *words], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD") if git("ls-files", "__init__.py") else None
    return {
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(git("status", "--porcelain", "--", ".", "../conf")),
    }
