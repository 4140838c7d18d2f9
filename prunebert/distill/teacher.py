"""Teachers: where the network that teaches comes from. A frozen callable, batch -> Outputs."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Generator, Iterable
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from prunebert import __version__
from prunebert.distill.teacher_cache import Teacher, with_cached_logits
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import files, weights
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune

log = logging.getLogger(__name__)
Theta = dict[str, Tensor]


def frozen(net: SubNetwork, head: str, theta: Theta | None = None) -> Teacher:
    """Teaches without dropout and without a gradient. theta: None for the dense weights that `net` has at the time."""

    def teach(batch: Batch, needs: Iterable[str] = ()) -> Outputs:
        with net.resting():
            return net(batch, head, theta=theta, needs=needs)

    return teach


def teacher(
    net: SubNetwork, task: Task, *, fit: Fit, source: str | None, shared: str | None, cached: bool = False
) -> Generator[Phase, None, Teacher]:
    """source: null to fine-tune the network first, as a phase of this run; "pretrained" for its weights as they are;
    or the directory of a finished dense run.

    shared: a folder in which teachers are kept by what they depend on, so that all runs of a sweep fine-tune each only
    once. Another run that wants the same one at the same time waits for it. cached: all training rows are asked about
    once, for all runs (answers.py).
    """
    key = net.add_head(task.form(), "linear")
    if source and shared:
        raise BadInput(f"distill.shared={shared} and distill.teacher={source}: a teacher comes from one of them")
    if source == "pretrained":
        theta = net.snapshot(key)
    elif source:
        theta = weights.load_weights(Path(source).expanduser(), net, task, key)
    elif shared:
        theta = yield from _shared(net, task, key, fit, Path(shared).expanduser())
    else:
        theta = yield from _fine_tuned(net, task, key, fit)
    ask = frozen(net, key, theta)
    return with_cached_logits(ask, net, task, theta) if cached else ask


def _fine_tuned(net: SubNetwork, task: Task, key: str, fit: Fit) -> Generator[Phase, None, Theta]:
    before = net.snapshot(key)
    yield from finetune(net, task, key, fit, name="teacher")
    theta = net.snapshot(key)
    net.rewind(before, key)
    return theta


def _shared(net: SubNetwork, task: Task, key: str, fit: Fit, folder: Path) -> Generator[Phase, None, Theta]:
    """From the folder, or fine-tuned and put there; the file's name is a hash of all that decides the weights."""
    on = [
        __version__,
        net.model.weights_hash,
        net.model.architecture(),
        net.seed,
        task.name,
        task.facts(),
        key,
        asdict(fit),
    ]
    name = hashlib.sha256(json.dumps(on, sort_keys=True, default=str).encode()).hexdigest()[:32]
    file = folder / f"{name}.safetensors"
    with files.made_once(file, f"distill.shared={folder}") as theta:
        if theta is None:
            theta = yield from _fine_tuned(net, task, key, fit)
            files.keep(file, theta)
            return theta
    log.info("the teacher is %s, fine-tuned before", file)
    device = next(net.parameters()).device
    return {n: x.to(device) for n, x in theta.items()}
