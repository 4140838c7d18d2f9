"""The weights that finished runs and task deltas hold."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.top_v import Masks
from prunebert.network.models import hash_of
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts
from prunebert.tasks.task import Task

log = logging.getLogger(__name__)


def trained(root: Path, net: SubNetwork) -> dict[str, Tensor]:
    """What a finished run trained, or its task delta holds: encoder weights by full name (all, or none), and its head's
    under `head.…`. `net` has the checkpoint's weights.

    Raises BadInput if `net` is another model than the run's.
    """
    facts = artifacts.result(root)
    if facts["weights_hash"] != net.model.weights_hash:
        raise BadInput(f"{root}: it started from {facts['model']}, whose weights are not those of {net.model.name}")
    stored = load_file(root / artifacts.WEIGHTS) if (root / artifacts.WEIGHTS).is_file() else {}
    if (root / artifacts.DELTA).is_file():
        base = net.parameters_of("pretrained")
        stored = unpack_delta(load_file(root / artifacts.DELTA), base, artifacts.masks(root).masks)
    head = load_file(root / artifacts.HEAD) if (root / artifacts.HEAD).is_file() else {}
    return stored | {n if n.startswith(net.prefix) else f"head.{n}": x for n, x in head.items()}


def write_delta(root: Path, out: Path, values: Mapping[str, Tensor]) -> None:
    """The task delta of the run in `root`: what it takes to load it, and no more, `values` for weights.safetensors."""
    with artifacts.new_folder(out) as folder:
        for name in (artifacts.RESULT, artifacts.MASKS, artifacts.HEAD):
            if (root / name).is_file():
                shutil.copyfile(root / name, folder / name)
        if values:
            save_file({n: x.contiguous() for n, x in values.items()}, folder / artifacts.DELTA)


def load_weights(root: Path, net: SubNetwork, task: Task, head: str) -> dict[str, Tensor]:
    """θ ⊙ M of a finished run (every encoder weight, and its head under `head.…`), as SubNetwork.forward takes it.

    Raises BadInput if the run trained no weights, or its model, task, labels or head are other ones.
    """
    theta, key = net.snapshot(head), f"distill.teacher={root}"
    root = artifacts.home(root)
    facts = artifacts.result(root, "distill.teacher=")
    if not (root / artifacts.WEIGHTS).is_file():
        raise BadInput(f"{key}: the run trained no weights ({facts['method']}); give a finished dense run")
    labels = task.facts().get("labels")
    if facts["task"] != task.name or facts["data"].get("labels") != labels:
        raise BadInput(
            f"{key}: it was trained on {facts['task']} {facts['data'].get('labels')}, not {task.name} {labels}"
        )
    if facts["weights_hash"] != net.model.weights_hash:
        raise BadInput(f"{key}: it started from {facts['model']}, whose weights are not those of {net.model.name}")
    stored = load_file(root / artifacts.WEIGHTS)
    for name, tensor in load_file(root / artifacts.HEAD).items():  # a pooler that the checkpoint lacked among them
        stored[name if name.startswith(net.prefix) else f"head.{name}"] = tensor
    for name in theta.keys() | stored.keys():
        if name not in theta or name not in stored or theta[name].shape != stored[name].shape:
            raise BadInput(
                f"{key}: {name} of its model {facts['model']} is not that of {net.model.name} with this head"
            )
    masks = maskfile.read(root / artifacts.MASKS).masks
    device = next(net.parameters()).device
    return {n: (x * masks[n] if n in masks else x).to(device) for n, x in stored.items()}


def keep(file: Path, tensors: dict[str, Tensor]) -> None:
    """Write them as `sound` reads them, whole or not at all; under a lock of the caller's. Raises OSError."""
    for left in file.parent.glob(f".{file.stem}.*"):  # by an owner that died while writing
        left.unlink(missing_ok=True)
    artifacts.write(file.parent, file.name, save(tensors, {"sha256": hash_of(tensors)}))


def sound(file: Path) -> dict[str, Tensor] | None:
    """Tensors mapped into memory; None if there is no such file, or a damaged one, which is told. Raises
    PermissionError."""
    if not file.exists():
        return None
    try:
        found = load_file(file)
        with safe_open(file, "pt") as stream:
            if (stream.metadata() or {}).get("sha256") == hash_of(found):
                return found
    except PermissionError:
        raise
    except (SafetensorError, OSError):
        pass
    log.warning("%s is damaged and is made anew", file)
    return None


ROWS = "rows/"  # + name: which rows of an unmasked matrix are stored


def pack_delta(theta: Mapping[str, Tensor], base: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """What of `theta` must be kept to have θ ⊙ M again, given the checkpoint's `base`."""
    stored: dict[str, Tensor] = {}
    for name, value in theta.items():
        if name in masks:
            if not torch.equal(value[masks[name]], base[name][masks[name]]):
                stored[name] = value[masks[name]]
            continue
        changed = (value != base[name]).flatten(1).any(1) if value.ndim > 1 else value != base[name]
        if value.ndim > 1 and changed.any() and not changed.all():
            stored[ROWS + name], stored[name] = torch.nonzero(changed).flatten().int(), value[changed]
        elif changed.any():
            stored[name] = value
    return stored


def unpack_delta(stored: Mapping[str, Tensor], base: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """Every weight again: `theta` of `pack_delta`, but that removed weights have the checkpoint's values."""
    theta = {name: value.detach().clone() for name, value in base.items()}
    for name, value in stored.items():
        if name.startswith(ROWS):
            continue
        if name in masks:
            theta[name][masks[name]] = value
        elif ROWS + name in stored:
            theta[name][stored[ROWS + name].long()] = value
        else:
            theta[name] = value
    return theta
