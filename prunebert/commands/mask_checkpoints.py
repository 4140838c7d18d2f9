"""Read the masks of somebody's whole checkpoint: its zeros, or the scores that nn_pruning trains beside the weights.

nn_pruning and movement pruning replace each linear layer by one with scores; the layout is known from their code, and
no code is copied. A layer LAYER has beside its LAYER.weight one of

    LAYER.mask_scores                                movement pruning: one score a weight
    LAYER.mask_module.context_modules.0.mask_scores  nn_pruning: one score a block of r x c weights, or a weight

The scores of method topK are cut at a fraction of each matrix, those of sigmoied_threshold at σ(S) > τ. The method
magnitude has no scores and ranks |W|. Neither the method nor the cut is in the file. A finished checkpoint
of either library has zeros.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from prunebert.choices import EVERY_MATRIX
from prunebert.commands.mask_formats import read_dictionary
from prunebert.errors import BadInput
from prunebert.masks.top_v import Masks, top
from prunebert.network import checkpoint, fused, weights, zeros
from prunebert.network.checkpoint import Place
from prunebert.network.subnetwork import SubNetwork
from prunebert.system import hub
from prunebert.system.console import counted

BIN = "pytorch_model.bin"
FLOOR = 0.005  # sigmoied_threshold keeps more than this fraction of the scores of each matrix
SCORES = re.compile(r"((?:(?!\w+_module\.).)+)\.(?:mask_scores|mask_module\.context_modules\.0\.mask_scores)")
Cut = Callable[[Tensor], Tensor]  # scores of one matrix -> which of them stay


@dataclass(frozen=True)
class Found:
    """Masks by full name, and what they were read from, for the report."""

    masks: Masks
    source: str


def read_zeros(path: Path, net: SubNetwork) -> Found:
    """Return 1[W ≠ 0] of a checkpoint's weights W, which need not be those of `net`.

    Args:
        path: the checkpoint's folder, or its file.
        net: gives names and shapes. Each encoder matrix gets a mask. The pooler and the word embeddings get one where
            they were pruned (zeros.py).

    Raises BadInput if the file cannot be read or does not fit the model, and if no weight is zero.
    """
    return _zeros(path, _matrices(path, _parted(path, net), net), net)


def read_nn_pruning(
    path: Path,
    net: SubNetwork,
    *,
    sparsity: Fraction | None = None,
    threshold: Fraction | None = None,
    magnitude: Fraction | None = None,
) -> Found:
    """Return the masks of a checkpoint of nn_pruning or movement pruning.

    Args:
        path: the checkpoint's folder, or its file.
        net: gives names and shapes.
        sparsity: the fraction of each matrix's scores that topK removes.
        threshold: τ of sigmoied_threshold.
        magnitude: the fraction of each matrix that method=magnitude removes. Without one of the three: the zeros.

    Raises BadInput if the file cannot be read, does not fit the model, or holds masks of another kind: of rows and
    columns, or of ampere's 2:4 patterns.
    """
    tensors = _parted(path, net)
    scores = _scores(path, tensors)
    asked = {"--sparsity": sparsity, "--threshold": threshold}
    option = next((name for name, value in asked.items() if value is not None), "")
    if magnitude is not None and scores:
        raise BadInput(f"{path}: has mask_scores of {counted(len(scores), 'matrix')}, which --magnitude does not read")
    if option and not scores:
        raise BadInput(f"{path}: has no mask_scores for {option}; leave it out to take the zeros, or give --magnitude")
    if scores and not option:
        raise BadInput(
            f"{path}: has mask_scores of {counted(len(scores), 'matrix')} and does not say where they are cut; give "
            "--sparsity 0.9 for method topK at 10 % remaining, or --threshold 0.1 for sigmoied_threshold"
        )
    matrices = _matrices(path, tensors, net)
    if magnitude is not None:
        cut = _top_k(magnitude)
        encoder = {n: cut(matrices[n].float().abs()) for n in net.prunable()}
        return Found(encoder, f"the largest |W| of {len(encoder)} matrices")
    if not scores:
        return _zeros(path, matrices, net)
    cut = _top_k(sparsity) if sparsity is not None else _above(float(threshold or 0))
    masks = {n: _all(matrices[n]) for n in net.prunable()}
    for own, values in scores.items():
        name = net.prefix + weights.own_name(f"{own}.weight", net.model.family)
        if name not in masks:
            raise BadInput(f"{path}: {own}.mask_scores belongs to no encoder matrix of this model")
        masks[name] = _expanded(path, own, cut(values.float()), masks[name].shape)
    return Found(masks, f"the scores of {counted(len(scores), 'matrix')} of {len(masks)}")


def _zeros(path: Path, matrices: Mapping[str, Tensor], net: SubNetwork) -> Found:
    family = net.model.family
    covered = zeros.covered({n.removeprefix(net.prefix): W for n, W in matrices.items()}, family)
    pruned = {net.prefix + n: M for n, M in covered.items() if not M.all()}
    if not pruned:
        size = sum(W.numel() for W in matrices.values())
        raise BadInput(
            f"{path}: none of the {size:,} weights in its {len(matrices)} matrices was removed: none is zero"
        )
    last = max(i for i, n in enumerate(matrices) if n in pruned or n in net.prunable())
    # A prunable set is the encoder, then the pooler, then the embeddings. So a dense pooler gets one if these do.
    masks = {n: pruned.get(n, _all(W)) for n, W in list(matrices.items())[: last + 1]}
    return Found(masks, f"the zeros of {counted(len(pruned), 'matrix')} of {len(matrices)}")


def _parted(path: Path, net: SubNetwork) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by the encoder's names: published names translated, fused matrices in parts."""
    family = net.model.family
    return fused.parted(weights.translated(_tensors(path), family, str(path)), family, str(path))


def _matrices(path: Path, tensors: Mapping[str, Tensor], net: SubNetwork) -> dict[str, Tensor]:
    """Return the checkpoint's prunable matrices by full name: the encoder's, the pooler, the word embeddings.

    Raises BadInput for a missing encoder matrix, one that this model does not have, and one of another shape.
    """
    family, encoder, prunable = net.model.family, net.prunable(), net.prunable(EVERY_MATRIX)
    found: dict[str, Tensor] = {}
    for name, weight in tensors.items():
        own = weights.own_name(name.removeprefix("module."), family)
        full = net.prefix + own
        if full not in prunable and not family.place(own):
            continue
        if full not in prunable or weight.shape != prunable[full].shape:
            own_shape = list(prunable[full].shape) if full in prunable else "not"
            raise BadInput(f"{path}: {name} is {list(weight.shape)}, but {own_shape} in {net.model.name}")
        if full in found:
            raise BadInput(f"{path}: has {full} twice, the second time as {name}")
        found[full] = _finite(path, name, weight)
    if missing := [n for n in encoder if n not in found]:
        raise BadInput(
            f"{path} lacks {len(missing)} of the {len(encoder)} encoder matrices of {net.model.name} ({missing[0]}, …)"
        )
    order = [*encoder, net.prefix + family.pooler, net.prefix + family.embeddings]
    return {n: found[n] for n in order if n in found}


def _scores(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the scores by the name of their layer, without `.weight`. Raises BadInput for scores of other kinds."""
    scores = {}
    for name, values in tensors.items():
        if not name.endswith("mask_scores"):
            continue
        match = SCORES.fullmatch(name.removeprefix("module."))
        if not match or values.ndim != 2 or match[1] in scores:
            raise BadInput(
                f"{path}: {name} is {list(values.shape)}; read are scores of weights or blocks, [out / r, in / c], and "
                "no scores of rows and columns (1d) or of ampere's patterns"
            )
        scores[match[1]] = _finite(path, name, values)
    return scores


def _finite(path: Path, name: str, values: Tensor) -> Tensor:
    """Return the values. Raises BadInput for NaN and infinity, which a damaged file has."""
    if not torch.isfinite(values).all():
        raise BadInput(f"{path}: {name} contains NaN or infinity")
    return values


def _all(weight: Tensor) -> Tensor:
    """Return the mask of a dense matrix."""
    return torch.ones(weight.shape, dtype=torch.bool)


def _expanded(path: Path, own: str, blocks: Tensor, shape: torch.Size) -> Tensor:
    """Return the mask of a matrix from that of its blocks. Raises BadInput if the blocks do not fill the matrix."""
    rows, columns = (size / count for size, count in zip(shape, blocks.shape, strict=True))
    if rows % 1 or columns % 1:
        raise BadInput(f"{path}: {own}.mask_scores is {list(blocks.shape)}, which does not divide {list(shape)}")
    return blocks.repeat_interleave(int(rows), 0).repeat_interleave(int(columns), 1)


def _top_k(sparsity: Fraction) -> Cut:
    """Return topK's cut: it keeps int(v · n) of the n scores of a matrix. Of equal scores the earlier one stays."""
    remaining = float(1 - sparsity)
    return lambda scores: top(scores, int(remaining * scores.numel()))


def _above(threshold: float) -> Cut:
    """Return sigmoied_threshold's cut, σ(S) > τ, which keeps more than FLOOR of the scores of every matrix."""

    def cut(scores: Tensor) -> Tensor:
        mask, least = torch.sigmoid(scores) > threshold, int(FLOOR * scores.numel()) + 1
        return mask if int(mask.sum()) >= least else top(scores, least)

    return cut


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint's folder or file. Raises BadInput if it cannot be read."""
    with hub.explained(str(path), "a whole checkpoint", remote=False):
        if path.is_dir():
            place = Place(str(path), str(path), "main", setting="")
            if any(place.file(name) for name in (checkpoint.WEIGHTS, checkpoint.INDEX)):
                return checkpoint.read_tensors(place)
            if file := place.file(BIN):
                return read_dictionary(file)
            raise BadInput(f"{path}: has none of {checkpoint.WEIGHTS}, {checkpoint.INDEX} and {BIN}")
        if path.suffix == ".safetensors":
            place = Place(str(path), str(path.parent), "main", setting="")
            return checkpoint.read_files(place, [(path, set())])
    return read_dictionary(path)
