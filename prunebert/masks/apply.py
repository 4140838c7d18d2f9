"""Apply masks: W ⊙ M in the forward pass, while the gradient flows straight through to the scores S behind M."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import torch
from torch import Tensor

from prunebert.masks.products import Products, Times
from prunebert.masks.products_cuda import all_products
from prunebert.masks.recomputed import RecomputedProducts
from prunebert.masks.top_v import Masks, Scores


def straight_through(M: Masks, S: Scores, slope: float | None = None) -> Through:
    """Use M in the forward pass, bit for bit, and dM/dS := 1 in the backward pass (Bengio et al. 2013).

    With a slope t it is dM/dS := t σ(tS)(1 - σ(tS)).
    """
    return Through(M, S, slope)


class Through(Mapping[str, Tensor]):
    """Masks with a gradient to their scores.

    `through[n]` is M of one matrix as numbers, in the scores' type. `through.times(n, W)` is W ⊙ M, computed without
    them.

    Attributes:
        hard: The masks M.
        scores: The scores that get the gradient; empty if none does.
        slope: t of `straight_through`, or None.
        products: Where W ⊙ M is kept from step to step, or None.
    """

    def __init__(self, hard: Masks, scores: Scores, slope: float | None, products: Products | None = None) -> None:
        self.hard, self.scores, self.slope, self.products = hard, scores, slope, products

    def __getitem__(self, name: str) -> Tensor:
        S, M = self.scores.get(name), self.hard[name]
        ones = torch.ones((), dtype=torch.float32 if S is None else S.dtype, device=M.device)
        numbers: Tensor = Times.apply(ones, S, M, self.slope, None)
        return numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.hard)

    def __len__(self) -> int:
        return len(self.hard)

    def times(self, name: str, W: Tensor) -> Tensor:
        """Return W ⊙ M, with a gradient to S, and to W if W requires one."""
        S, M = self.scores.get(name), self.hard[name]
        if self.products is not None:
            return self.products.times(name, W, S, M, self.slope)
        masked_W: Tensor = Times.apply(W, S, M, self.slope, None)
        return masked_W


def products_for(device: torch.device, *, recompute: bool = False) -> Products | None:
    """Return what computes W ⊙ M on this device; None on a GPU, which keeps none.

    Finding what changed takes longer there than multiplying, and the host would wait.

    Args:
        device: the device that the weights are on.
        recompute: do not keep the products of trained weights or scores for the backward pass.
    """
    if device.type != "cpu":
        return None
    return RecomputedProducts() if recompute else Products()


def keeping(masks: Masks, products: Products | None) -> Masks:
    """Return the same masks, with their products computed by `products`.

    Masks of numbers are returned as they are: they may carry a gradient of their own.
    """
    if products is None:
        return masks
    if isinstance(masks, Through):
        return Through(masks.hard, masks.scores, masks.slope, products)
    given = all(m.dtype == torch.bool for m in masks.values())
    return Through(masks, {}, None, products) if given else masks


def masked(masks: Masks, W: dict[str, Tensor], linear: Container[str] = ()) -> dict[str, Tensor]:
    """Return W ⊙ M of every mask, with a gradient to the scores of Through, or to masks of numbers.

    linear: names of the matrices that are read by matrix products alone. See products_cuda.all_products.
    """
    through = masks if isinstance(masks, Through) else Through(masks, {}, None)
    M = through.hard
    if any(m.device.type != "cpu" for m in M.values()) and all(m.dtype == torch.bool for m in M.values()):
        return all_products(M, through.scores, through.slope, W, linear)
    return {n: masks.times(n, W[n]) if isinstance(masks, Through) else W[n] * m for n, m in M.items()}
