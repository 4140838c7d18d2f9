"""Get the teacher of a run: fine-tune it, take the pre-trained weights, or read a finished run.

A teacher is a frozen callable, (batch, needs) -> Outputs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Generator, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from prunebert import __version__
from prunebert.distill.teacher_cache import Teacher, with_cached_logits
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.network.zeros import KEY
from prunebert.runs import files, reading, weights
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune

log = logging.getLogger(__name__)
Theta = dict[str, Tensor]


def frozen(net: SubNetwork, head: str, theta: Theta | None = None) -> Teacher:
    """Return a teacher without dropout and without gradients.

    theta: the teacher's weights; None for the dense weights that `net` has at the time of each call.
    """

    def teach(batch: Batch, needs: Iterable[str] = ()) -> Outputs:
        with net.evaluation_mode():
            return net(batch, head, theta=theta, needs=needs)

    return teach


def teacher(
    net: SubNetwork, task: Task, *, fit: Fit, source: str | None, shared: str | None, cached: bool = False
) -> Generator[Phase, None, Teacher]:
    """Yield the phase that fine-tunes the teacher, if it takes one, and return the teacher.

    Args:
        net: the network that the teacher is made of.
        task: the task that it teaches.
        fit: the training of a fine-tuned teacher.
        source: None to fine-tune the network as a phase of this run; "pretrained" to use its weights as they are; or
            the directory of a finished dense run.
        shared: a folder that stores fine-tuned teachers, named by a hash of what they depend on. All runs of a sweep
            then fine-tune each teacher once. A run that needs a teacher in training waits for it.
        cached: compute the logits of all training rows once, for all runs (teacher_cache.py).

    Raises:
        BadInput: source and shared are both given, the run does not match, or the folder cannot be used.
    """
    key = net.add_head(task.form(), "linear")
    if source and shared:
        raise BadInput(f"distill.shared={shared} and distill.teacher={source}: give only one of them")
    if source == "pretrained":
        theta = net.snapshot(key)
    elif source:
        theta = weights.load_weights(reading.home(source), net, task, key)
    elif shared:
        theta = yield from _shared_teacher(net, task, key, fit, reading.home(shared))
    else:
        theta = yield from _fine_tuned(net, task, key, fit)
    teach = frozen(net, key, theta)
    return with_cached_logits(teach, net, task, theta) if cached else teach


def _fine_tuned(net: SubNetwork, task: Task, key: str, fit: Fit) -> Generator[Phase, None, Theta]:
    """Fine-tune the network, take its weights, and rewind it."""
    snapshot = net.snapshot(key)
    yield from finetune(net, task, key, fit, name="teacher")
    theta = net.snapshot(key)
    net.rewind(snapshot, key)
    return theta


def _shared_teacher(net: SubNetwork, task: Task, key: str, fit: Fit, folder: Path) -> Generator[Phase, None, Theta]:
    """Read the teacher from the folder, or fine-tune and store it."""
    file = shared_file(net, task, key, fit, folder)
    with files.made_once(file, f"distill.shared={folder}") as theta:
        if theta is None:
            theta = yield from _fine_tuned(net, task, key, fit)
            files.keep(file, theta)
            return theta
    log.info("the teacher is %s, fine-tuned before", file)
    device = next(net.parameters()).device
    return {n: x.to(device) for n, x in theta.items()}


def shared_file(net: SubNetwork, task: Task, key: str, fit: Fit, folder: Path) -> Path:
    """Return the file of a shared teacher. A hash of what the teacher depends on names it. key: of its head."""
    dependencies = [
        __version__,
        net.model.weights_hash,
        net.model.architecture(),
        net.seed,
        task.name,
        task.facts(),
        _settings(task, fit),
        key,
        asdict(fit),
        *task.form().unusual_padding(),  # dropout's draws depend on the shape of a batch
        *([KEY] if net.given else []),
    ]
    name = hashlib.sha256(json.dumps(dependencies, sort_keys=True, default=str).encode()).hexdigest()[:32]
    return folder / f"{name}.safetensors"


def _settings(task: Task, fit: Fit) -> dict[str, Any]:
    """Return a task's attributes that are one value, such as the rate of masked LM: training may read each of them.

    What the task is scored by matters only to a teacher that keeps its best step.
    """
    unread = () if fit.keep == "best" else ("score", "metric")
    return {
        k: v
        for k, v in getattr(task, "__dict__", {}).items()
        if isinstance(v, str | int | float | None) and k not in unread
    }
