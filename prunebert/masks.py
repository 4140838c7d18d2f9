"""Masks: which weights stay. Pure functions from scores S to masks M, both dicts of parameter name -> tensor."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from prunebert.errors import BadInput, Diverged, bad_choice

Scores = dict[str, Tensor]  # real, same shape as the weight each ranks
Masks = dict[str, Tensor]  # bool: True = the weight stays. Float in the forward pass where a gradient flows to S


def top(scores: Tensor, count: int) -> Tensor:
    """Top_v(S): True at exactly `count` largest scores; among equal scores the earlier position stays.

    Any shape in, the same shape out (bool). Raises Diverged if the scores hold NaN.
    """
    flat = scores.detach().flatten()
    if flat.isnan().any():
        raise Diverged("the scores became NaN, so no mask can be ranked from them; lower the learning rate")
    if count <= 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    if count >= flat.numel():
        return torch.ones_like(scores, dtype=torch.bool)
    cut = _kth_largest(flat, count)
    mask = flat > cut
    missing = count - int(mask.sum())
    mask[torch.nonzero(flat == cut).flatten()[:missing]] = True
    return mask.view_as(scores)


def _kth_largest(flat: Tensor, k: int) -> Tensor:
    """The k-th largest of a flat tensor. On CPU by numpy's partition: a full sort costs about 50 times as much."""
    if flat.device.type == "cpu":
        values = (flat if flat.dtype in (torch.float32, torch.float64) else flat.float()).numpy()
        return torch.as_tensor(np.partition(values, values.size - k)[values.size - k])
    return torch.kthvalue(flat, flat.numel() - k + 1).values


def counts(sizes: dict[str, int], sparsity: dict[str, float]) -> dict[str, int]:
    """Weights to keep in each matrix: within 1 of n(1-s), and together exactly round(Σ n(1-s)).

    Largest remainders decide who gets the last ones, so the sparsity asked is the one measured to within one weight.
    """
    exact = {n: size - size * sparsity[n] for n, size in sizes.items()}
    kept = {n: int(x + 1e-6) for n, x in exact.items()}  # 1e-6: 10 * (1 - 0.9) must floor to 1
    short = round(sum(exact.values())) - sum(kept.values())
    by_remainder = sorted(exact, key=lambda n: (kept[n] - exact[n], n))
    for n in by_remainder[: max(short, 0)]:
        kept[n] += 1
    return kept


def keep_top(S: Scores, sparsity: float | dict[str, float], scope: str = "local") -> Masks:
    """M = Top_v(S), removing exactly the asked fraction.

    scope="local": the fraction (one for all, or one per matrix) is removed in every matrix.
    scope="global": one ranking over all matrices together.
    """
    if scope == "local":
        per_matrix = sparsity if isinstance(sparsity, dict) else dict.fromkeys(S, sparsity)
        kept = counts({n: s.numel() for n, s in S.items()}, per_matrix)
        return {n: top(s, kept[n]) for n, s in S.items()}
    if scope == "global":
        if isinstance(sparsity, dict):
            raise BadInput("scope=global: one ranking over all matrices has one sparsity, not one for each")
        flat = torch.cat([s.detach().flatten() for s in S.values()])
        mask = top(flat, round(flat.numel() - flat.numel() * sparsity))
        parts = mask.split([s.numel() for s in S.values()])
        return {n: part.view_as(s) for (n, s), part in zip(S.items(), parts, strict=True)}
    raise bad_choice("scope", scope, ["local", "global"])


def quantile(S: Scores, sparsity: float) -> float:
    """The largest score that is removed when the asked fraction of all scores together is; -inf if none is."""
    flat = torch.cat([s.detach().flatten() for s in S.values()])
    gone = flat.numel() - round(flat.numel() - flat.numel() * sparsity)  # as keep_top counts
    return float(_kth_largest(flat, flat.numel() - gone + 1)) if gone else -math.inf


def shift(S: Scores, amount: float) -> None:
    """S ← S - amount, in place, outside of any gradient."""
    with torch.no_grad():
        for s in S.values():
            s.sub_(amount)


class _StraightThrough(torch.autograd.Function):
    """Forward M exactly, backward the identity to S."""

    @staticmethod
    def forward(ctx, S, M):
        return M.to(S.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def straight_through(M: Masks, S: Scores) -> Masks:
    """M in the forward pass, bit for bit; dM/dS := 1 in the backward pass (Bengio et al. 2013)."""
    return {n: _StraightThrough.apply(s, M[n]) for n, s in S.items()}


def kept(masks: Masks) -> int:
    """How many weights stay, over all matrices."""
    return sum(int(torch.count_nonzero(m)) for m in masks.values())


def sparsity(masks: Masks) -> float:
    """Fraction removed of the weights that have a mask; 0 where there is none."""
    total = sum(m.numel() for m in masks.values())
    return 1 - kept(masks) / total if total else 0.0
