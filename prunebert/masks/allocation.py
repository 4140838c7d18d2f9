"""Allocation: how many weights of each matrix stay.

`allocate` is SMP-S's Eq. 4, which shares the weights that stay among the layers of a kind by the strength of their
scores. `erk` shares them by the matrices' shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from prunebert.masks.selection import Counts
from prunebert.masks.top_v import counts


def allocate(R: dict[str, Tensor], kinds: list[list[str]], sizes: dict[str, int], v: float) -> Counts:
    """Return how many weights of each matrix stay, in the order of R: Eq. 4 for every kind, in whole weights.

    Args:
        R: Strength of each matrix, 0-d.
        kinds: The names of each kind's layers.
        sizes: Weights of each matrix, in the order of R.
        v: The fraction of all weights that stays.
    """
    if any(r.device.type != "cpu" for r in R.values()):
        return _counts_on_device(R, kinds, sizes, v)
    stay: dict[str, float] = {}
    for names in kinds:
        strength = torch.stack([R[n] for n in names]).tolist()
        stay |= dict(zip(names, layer_shares(strength, v), strict=True))
    return list(counts(sizes, {n: 1 - share for n, share in stay.items()}).values())


def layer_shares(strength: list[float], v: float, most: list[float] | None = None) -> list[float]:
    """Return v_l = L v R_l / Σ R for the L layers of one kind, capped at 1, with the excess given to the others.

    The mean of the result is exactly v. Every entry is within 0 and 1.

    Args:
        strength: R of each layer.
        v: The mean share.
        most: The largest share of each layer; 1 by default. Their mean must be at least v.
    """
    caps = most or [1.0] * len(strength)
    rest, capped = len(strength) * v, [False] * len(strength)
    while True:
        total = sum(r for r, c in zip(strength, capped, strict=True) if not c)
        equal = 1 / max(capped.count(False), 1)  # if the strengths of all uncapped layers underflow to 0
        shares = [
            cap if c else rest * (r / total if total else equal)
            for r, c, cap in zip(strength, capped, caps, strict=True)
        ]
        over = [x > cap and not c for x, c, cap in zip(shares, capped, caps, strict=True)]
        if not any(over):
            return shares
        capped = [c or o for c, o in zip(capped, over, strict=True)]
        rest = len(strength) * v - sum(cap for c, cap in zip(capped, caps, strict=True) if c)
        if all(capped):
            return caps


def erk(shapes: Mapping[str, tuple[int, ...]], sparsity: float) -> dict[str, float]:
    """Return the sparsity of every matrix under the Erdős–Rényi allocation (Mocanu et al. 2018; Evci et al. 2020).

    The density of an [out, in] matrix is ε (out + in)/(out · in), at most 1. ε is what makes the removed fraction of
    all weights `sparsity`. For matrices the ERK of RigL, which counts kernels too, is the same.
    """
    raw = {n: (out + inputs) / (out * inputs) for n, (out, inputs) in shapes.items()}
    sizes = {n: out * inputs for n, (out, inputs) in shapes.items()}
    dense: set[str] = set()
    while True:
        rest = sum(sizes.values()) * (1 - sparsity) - sum(sizes[n] for n in dense)
        total = sum(raw[n] * sizes[n] for n in raw if n not in dense)
        epsilon = rest / total if total else 0.0
        over = {n for n in raw if n not in dense and epsilon * raw[n] > 1}
        if not over:
            return {n: 0.0 if n in dense else 1 - epsilon * raw[n] for n in raw}
        dense |= over


def _counts_on_device(R: dict[str, Tensor], kinds: list[list[str]], sizes: dict[str, int], v: float) -> Tensor:
    """Compute `allocate` on the device of R, without waiting for it: [matrices].

    Of a kind's L layers the c strongest are capped, with the least c for which no other layer gets more than 1:
    v_l = (L v - c) R_l / Σ R of the others.
    """
    strength = torch.stack(list(R.values())).double()
    index, exists, alphabetic, size = _tables(
        tuple(R), tuple(map(tuple, kinds)), tuple(sizes.values()), strength.device
    )
    r, order = torch.where(exists, strength[index], -1.0).sort(dim=1, descending=True)
    r.clamp_min_(0)
    layers, c = exists.sum(1, keepdim=True), torch.arange(r.shape[1], device=r.device)
    total, rest = r.flip(1).cumsum(1).flip(1), layers * v - c  # of the layers that are not capped, by c
    equal = rest / (layers - c).clamp_min(1)  # if the strengths of all uncapped layers underflow to 0
    strongest = torch.where(total > 0, rest * r / total, equal)
    capped = (strongest <= 1).int().argmax(1, keepdim=True)
    total, rest, equal = (x.gather(1, capped) for x in (total, rest, equal))
    shares = torch.where(c < capped, 1.0, torch.where(total > 0, rest * r / total, equal).clamp_max(1.0))
    v_l = torch.zeros_like(strength).index_add_(
        0, index.gather(1, order).view(-1), torch.where(c < layers, shares, 0.0).view(-1)
    )
    exact = size - size * (1 - v_l)
    stay = (exact + 1e-6).floor()  # rounded as top_v.counts rounds
    by_remainder = alphabetic[(stay - exact)[alphabetic].argsort(stable=True)]
    one_more = torch.arange(len(size), device=size.device) < exact.sum().round() - stay.sum()
    return stay.index_add_(0, by_remainder, one_more.double()).long()


@lru_cache(8)
def _tables(
    names: tuple[str, ...], kinds: tuple[tuple[str, ...], ...], sizes: tuple[int, ...], device: torch.device
) -> tuple[Tensor, ...]:
    """Return constant tables on the device.

    The index in `names` of every kind's layers, and which layers exist: both [kinds, most layers]. The alphabetic order
    of the names, and the sizes: both [matrices].
    """
    deepest = max(map(len, kinds))
    index = [[names.index(k[i]) if i < len(k) else 0 for i in range(deepest)] for k in kinds]
    exists = [[i < len(k) for i in range(deepest)] for k in kinds]
    alphabetic = sorted(range(len(names)), key=names.__getitem__)
    return tuple(torch.tensor(x, device=device) for x in (index, exists, alphabetic, sizes))
