"""What a method takes from its configuration to rank with, or from another run: masks, or an allocation."""

from __future__ import annotations

import logging
from typing import Literal

from torch import Tensor

from prunebert.errors import BadInput
from prunebert.masks import pattern as patterns
from prunebert.masks.allocation import erk
from prunebert.masks.ranking import UNIFORM, Ranking, Share, Strength, by_shape, by_strength, mean_scores, proportional
from prunebert.masks.shortest import shortest_sparsity
from prunebert.masks.top_v import Masks, count_kept, counts
from prunebert.network import zeros
from prunebert.network.models import require_same_weights
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import allocation_file, artifacts, reading, weights
from prunebert.settings import overlaps

log = logging.getLogger(__name__)
ALLOCATION = "method.allocation"  # begins messages


def masks_of(run: str, net: SubNetwork, prunable: str, sparsity: float, key: str = "method.masks") -> Masks:
    """Read the masks of a finished run, or of a mask file.

    Args:
        run: path of the run's directory or of the mask file.
        net: the masks must be made on its checkpoint.
        prunable: the prunable set that the masks must cover.
        sparsity: the sparsity that the masks must have, to within one weight.
        key: begins every message.

    Raises:
        BadInput: checkpoint, matrices or sparsity differ.
    """
    root = artifacts.resolve_pointer(reading.home(run))
    facts = {} if reading.is_file(root) else artifacts.result(root, f"{key}=")
    try:
        file = artifacts.masks(root)
    except BadInput as error:
        raise BadInput(f"{key}={run}: {error}; name a finished run or its masks.safetensors") from error
    require_same_weights(net.model, file.model, file.weights_hash, f"{key}={run}", facts.get("architecture"))
    matrices = net.prunable(prunable)
    if file.masks.keys() != matrices.keys():
        covered = f"prunable={facts['prunable']}" if facts else f"{len(file.masks)} matrices"
        hint = f"; set method.prunable={facts['prunable']}" if facts else ""
        raise BadInput(f"{key}={run}: its masks cover {covered}, this run asks for {prunable}{hint}")
    masks = {n: m.to(matrices[n].device) for n, m in file.masks.items()}
    size = sum(m.numel() for m in masks.values())
    removed = size - count_kept(masks)
    if abs(removed - size * sparsity) > 1:
        short = shortest_sparsity(removed, size)
        raise BadInput(f"{key}={run}: its sparsity is {removed / size:.10g}; ask for the same, sparsity={short:.10g}")
    log.info("masks of %s%s", root, f" (method {facts['method']}, task {facts['task']})" if facts else "")
    return masks


def upstream_of(run: str, net: SubNetwork, prunable: str, sparsity: float) -> tuple[dict[str, Tensor], Masks]:
    """Read the weights and the masks of a finished run on masked language modelling.

    If the run trained no weights, they are the checkpoint's.

    Args:
        run: path of the run's directory.
        net: the run must have had its checkpoint and tokenizer.
        prunable: the prunable set that the masks must cover.
        sparsity: the sparsity that the masks must have, to within one weight.

    Returns:
        Every weight of the encoder by full name, as SubNetwork.rewind takes it, and the masks.

    Raises:
        BadInput: the run is not finished or had another task, checkpoint, set of matrices or sparsity.
    """
    key = "method.upstream"
    facts = artifacts.result(artifacts.resolve_pointer(reading.home(run)), f"{key}=")
    if not (facts.get("form") or {}).get("masked_lm", facts["task"] == "mlm"):
        raise BadInput(
            f"{key}={run}: the run trained on {overlaps.trained_data(facts)}, not masked language modelling; "
            "give a finished run with task=mlm"
        )
    masks = masks_of(run, net, prunable, sparsity, key)
    return weights_of(run, net, key), masks


def weights_of(run: str, net: SubNetwork, key: str = "method.masks") -> dict[str, Tensor]:
    """Read the weights of a finished run. If the run trained no weights, they are the checkpoint's.

    Args:
        run: path of the run's directory.
        net: the run must have had its checkpoint and tokenizer.
        key: begins every message.

    Returns:
        Every weight of the encoder by full name, as SubNetwork.rewind takes it.

    Raises:
        BadInput: a file with masks alone, or a run that is not finished or had another checkpoint.
    """
    root = artifacts.resolve_pointer(reading.home(run))
    if reading.is_file(root):
        raise BadInput(f"{key}={run}: a mask file has no weights; name a finished run, or set method.start=pretrained")
    encoder = net.parameters_of()
    trained = {n: x for n, x in weights.read_trained(root, net, f"{key}=").items() if n in encoder}
    if not trained:
        log.info("%s=%s: the run trained no weights, so its masks are used on the pre-trained weights", key, run)
    return {n: trained[n].to(p.device) if n in trained else p.detach().clone() for n, p in encoder.items()}


def ranking(
    net: SubNetwork,
    prunable: str,
    allocation: str,
    pattern: str,
    sparsity: float,
    *,
    by: Literal["matrix", "layer"] = "matrix",
    strength: Strength = mean_scores,
) -> Ranking:
    """Return what ranks the scores of a method's prunable matrices.

    Args:
        net: its matrices are ranked. Weights that its checkpoint has removed never stay.
        prunable: the prunable set.
        allocation: how many weights each matrix keeps: a word of ALLOCATIONS, a run, or a file, as in
            method.allocation.
        pattern: the shape of the masks, as in method.pattern.
        sparsity: the sparsity at the end.
        by: with a run, what keeps as many weights as there.
        strength: R of each matrix, for allocation "score".

    Raises:
        BadInput: no such allocation or pattern, matrices that the pattern does not fit, or a sparsity that allocation,
            pattern and checkpoint cannot have together. The message has the numbers.
    """
    shape = patterns.parse(pattern)
    shapes = {n: tuple(W.shape) for n, W in net.prunable(prunable).items()}
    given = {n: M for n, M in net.given.items() if n in shapes}
    patterns.require_fits(shape, shapes, sparsity)
    if given and str(shape) != patterns.NONE:
        raise BadInput(f"method.pattern={shape}: cannot be combined with model.masks=zeros; leave one of both out")
    if isinstance(shape, patterns.Groups):
        return Ranking(_of_groups(shape, allocation), shape)
    if allocation == "global":
        return Ranking(None, shape, given)
    kinds: dict[str, list[str]] = {}
    for n in shapes:
        kinds.setdefault(net.place(n)[1], []).append(n)
    final = dict.fromkeys(shapes, sparsity)
    if allocation == "uniform":
        share = UNIFORM
    elif allocation == "erk":
        share, final = by_shape(shapes), erk(shapes, sparsity)
    elif allocation == "score":
        share = by_strength(list(kinds.values()), strength)
    else:
        final = _given(allocation, net, prunable, sparsity, by)
        share = proportional(final, sparsity)
    groups = list(kinds.values()) if allocation == "score" else [[n] for n in shapes]
    zeros.require_room(given, groups, final, allocation)
    return Ranking(share, shape, given)


def _of_groups(shape: patterns.Groups, allocation: str) -> Share | None:
    """Return the share of N:M, under which every matrix loses the same fraction."""
    if allocation == "global":
        return None
    if allocation not in ("uniform", "score"):
        raise BadInput(
            f"{ALLOCATION}={allocation}: method.pattern={shape} removes {shape.sparsity:.10g} of every matrix, so only "
            "uniform, score and global are possible"
        )
    if allocation == "score":
        log.info("method.pattern=%s: every matrix keeps the same share, so %s=score acts as uniform", shape, ALLOCATION)
    return UNIFORM


def _given(
    allocation: str, net: SubNetwork, prunable: str, sparsity: float, by: Literal["matrix", "layer"]
) -> dict[str, float]:
    """Return the sparsity of every matrix that a run or a file gives."""
    path = reading.home(allocation)
    if not allocation_file.is_one(path):
        return allocation_of(allocation, net, prunable, sparsity, by)
    sizes = {n: W.numel() for n, W in net.prunable(prunable).items()}
    found = allocation_file.read(path, list(sizes), net.place, ALLOCATION)
    size, removed = sum(sizes.values()), sum(found[n] * sizes[n] for n in sizes)
    if abs(removed - size * sparsity) > 1:
        raise BadInput(
            f"{ALLOCATION}={allocation}: its sparsities remove {removed / size:.10g} of all weights together, and "
            f"sparsity={sparsity:g}; ask for sparsity={removed / size:.10g}, or change the file"
        )
    return found


def allocation_of(
    run: str, net: SubNetwork, prunable: str, sparsity: float, by: Literal["matrix", "layer"]
) -> dict[str, float]:
    """Return the sparsity of every matrix in a finished run, by name.

    With by="layer" every matrix gets the sparsity of its whole layer, to within one weight. Arguments and errors are
    those of masks_of.
    """
    masks = masks_of(run, net, prunable, sparsity, key=ALLOCATION)
    groups: dict[str, list[str]] = {}
    for n in masks:
        layer = net.place(n)[0]
        groups.setdefault(n if by == "matrix" or layer < 0 else str(layer), []).append(n)
    allocation: dict[str, float] = {}
    for names in groups.values():
        sizes = {n: masks[n].numel() for n in names}
        removed_share = 1 - count_kept({n: masks[n] for n in names}) / sum(sizes.values())
        kept_counts = counts(sizes, dict.fromkeys(names, removed_share))  # they sum to exactly the layer's count
        allocation |= {n: 1 - kept_counts[n] / sizes[n] for n in names}
    return allocation
