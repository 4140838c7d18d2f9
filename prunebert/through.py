"""Straight through: masks M in the forward pass, while the gradient flows to the scores S they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from prunebert.masks import Masks, Scores


def straight_through(M: Masks, S: Scores, slope: float | None = None) -> Through:
    """M in the forward pass, bit for bit; dM/dS := 1 in the backward pass (Bengio et al. 2013).

    With a slope t dM/dS := t σ(tS)(1 - σ(tS)).
    """
    return Through(M, S, slope)


class Through(Mapping[str, Tensor]):
    """`through[n]` is M of one matrix as numbers, of the scores' type; `through.times(n, W)` is W ⊙ M without them.
    hard: the M it was made of."""

    def __init__(self, hard: Masks, scores: Scores, slope: float | None) -> None:
        self.hard, self.scores, self.slope = hard, scores, slope

    def __getitem__(self, name: str) -> Tensor:
        ones = torch.ones((), dtype=self.scores[name].dtype, device=self.scores[name].device)
        masked: Tensor = _Times.apply(ones, self.scores[name], self.hard[name], self.slope)
        return masked

    def __iter__(self) -> Iterator[str]:
        return iter(self.hard)

    def __len__(self) -> int:
        return len(self.hard)

    def times(self, name: str, W: Tensor) -> Tensor:
        """W ⊙ M, with a gradient to S, and to W where W asks for one."""
        masked: Tensor = _Times.apply(W, self.scores[name], self.hard[name], self.slope)
        return masked


class _Times(torch.autograd.Function):
    """W ⊙ M;  ∂L/∂S = ∂L/∂(W ⊙ M) ⊙ W · dM/dS,   ∂L/∂W = ∂L/∂(W ⊙ M) ⊙ M. Of full size it makes only the product."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, S: Tensor, M: Tensor, slope: float | None) -> Tensor:
        ctx.slope = slope
        ctx.save_for_backward(W, S if slope is not None else None, M if ctx.needs_input_grad[0] else None)
        return M.to(W.dtype, copy=True).mul_(W)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        W, S, M = ctx.saved_tensors
        to_S = gradient * W
        if S is not None:
            to_S = torch.ops.aten.sigmoid_backward(to_S, (ctx.slope * S).sigmoid_()).mul_(ctx.slope)
        return None if M is None else M.to(W.dtype, copy=True).mul_(gradient), to_S, None, None
