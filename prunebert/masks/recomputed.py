"""W ⊙ M that is computed where a layer reads it, and again in the backward pass, in place of being kept.

Kept for the backward pass, the products of all matrices need as much memory as the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import linear
from torch.utils._pytree import tree_map_only

from prunebert.masks.products import Products, Times, fits
from prunebert.masks.top_v import Masks

FACTS = {getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim")}


KEPT = 2**24  # weights whose products are kept, 64 MiB: a small network's steps would be up to a tenth longer


class RecomputedProducts(Products):
    """W ⊙ M of trained weights or scores is computed whenever a layer reads it, if the network is large.

    Products of frozen weights under fixed masks are kept, and so are those of a small network. A layer reads a product
    at once and keeps nothing of it, so all matrices share a buffer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_large = True
        self._buffers: dict[torch.dtype, Tensor] = {}  # each as large as the largest matrix so far

    def step(self, masks: Masks) -> None:
        """See Products."""
        super().step(masks)
        self._is_large = sum(m.numel() for m in masks.values()) > KEPT

    def times(self, name: str, W: Tensor, S: Tensor | None, M: Tensor, slope: float | None) -> Tensor:
        """Return W ⊙ M, valid until the next step, with the gradients of `Times`."""
        if self._is_large and fits(W, M) and (W.requires_grad or S is not None):
            return Recomputed(W, S, M, slope, self)
        return super().times(name, W, S, M, slope)

    def numbers(self, M: Tensor, dtype: torch.dtype) -> Tensor:
        """Return M as numbers, valid until the buffer's next use."""
        buffer = self._buffers.get(dtype)
        if buffer is None or buffer.numel() < M.numel():
            buffer = self._buffers[dtype] = torch.empty(M.numel(), dtype=dtype)
        return buffer[: M.numel()].view(M.shape).copy_(M)

    def in_buffer(self, W: Tensor, M: Tensor) -> Tensor:
        """Return W ⊙ M, valid until the buffer's next use."""
        return self.numbers(M, W.dtype).mul_(W)


class Recomputed(Tensor):
    """W ⊙ M of one matrix, without memory of its own. Functions of torch take it as they take its values.

    `torch.nn.functional.linear` gets the values in a buffer, and keeps nothing of them for its backward pass. Every
    other function gets them in memory of their own.
    """

    @staticmethod
    def __new__(cls, W: Tensor, *arguments: Any) -> Recomputed:
        """Make a tensor that has the shape and type of W, and no values."""
        tensor: Recomputed = Tensor._make_wrapper_subclass(cls, W.shape, dtype=W.dtype, device=W.device)
        return tensor

    def __init__(
        self, W: Tensor, S: Tensor | None, M: Tensor, slope: float | None, products: RecomputedProducts
    ) -> None:
        """See `Times`. products: has the buffers."""
        self._W, self._M, self._products = W.detach(), M, products
        self._other_readers: list[str] = []
        # one number, expanded to the matrix: only its gradient is used
        placeholder, numbers = W.new_empty(1).expand(W.shape), partial(products.numbers, dtype=W.dtype)
        self._product: Tensor = Times.apply(W, S, M, slope, placeholder, numbers, self._other_readers)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch with the values of every Recomputed among its arguments."""
        with torch._C.DisableTorchFunctionSubclass():
            if func is linear and not kwargs and isinstance(args[1], cls) and not isinstance(args[0], cls):
                return args[1]._layer(args[0], *args[2:])
            if func not in FACTS:
                args, kwargs = tree_map_only(cls, lambda product: product._computed(str(func)), (args, kwargs))
            return func(*args, **kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Raise RuntimeError: this has no values of its own."""
        raise RuntimeError(f"{func} was called with a product that is not computed")

    def _computed(self, reader: str) -> Tensor:
        """Return W ⊙ M in memory of its own, with its gradient."""
        self._other_readers.append(reader)
        values: Tensor = _Filled.apply(self._product, self._M.to(self._W.dtype, copy=True).mul_(self._W))
        return values

    def _layer(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return x (W ⊙ M)ᵀ + b."""
        low = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else self._W.dtype
        weight: Tensor = _Filled.apply(self._product, self._products.in_buffer(self._W, self._M)).to(low)
        start = weight.untyped_storage().data_ptr()

        def pack(saved: Tensor) -> Any:
            is_weight = saved.untyped_storage().data_ptr() == start
            return (saved.size(), saved.stride(), saved.storage_offset()) if is_weight else saved

        def unpack(packed: Any) -> Tensor:
            if isinstance(packed, Tensor):
                return packed
            return self._products.in_buffer(self._W, self._M).to(low).as_strided(*packed)

        with saved_tensors_hooks(pack, unpack):
            return linear(x, weight, bias)


class _Filled(torch.autograd.Function):
    """The values of a product, with the gradient of the product."""

    @staticmethod
    def forward(ctx: Any, product: Tensor, values: Tensor) -> Tensor:
        """Return the values."""
        return values.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient as it is."""
        return gradients[0], None
