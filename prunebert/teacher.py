"""Teachers: where the network that teaches comes from. A frozen callable, batch -> Outputs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from prunebert import __version__, ranks, stored
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.models import hash_of
from prunebert.phase import Phase, finetune
from prunebert.subnetwork import Outputs, SubNetwork
from prunebert.tasks.task import Batch, Task

log = logging.getLogger(__name__)
Theta = dict[str, Tensor]
Teacher = Callable[[Batch, Iterable[str]], Outputs]


def frozen(net: SubNetwork, head: str, theta: Theta | None = None) -> Teacher:
    """Teaches without dropout and without a gradient. theta: None for the dense weights that `net` has at the time."""

    def teach(batch: Batch, needs: Iterable[str] = ()) -> Outputs:
        with net.resting():
            return net(batch, head, theta=theta, needs=needs)

    return teach


def teacher(
    net: SubNetwork, task: Task, *, fit: Fit, source: str | None, shared: str | None
) -> Generator[Phase, None, Teacher]:
    """source: null to fine-tune the network first, as a phase of this run; "pretrained" for its weights as they are;
    or the directory of a finished dense run.

    shared: a folder in which teachers are kept by what they depend on, so that all runs of a sweep fine-tune each only
    once. Another run that wants the same one at the same time waits for it.
    """
    key = net.add_head(task, "linear")
    if source and shared:
        raise BadInput(f"distill.shared={shared} and distill.teacher={source}: a teacher comes from one of them")
    if source == "pretrained":
        return frozen(net, key, net.snapshot(key))
    if source:
        return frozen(net, key, stored.load_weights(Path(source).expanduser(), net, task, key))
    if shared:
        return frozen(net, key, (yield from _shared(net, task, key, fit, Path(shared).expanduser())))
    return frozen(net, key, (yield from _fine_tuned(net, task, key, fit)))


def _fine_tuned(net: SubNetwork, task: Task, key: str, fit: Fit) -> Generator[Phase, None, Theta]:
    before = net.snapshot(key)
    yield from finetune(net, task, key, fit, name="teacher")
    theta = net.snapshot(key)
    net.rewind(before, key)
    return theta


def _shared(net: SubNetwork, task: Task, key: str, fit: Fit, folder: Path) -> Generator[Phase, None, Theta]:
    """From the folder, or fine-tuned and put there; the file's name is a hash of all that decides the weights."""
    config = {k: v for k, v in net.model.config.to_dict().items() if k not in ("_name_or_path", "transformers_version")}
    on = [__version__, net.model.weights_hash, config, net.seed, task.name, task.facts(), key, asdict(fit)]
    name = hashlib.sha256(json.dumps(on, sort_keys=True, default=str).encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock").acquire() if ranks.FIRST else nullcontext()  # the system frees it
    except OSError as error:
        raise BadInput(f"distill.shared={folder} cannot be written to: {error.strerror}") from error
    file = folder / f"{name}.safetensors"
    with lock:
        theta = _read(file) if ranks.FIRST else None
        if ranks.broadcast(theta is not None) and theta is None:
            theta = _read(file)
        if theta is not None:
            log.info("the teacher is %s, fine-tuned before", file)
            device = next(net.parameters()).device
            return {n: x.to(device) for n, x in theta.items()}
        for left in folder.glob(f".{name}.*"):  # by an owner that died while writing
            left.unlink(missing_ok=True)
        theta = yield from _fine_tuned(net, task, key, fit)
        if ranks.FIRST:
            partial = folder / f".{name}.{os.getpid()}"
            partial.write_bytes(save(theta, {"sha256": hash_of(theta)}))
            partial.replace(file)
        return theta


def _read(file: Path) -> Theta | None:
    """The weights of a teacher's file; None if there is no such file, or a damaged one, which is told."""
    if not file.exists():
        return None
    try:
        theta = load_file(file)
        with safe_open(file, "pt") as stream:
            if (stream.metadata() or {}).get("sha256") == hash_of(theta):
                return theta
    except PermissionError as error:
        raise BadInput(f"distill.shared: {file} cannot be read: {error.strerror}") from error
    except (SafetensorError, OSError):
        pass
    log.warning("%s is damaged and is made anew", file)
    return None
