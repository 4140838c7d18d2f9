"""W ⊙ M of all matrices on a GPU, in one autograd function: there kernel-launch overhead dominates."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.top_v import Masks, Scores


def all_products(
    M: Masks, S: Scores, slope: float | None, W: dict[str, Tensor], linear: Container[str]
) -> dict[str, Tensor]:
    """Return W ⊙ M of every matrix. S: the scores that get a gradient, one for each mask or none.

    Under autocast those named in `linear` are computed in its precision at once; autocast would round them to it later.
    """
    low = low_precision(next(iter(M.values())).device)
    dtypes = [low if low and n in linear else W[n].dtype for n in M]
    products: Any = _Together.apply(list(M.values()), dtypes, slope, *(W[n] for n in M), *(S[n] for n in M if S))
    return dict(zip(M, products, strict=True))


def low_precision(device: torch.device) -> torch.dtype | None:
    """Return what autocast computes matrix products in on a GPU; None if nothing is rounded."""
    if device.type != "cuda" or not torch.is_autocast_enabled("cuda"):
        return None
    return torch.get_autocast_dtype("cuda")


class _Together(torch.autograd.Function):
    """products.Times of many matrices. Takes M, the products' dtypes, the slope, then all W, then all S or none."""

    @staticmethod
    def forward(
        ctx: Any, M: list[Tensor], dtypes: list[torch.dtype], slope: float | None, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        W, S = tensors[: len(M)], tensors[len(M) :]
        ctx.slope, ctx.count = slope, len(M)
        ctx.set_materialize_grads(False)  # a product that nothing reads gets no gradient
        ctx.save_for_backward(*W, *(S if slope is not None else ()), *M)
        return tuple(
            torch.mul(w, m, out=torch.empty_like(w, dtype=dtype)) for w, m, dtype in zip(W, M, dtypes, strict=True)
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
                to_M = g * W[i]
                if S:
                    to_M = torch.ops.aten.sigmoid_backward(to_M, (ctx.slope * S[i]).sigmoid_()).mul_(ctx.slope)
                to_S[i] = to_M
        return None, None, None, *to_W, *to_S
