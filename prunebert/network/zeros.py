"""The zeros of a sparse checkpoint as masks (`model.masks=zeros`), which every phase of a run keeps.

Prune-OFA, oBERT and PruneBERT are published as checkpoints whose removed weights are exactly zero. A checkpoint does
not say which of its zeros were removed and which are zero by chance. So every exact zero counts as removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunebert.errors import BadInput
from prunebert.masks.apply import Through
from prunebert.masks.top_v import Masks, count_kept
from prunebert.network.family import Family

if TYPE_CHECKING:
    from prunebert.network.subnetwork import SubNetwork

log = logging.getLogger(__name__)
KEY = "model.masks=zeros"


def given(encoder: nn.Module, family: Family, fresh: tuple[str, ...], name: str) -> dict[str, Tensor]:
    """Return the masks 1[W ≠ 0] of a checkpoint, and log the sparsity that they have.

    Covered are the encoder's matrices and the pooler that hold at least one zero. The word embeddings are covered only
    if some zero lies outside of rows that are zero altogether, as that of [PAD] often is.

    Args:
        encoder: with the checkpoint's weights.
        family: the names of its tensors.
        fresh: the parameters that the checkpoint lacks.
        name: model.name, for the message.

    Returns:
        bool masks by the encoder's own names, each of its matrix's shape.

    Raises BadInput if there is no zero.
    """
    matrices = {
        n: p.detach()
        for n, p in encoder.named_parameters()
        if family.place(n) or (n in (family.pooler, family.embeddings) and n not in fresh)
    }
    masks = {n: M for n, M in covered(matrices, family).items() if not M.all()}
    if not masks:
        sizes = [W.numel() for n, W in matrices.items() if n != family.embeddings]
        raise BadInput(
            f"model.name={name} {KEY}: none of the {sum(sizes):,} weights in the {len(sizes)} matrices of its encoder "
            "and pooler is zero, so the checkpoint is dense; leave model.masks out"
        )
    log.info("%s: %s", KEY, _summary(masks, matrices, family))
    return masks


def covered(matrices: Mapping[str, Tensor], family: Family) -> dict[str, Tensor]:
    """Return 1[W ≠ 0] of each matrix. Word embeddings whose zeros are whole rows get no mask.

    matrices: by the encoder's own names.
    """
    masks = {n: W != 0 for n, W in matrices.items()}
    words = masks.get(family.embeddings)
    if words is not None and bool((words.all(1) | ~words.any(1)).all()):
        del masks[family.embeddings]
    return masks


def _summary(masks: Masks, matrices: Mapping[str, Tensor], family: Family) -> str:
    """Say how many weights are zero: of the encoder, of the pooler and of the word embeddings."""
    names = [n for n in matrices if family.place(n)]
    shares = {n: 1 - count_kept({n: masks[n]}) / masks[n].numel() if n in masks else 0.0 for n in matrices}
    size = sum(matrices[n].numel() for n in names)
    zero = sum(shares[n] * matrices[n].numel() for n in names)
    sparse = sum(n in masks for n in names)
    text = f"{zero / size:.2%} of the encoder's weights are zero, in {sparse} of {len(names)} matrices"
    low, high = min(names, key=shares.__getitem__), max(names, key=shares.__getitem__)
    if f"{shares[low]:.2%}" != f"{shares[high]:.2%}":
        text += f", from {shares[low]:.2%} ({low}) to {shares[high]:.2%} ({high})"
    others = {"pooler's": family.pooler, "word embeddings'": family.embeddings}
    text += "".join(f"; {shares[n]:.2%} of the {label}" for label, n in others.items() if n in masks)
    return f"{text}; they stay removed"


def completed(masks: Masks, given: Masks) -> Masks:
    """Return the masks of a phase, with the given masks of those matrices that the phase leaves dense."""
    rest = {n: M for n, M in given.items() if n not in masks}
    if not rest:
        return masks
    if isinstance(masks, Through):
        return Through(rest | dict(masks.hard), masks.scores, masks.slope, masks.products)
    return rest | dict(masks)


def require_kept(masks: Masks, given: Masks) -> None:
    """Raise BadInput if masks (bool, or gates ≥ 0) keep a weight that the given masks removed."""
    returned = {n: int(torch.count_nonzero(masks[n].detach().bool() & ~M)) for n, M in given.items()}
    if count := sum(returned.values()):
        worst = max(returned, key=returned.__getitem__)
        removed = given[worst].numel() - count_kept({worst: given[worst]})
        raise BadInput(
            f"{KEY}: the method brings back {count:,} weights that the checkpoint has removed, {returned[worst]:,} of "
            f"them among the {removed:,} removed ones of {worst}; with these settings it cannot keep the "
            "checkpoint's masks, as method=dense does"
        )


def sparsity(net: SubNetwork, prunable: str = "encoder") -> float:
    """Return the fraction of a prunable set that the checkpoint has removed; 0 without given masks.

    It is the shortest decimal that is right to within one weight: 0.9 where a rounded 90 % was removed.
    """
    removed, size = _removed(net, prunable)
    return next(x for x in _roundings(removed / size) if abs(removed - size * x) <= 1)


def require_reachable(net: SubNetwork, prunable: str, asked: float) -> None:
    """Raise BadInput if a run asks for fewer removed weights than the checkpoint has already.

    Args:
        net: with its given masks.
        prunable: the prunable set that `asked` is a fraction of.
        asked: the sparsity that the run asks for.
    """
    removed, size = _removed(net, prunable)
    if removed > asked * size + 1:
        raise BadInput(
            f"sparsity={asked:.10g}: {KEY} has removed {removed:,} of the {size:,} weights of prunable={prunable} "
            f"already; ask for at least sparsity={sparsity(net, prunable):.10g}, or use method=dense"
        )


def require_room(given: Masks, groups: list[list[str]], final: Mapping[str, float], allocation: str) -> None:
    """Raise BadInput if the checkpoint has removed more of some matrices than an allocation removes.

    Args:
        given: the checkpoint's masks.
        groups: the names of the matrices that share what stays.
        final: the sparsity of each matrix at the end.
        allocation: as in method.allocation.
    """
    for names in groups:
        removed = sum(given[n].numel() - count_kept({n: given[n]}) for n in names if n in given)
        allowed = sum(given[n].numel() * final[n] for n in names if n in given)
        if removed > allowed + len(names):
            place = names[0] if len(names) == 1 else f"the {len(names)} matrices with {names[0]}"
            raise BadInput(
                f"method.allocation={allocation}: {KEY} has removed {removed:,} weights of {place} already, and the "
                f"allocation removes {allowed:,.0f}; use method.allocation=global, or a higher sparsity"
            )


def _removed(net: SubNetwork, prunable: str) -> tuple[int, int]:
    """Return how many weights of a prunable set the checkpoint has removed, and how many the set has."""
    matrices = net.prunable(prunable)
    masks = {n: M for n, M in net.given.items() if n in matrices}
    removed = sum(M.numel() for M in masks.values()) - count_kept(masks)
    return removed, sum(W.numel() for W in matrices.values())


def _roundings(fraction: float) -> Iterator[float]:
    """Yield the fraction with ever more decimals."""
    yield from (round(fraction, digits) for digits in range(2, 11))
    yield fraction
