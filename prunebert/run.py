"""A run as a straight line: the method's phases one after the other, then everything that was found, onto the disk."""

from __future__ import annotations

import logging
import platform
import subprocess
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prunebert.analysis import topology
from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput
from prunebert.masks.maskfile import MaskFile
from prunebert.masks.top_v import Masks, sparsity
from prunebert.network.models import Model, hash_of
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.artifacts import HEAD, RESULT, TOPOLOGY, WEIGHTS, Artifacts
from prunebert.system import distributed
from prunebert.system.impl import Impl
from prunebert.system.trackers import Guarded, Make, none
from prunebert.tasks.task import Task
from prunebert.training.checkpoints import Checkpoints, Nothing
from prunebert.training.evaluate import Evaluation, evaluate
from prunebert.training.loop import Trained, train
from prunebert.training.phase import Method, Phase

log = logging.getLogger(__name__)


def run(
    method: Method,
    task: Task,
    model: Model,
    out: Artifacts,
    *,
    impl: Impl,
    seed: int,
    labels: dict[str, Any],
    checkpoints: Checkpoints | Nothing | None = None,
    tracking: Make = none,
    since: float | None = None,
) -> dict[str, Any]:
    """Train and evaluate one sub-network and write all of `out`. Returns what is in result.json.

    labels: what the row is called (method, task, model, asked sparsity and settings worth a column), copied as given.
    checkpoints: phases that were finished before, and a moment of the next, are taken from there. tracking: where lines
    of metrics go besides. since: when the command began, on time.perf_counter's clock; null: now. On a rank other than
    the first (see ranks.py) nothing is written but metrics.jsonl, and nothing returned.
    """
    since = time.perf_counter() if since is None else since
    first: list[float] = []
    impl.start()
    checkpoints = checkpoints or Nothing()
    tracker = Guarded(tracking, out.root, labels | {"seed": seed})

    def record(line: dict[str, Any]) -> None:
        first.append(time.perf_counter() - since)  # every phase's first step is told
        out.record(line)
        tracker.log(line)

    majority = task.majority()
    if task.score not in majority:
        raise BadInput(f"task.score={task.score}: {task.name}'s metrics are {', '.join(majority)}")
    net = SubNetwork(model, seed).to(impl.torch_device)
    if impl.compile:
        net.encoder.compile(dynamic=True)
    done: list[tuple[Phase, Trained, float]] = []
    found: Evaluation | None = None
    for i, phase in enumerate(method(net, task)):
        if i == 0:
            told = ", ".join(f"{k} {labels[k]}" for k in ("method", "task", "model", "sparsity"))
            log.info("%s, seed %d, in %s", told, seed, out.root)
        if known := checkpoints.finished(phase, net):
            found = None
            done.append((phase, Trained(**known["trained"]), known["score"]))
            continue
        log.info("phase %s: %s steps of %d", phase.name, f"{phase.planned:,}", phase.fit.batch_size)

        def score(phase: Phase = phase) -> float:
            return evaluate(net, phase.task, phase.head, impl).score

        own = seed + zlib.crc32(phase.name.encode())  # the same whether or not a phase before it was needed here
        trained = train(net, phase, seed=own, impl=impl, record=record, score=score, checkpoints=checkpoints)
        began = time.perf_counter()
        found = evaluate(net, phase.task, phase.head, impl)
        trained = replace(trained, seconds_evaluating=time.perf_counter() - began)
        done.append((phase, trained, found.score))
        checkpoints.finish(phase, net, {"trained": asdict(trained), "score": found.score})
        log.info("phase %s ends at %s %.4f", phase.name, phase.task.score, found.score)
    if not distributed.FIRST:
        return {}
    if found is None:  # the last phase, too, was finished before
        found = evaluate(net, done[-1][0].task, done[-1][0].head, impl)
    seconds = sum(t.seconds + t.seconds_evaluating for _, t, _ in done)
    times = {"seconds": round(seconds, 3), "seconds_to_first_step": round(first[0], 3) if first else None}
    row = _write(
        out, net, task, done, found, majority, labels=labels | {"seed": seed}, times=times, impl=impl, since=since
    )
    tracker.end(row)
    checkpoints.clear()
    return row


def _write(
    out: Artifacts,
    net: SubNetwork,
    task: Task,
    done: list[tuple[Phase, Trained, float]],
    found: Evaluation,
    majority: dict[str, float],
    *,
    labels: dict[str, Any],
    times: dict[str, float | None],
    since: float,
    impl: Impl,
) -> dict[str, Any]:
    """Every file of the run, result.json last."""
    last = done[-1][0]
    model = net.model
    masks = {n: torch.ones_like(p, dtype=torch.bool) for n, p in net.prunable().items()} | net.masks
    masks = {n: m.bool().cpu() for n, m in masks.items()}
    peak_memory = impl.peak_memory()
    identity = {"model": model.name, "weights_hash": model.weights_hash}
    trained = {id(x) for phase, *_ in done if phase.head == last.head for g in phase.train for x in g.tensors.values()}
    head = {n: p for n, p in net.head_parameters(last.head).items() if id(p) in trained}
    pretrained = net.parameters_of("pretrained")
    frozen = hash_of({n.removeprefix(net.prefix): p for n, p in pretrained.items()}) == model.weights_hash
    out.save_masks(MaskFile(masks, model.name, model.weights_hash))
    out.save_tensors(HEAD, head, identity)
    out.save_tensors(WEIGHTS, {} if frozen else pretrained, identity)  # frozen, bit for bit: the checkpoint has them
    out.save_predictions(found.predictions)
    sizes = {which: {n: p.numel() for n, p in net.prunable(which).items()} for which in PRUNABLE}
    parameters = sum(p.numel() for p in net.encoder.parameters()) + sum(
        p.numel() for p in net.heads[last.head].parameters()
    )
    measured = topology.denominators(masks, sizes, parameters)
    pooled = bool(net.heads[last.head].pooled)
    shape = topology.facts(
        masks, net.place, model.heads, sizes, parameters, pooled=pooled, weights=_checkpoint(net, masks, frozen)
    )
    moved = [t.history for _, t, _ in done if t.history["flips"] > t.history["at_once"]]  # where masks changed
    found_over_time = {"history": moved[-1]} if moved else {}
    out.save_json(TOPOLOGY, shape | found_over_time)
    steps = sum(t.steps for _, t, _ in done)
    row = {
        **labels,
        **measured,
        "metric": task.score,
        "score": found.score,
        "metrics": found.metrics,
        "majority_score": majority[task.score],
        "majority": majority,
        "trained_parameters": done[-1][1].parameters,
        "phases": {
            p.name: {"steps": t.steps, "selected_step": t.selected_step, "seconds": round(t.seconds, 3), "score": score}
            for p, t, score in done
        },
        "steps": steps,
        **times,
        "seconds_overall": round(time.perf_counter() - since, 3),
        "seconds_per_step": round(sum(t.seconds for _, t, _ in done) / steps, 6),
        "peak_memory_bytes": peak_memory,
        "device": (f"{distributed.COUNT} × " if distributed.COUNT > 1 else "") + impl.describe(),
        "ranks": distributed.COUNT,
        "data": task.facts(),
        "head": net.kind_of(last.head),
        "form": asdict(last.task.form()),
        "checkpoint": model.origin,
        "weights_hash": model.weights_hash,
        "versions": {p: version(p) for p in ("prunebert", "torch", "transformers", "datasets", "hydra-core")}
        | {"python": platform.python_version()},
        **git_state(),
        "status": "complete",
    }
    out.save_json(RESULT, row)
    return row


def _checkpoint(net: SubNetwork, masks: Masks, frozen: bool) -> Mapping[str, Tensor] | None:
    """The pre-trained weights; None where nothing was removed, or where they were trained and cannot be read again."""
    if not sparsity(masks):
        return None
    try:
        return net.parameters_of() if frozen else {net.prefix + n: p for n, p in net.model.pretrained().items()}
    except BadInput as error:
        log.warning("%s is without the overlap with the checkpoint's largest weights: %s", TOPOLOGY, error)
        return None


def git_state() -> dict[str, Any]:
    """The commit prunebert runs from and whether it has uncommitted changes; null where it is an installed package."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            found = subprocess.run(["git", "-C", here, *words], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return found.stdout.strip() if found.returncode == 0 else None

    commit = git("rev-parse", "HEAD") if git("ls-files", "__init__.py") else None
    return {
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(git("status", "--porcelain", "--", ".", "../conf")),
    }
