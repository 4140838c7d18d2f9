"""W ⊙ M of one matrix with a gradient to its scores, and the products that a CPU keeps from step to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.chunks import changed, pieces, room_for
from prunebert.masks.top_v import Masks


class Products:
    """W ⊙ M on the CPU.

    For frozen weights the product is kept from one step to the next, and updated only where M has changed. For trained
    weights it is computed anew at every step, into the same buffer, because allocating is slower than multiplying.
    """

    def __init__(self) -> None:
        self._products: dict[str, tuple[Tensor, Tensor, Tensor, int]] = {}  # W ⊙ M, M, W, and the version of W
        self._computed: set[str] = set()  # in this step, of trained weights

    def step(self, masks: Masks) -> None:
        """Start a step under these masks.

        Trained weights may have changed; their version does not show it under a fused AdamW.
        """
        self._computed = set()

    def times(self, name: str, W: Tensor, S: Tensor | None, M: Tensor, slope: float | None) -> Tensor:
        """Return W ⊙ M, valid until the next step, with the gradients of `Times`."""
        masked_W: Tensor = Times.apply(W, S, M, slope, self.kept(name, W, M))
        return masked_W

    def kept(self, name: str, W: Tensor, M: Tensor) -> Tensor | None:
        """Return W ⊙ M. None for masks of numbers, and for tensors not contiguous."""
        if not fits(W, M):
            return None
        product, last_M, last_W, version = self._products.get(name, (None, M, None, 0))
        trained = W.requires_grad and name not in self._computed
        if product is None or last_W is not W or version != W._version or trained:
            product = torch.empty_like(W, requires_grad=False) if product is None or last_W is not W else product
            product.copy_(M).mul_(W.detach())
            self._computed.add(name)
        elif last_M is not M:
            positions = changed(last_M, M)
            product.view(-1)[positions] = M.view(-1)[positions] * W.detach().view(-1)[positions]
        self._products[name] = product, M, W, W._version
        return product


def fits(W: Tensor, M: Tensor) -> bool:
    """Return whether W ⊙ M can be computed in a buffer: for bool masks and contiguous tensors."""
    return M.dtype == torch.bool and W.is_contiguous() and M.is_contiguous()


class Times(torch.autograd.Function):
    """W ⊙ M;  ∂L/∂S = ∂L/∂(W ⊙ M) ⊙ W · dM/dS,   ∂L/∂W = ∂L/∂(W ⊙ M) ⊙ M.

    The only full-size tensors allocated are the gradients and, if it is not given, the product.
    """

    @staticmethod
    def forward(
        ctx: Any,
        W: Tensor,
        S: Tensor | None,
        M: Tensor,
        slope: float | None,
        product: Tensor | None,
        numbers: Callable[[Tensor], Tensor] | None = None,
        other_readers: Sequence[str] = (),
    ) -> Tensor:
        """Return the product.

        Args:
            W, S, M, slope, product: see `Through.times`. product: W ⊙ M, if it is known.
            numbers: gives M as numbers, for the moment, in memory of its own. If it is given, the gradient's memory
                becomes that of S or W.
            other_readers: not empty in the backward pass if the product's gradient may be another tensor's too.
        """
        ctx.slope, ctx.numbers, ctx.other_readers = slope, numbers, other_readers
        ctx.save_for_backward(W, S if slope is not None else None, M if ctx.needs_input_grad[0] else None)
        return M.to(W.dtype, copy=True).mul_(W) if product is None else product.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        W, S, M = ctx.saved_tensors
        is_ours = ctx.numbers is not None and not ctx.other_readers
        to_W = to_S = None
        if ctx.needs_input_grad[1]:
            if S is not None:
                to_S = _sloped(gradient, W.expand_as(S), S, ctx.slope)
            else:
                to_S = gradient.mul_(W) if is_ours and M is None else gradient * W
        if M is not None:
            to_W = gradient.mul_(ctx.numbers(M)) if is_ours else M.to(W.dtype, copy=True).mul_(gradient)
        return to_W, to_S, None, None, None, None, None


def _sloped(gradient: Tensor, W: Tensor, S: Tensor, slope: float) -> Tensor:
    """Return gradient ⊙ W ⊙ t σ(tS)(1 - σ(tS)), piece by piece."""
    to_S = torch.empty_like(S)
    room = room_for(S), room_for(S)
    for out, g, w, s, y, z in pieces(to_S, gradient.contiguous(), W.contiguous(), S, room=room):
        torch.mul(s, slope, out=y).sigmoid_()
        y.mul_(torch.sub(1, y, out=z)).mul_(slope)
        torch.mul(g, w, out=out).mul_(y)
    return to_S
