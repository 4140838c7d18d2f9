"""Read the weights of finished runs; write and read task deltas."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.masks.top_v import Masks
from prunebert.network import tokenizers
from prunebert.network.models import require_same_weights
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts, files, reading, seal
from prunebert.runs.files import ROWS
from prunebert.settings import overlaps
from prunebert.tasks.task import Task


def read_trained(root: Path, net: SubNetwork, setting: str = "") -> dict[str, Tensor]:
    """Read the weights that a finished run trained, or that its task delta holds.

    Args:
        root: the run's directory.
        net: its encoder has the checkpoint's weights.
        setting: begins every message, for example "distill.teacher=".

    Returns:
        The encoder's weights by full name (all of them, or none), and the head's under `head.…`.

    Raises:
        BadInput: the run had another checkpoint or tokenizer than `net` has, or one of its files is damaged.
    """
    facts = artifacts.result(root, setting)
    recorded = facts.get("architecture")
    require_same_weights(net.model, facts["model"], facts["weights_hash"], f"{setting}{root}", recorded)
    tokenizers.require_same(net.model.tokenizer, facts, f"{setting}{root}")
    stored = artifacts.tensors(root, artifacts.WEIGHTS)
    if delta := artifacts.tensors(root, artifacts.DELTA):
        base = net.parameters_of("pretrained")
        try:
            stored = unpack_delta(delta, base, artifacts.masks(root).masks)
        except ValueError as error:
            raise BadInput(f"{root / artifacts.DELTA} does not fit {net.model.name}: {error}") from error
    head = artifacts.tensors(root, artifacts.HEAD)
    return stored | {n if n.startswith(net.prefix) else f"head.{n}": x for n, x in head.items()}


def write_delta(root: Path, out: Path, values: Mapping[str, Tensor]) -> None:
    """Write the task delta of the run in `root` to the folder `out`: only what is needed to load the run.

    Its result.json is the run's, sealed anew with the hashes of the delta's files.

    values: the trained weights from `pack_delta`.
    """
    facts = artifacts.result(root)
    with files.new_folder(out) as folder:
        kept = [name for name in (artifacts.MASKS, artifacts.HEAD) if seal.intact(root, name, facts)]
        for name in kept:
            shutil.copyfile(root / name, folder / name)
        if values:
            (folder / artifacts.DELTA).write_bytes(files.encode_tensors(values))
        hashes = {path.name: reading.sha256(path) for path in folder.iterdir()}
        (folder / artifacts.RESULT).write_bytes(seal.encoded(seal.sealed(facts, hashes)))


def load_weights(root: Path, net: SubNetwork, task: Task, head: str) -> dict[str, Tensor]:
    """Read θ ⊙ M of a finished run to teach with, as SubNetwork.forward takes it.

    Args:
        root: the run's directory, as in distill.teacher=RUN.
        net: its encoder has the checkpoint's weights.
        task: the task to teach.
        head: key of the head in `net` that the run's head must match.

    Returns:
        Every encoder weight by full name, and the head's under `head.…`.

    Raises:
        BadInput: the run trained no weights, or its model, task, labels or head differ.
    """
    theta, setting = net.snapshot(head), "distill.teacher="
    root = artifacts.resolve_pointer(root)
    facts, key = artifacts.result(root, setting), f"{setting}{root}"
    if seal.intact(root, artifacts.WEIGHTS, facts) is None:
        raise BadInput(f"{key}: the run trained no weights ({facts['method']}); give a finished dense run")
    labels = task.facts().get("labels")
    trained_on = overlaps.trained_data(facts)
    if trained_on != task.name or facts["data"].get("labels") != labels:
        raise BadInput(f"{key}: it was trained on {trained_on} {facts['data'].get('labels')}, not {task.name} {labels}")
    stored = read_trained(root, net, setting)
    for name in theta.keys() | stored.keys():
        if name not in theta or name not in stored or theta[name].shape != stored[name].shape:
            raise BadInput(f"{key}: {name} of {facts['model']} does not match {net.model.name} with this head")
    masks = artifacts.masks(root).masks
    device = next(net.parameters()).device
    return {n: (x * masks[n] if n in masks else x).to(device) for n, x in stored.items()}


def pack_delta(theta: Mapping[str, Tensor], base: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """Return what to store to have θ ⊙ M again from the checkpoint.

    Args:
        theta: the trained weights by name.
        base: the checkpoint's weights by name.
        masks: the run's masks.
    """
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
    """Return `theta` of `pack_delta`, in which removed weights have the checkpoint's values.

    Raises ValueError for tensors that do not fit `base` and `masks`.
    """
    theta = {name: value.detach().clone() for name, value in base.items()}
    for name, value in stored.items():
        if name.startswith(ROWS):
            continue
        if name not in base or (name in masks and masks[name].shape != base[name].shape):
            raise ValueError(f"{name} is not a tensor of this model")
        rows = stored.get(ROWS + name)
        shape = [*base[name].shape]
        if name in masks:
            shape = [int(masks[name].sum())]
        elif rows is not None:
            if rows.ndim != 1 or len(rows.unique()) != len(rows) or not ((rows >= 0) & (rows < shape[0])).all():
                raise ValueError(f"{ROWS}{name} does not list rows of {name}")
            shape[0] = len(rows)
        if [*value.shape] != shape:
            raise ValueError(f"{name} is {[*value.shape]}, not {shape}")
        if name in masks:
            theta[name][masks[name]] = value
        elif rows is not None:
            theta[name][rows.long()] = value
        else:
            theta[name] = value
    return theta
