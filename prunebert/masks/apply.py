"""Straight through: masks M in the forward pass, while the gradient flows to the scores S they were made of."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.chunks import changed, pieces, room_for
from prunebert.masks.history import Moved
from prunebert.masks.top_v import Masks, Scores


def straight_through(M: Masks, S: Scores, slope: float | None = None) -> Through:
    """M in the forward pass, bit for bit; dM/dS := 1 in the backward pass (Bengio et al. 2013).

    With a slope t dM/dS := t σ(tS)(1 - σ(tS)).
    """
    return Through(M, S, slope)


class Through(Mapping[str, Tensor]):
    """`through[n]` is M of one matrix as numbers, of the scores' type; `through.times(n, W)` is W ⊙ M without them.
    hard: the M it was made of. scores: none where M are given. products: where W ⊙ M are kept from step to step, None
    if nowhere."""

    def __init__(self, hard: Masks, scores: Scores, slope: float | None, products: Products | None = None) -> None:
        self.hard, self.scores, self.slope, self.products = hard, scores, slope, products

    def __getitem__(self, name: str) -> Tensor:
        S, M = self.scores.get(name), self.hard[name]
        ones = torch.ones((), dtype=torch.float32 if S is None else S.dtype, device=M.device)
        masked: Tensor = _Times.apply(ones, S, M, self.slope, None)
        return masked

    def __iter__(self) -> Iterator[str]:
        return iter(self.hard)

    def __len__(self) -> int:
        return len(self.hard)

    def times(self, name: str, W: Tensor) -> Tensor:
        """W ⊙ M, with a gradient to S, and to W where W asks for one."""
        M = self.hard[name]
        known = None if self.products is None else self.products.times(name, W, M)
        masked: Tensor = _Times.apply(W, self.scores.get(name), M, self.slope, known)
        return masked


def keeping(masks: Masks, products: Products) -> Masks:
    """The same masks, whose products with W are kept; numbers, which may have a gradient of their own, as they are."""
    if isinstance(masks, Through):
        return Through(masks.hard, masks.scores, masks.slope, products)
    given = all(m.dtype == torch.bool for m in masks.values())
    return Through(masks, {}, None, products) if given else masks


def masked(masks: Masks, W: dict[str, Tensor], linear: Container[str] = ()) -> dict[str, Tensor]:
    """W ⊙ M of every mask, with the gradients they ask for: of Through to its scores, of masks of numbers to them.

    linear: names of those that nothing but a matrix product reads. On a GPU they are made in autocast's precision at
    once, which it would round them to in the next step, and all of them by one autograd function: there it counts how
    often the host has to say something.
    """
    M = masks.hard if isinstance(masks, Through) else masks
    if all(m.device.type == "cpu" for m in M.values()) or not all(m.dtype == torch.bool for m in M.values()):
        if isinstance(masks, Through):
            return {n: masks.times(n, W[n]) for n in masks}
        return {n: W[n] * m for n, m in masks.items()}
    low = low_precision(next(iter(M.values())).device)
    types = [low if low and n in linear else W[n].dtype for n in M]
    S, slope = ([masks.scores[n] for n in M if masks.scores], masks.slope) if isinstance(masks, Through) else ([], None)
    found: Any = _Together.apply(list(M.values()), types, slope, *(W[n] for n in M), *S)
    return dict(zip(M, found, strict=True))


def low_precision(device: torch.device) -> torch.dtype | None:
    """What autocast computes matrix products in on a GPU; None where there is none."""
    if device.type != "cuda" or not torch.is_autocast_enabled("cuda"):
        return None
    return torch.get_autocast_dtype("cuda")


class Products:
    """W ⊙ M, kept from one step to the next: that of frozen weights is made anew only where M has changed, that of
    others in the same memory, as fresh pages take longer than the product."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Tensor, Tensor, Tensor, int]] = {}  # W ⊙ M, M, W, and how often W was written to
        self.moved: Moved = {}  # what is known already of where M changed
        self.made: set[str] = set()  # in this step, of weights that are trained

    def step(self, moved: Moved) -> None:
        """A new one: weights that are trained may be others (a fused AdamW counts no version)."""
        self.moved, self.made = moved, set()

    def times(self, name: str, W: Tensor, M: Tensor) -> Tensor | None:
        """W ⊙ M, to be read until the next step. None for what it is not for: a mask of numbers, tensors that are not
        contiguous, a GPU, where finding what changed takes longer than the product and the host would wait."""
        if W.device.type != "cpu" or M.dtype != torch.bool or not (W.is_contiguous() and M.is_contiguous()):
            return None
        product, before, of, version = self.kept.get(name, (None, M, None, 0))
        trained = W.requires_grad and name not in self.made
        if product is None or of is not W or version != W._version or trained:
            product = torch.empty_like(W, requires_grad=False) if product is None or of is not W else product
            product.copy_(M).mul_(W.detach())
            self.made.add(name)
        elif before is not M:
            first, then, at = self.moved.get(name, (None, None, None))
            if at is None or first is not before or then is not M:
                at = changed(before, M)
            product.view(-1)[at] = M.view(-1)[at] * W.detach().view(-1)[at]
        self.kept[name] = product, M, W, W._version
        return product


class _Times(torch.autograd.Function):
    """W ⊙ M;  ∂L/∂S = ∂L/∂(W ⊙ M) ⊙ W · dM/dS,   ∂L/∂W = ∂L/∂(W ⊙ M) ⊙ M. Of full size it makes only the product, if
    that is not known, and the gradients."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, S: Tensor | None, M: Tensor, slope: float | None, known: Tensor | None) -> Tensor:
        ctx.slope = slope
        ctx.save_for_backward(W, S if slope is not None else None, M if ctx.needs_input_grad[0] else None)
        return M.to(W.dtype, copy=True).mul_(W) if known is None else known.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        W, S, M = ctx.saved_tensors
        to_S = None
        if ctx.needs_input_grad[1]:
            to_S = gradient * W if S is None else _sloped(gradient, W.expand_as(S), S, ctx.slope)
        return None if M is None else M.to(W.dtype, copy=True).mul_(gradient), to_S, None, None, None


class _Together(torch.autograd.Function):
    """_Times of many matrices: of the weights M, dtypes of the products, the slope, then all W, then all S or none."""

    @staticmethod
    def forward(
        ctx: Any, M: list[Tensor], types: list[torch.dtype], slope: float | None, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        W, S = tensors[: len(M)], tensors[len(M) :]
        ctx.slope, ctx.count = slope, len(M)
        ctx.set_materialize_grads(False)  # what nothing reads gets no gradient
        ctx.save_for_backward(*W, *(S if slope is not None else ()), *M)
        return tuple(
            torch.mul(w, m, out=torch.empty_like(w, dtype=dtype)) for w, m, dtype in zip(W, M, types, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        n, saved = ctx.count, ctx.saved_tensors
        W, S, M = saved[:n], saved[n:-n], saved[-n:]
        to_W: list[Tensor | None] = [None] * n
        to_S: list[Tensor | None] = [None] * (len(ctx.needs_input_grad) - 3 - n)
        for i, g in enumerate(gradients):
            if g is None:
                continue
            if ctx.needs_input_grad[3 + i]:
                to_W[i] = torch.mul(g, M[i], out=torch.empty_like(W[i]))
            if to_S:
                found = g * W[i]
                if S:
                    found = torch.ops.aten.sigmoid_backward(found, (ctx.slope * S[i]).sigmoid_()).mul_(ctx.slope)
                to_S[i] = found
        return None, None, None, *to_W, *to_S


def _sloped(gradient: Tensor, W: Tensor, S: Tensor, slope: float) -> Tensor:
    """gradient ⊙ W ⊙ t σ(tS)(1 - σ(tS)), piece by piece."""
    to_S = torch.empty_like(S)
    room = room_for(S), room_for(S)
    for found, g, w, s, y, z in pieces(to_S, gradient.contiguous(), W.contiguous(), S, room=room):
        torch.mul(s, slope, out=y).sigmoid_()
        y.mul_(torch.sub(1, y, out=z)).mul_(slope)
        torch.mul(g, w, out=found).mul_(y)
    return to_S
