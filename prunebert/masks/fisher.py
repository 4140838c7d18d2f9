"""The inverse of the empirical Fisher matrix in diagonal blocks, updated by one gradient after another.

A block is B consecutive weights of a flattened matrix; the last one of a matrix may be smaller. For m gradients g of a
block (Kurtic et al., EMNLP 2022):

    F = λI + 1/m Σ g gᵀ
    F⁻¹ ← I/λ,   and for each g   F⁻¹ ← F⁻¹ - (F⁻¹g)(F⁻¹g)ᵀ / (m + gᵀF⁻¹g)             (Sherman-Morrison, Woodbury)

Here the root L of F⁻¹ = L Lᵀ is updated. It is the same update (Potter 1963, "square-root filtering"):

    L ← I/√λ,   and for each g   a = Lᵀg,   d = m + aᵀa,   L ← L - (La)aᵀ / (d + √(md))

F⁻¹ begins at 1/λ, 10⁷ by default, and may end below 1. In float32 the first form can lose all digits and its sign on
the way. L Lᵀ is never negative.

With B = 1 nothing is coupled, and F is a vector: F_i = λ + 1/m Σ g_i².
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from prunebert.errors import BadInput

Spans = dict[str, slice]  # a range of each flattened matrix, by name; it begins at a multiple of B
GIGA = 1e9  # bytes


def split(W: Mapping[str, Tensor], block: int, memory: float) -> list[Spans]:
    """Divide all weights into as few parts as possible whose blocks fit into the memory.

    Args:
        W: the matrices.
        block: B.
        memory: for the blocks of one part, in GB.

    Raises:
        BadInput: the memory is smaller than one block.
    """
    parts: list[Spans] = [{}]
    room = memory * GIGA
    for name, w in W.items():
        width, begin = min(block, w.numel()), 0
        size = width * width * w.element_size()  # of a block, in bytes
        if size > memory * GIGA:
            raise BadInput(
                f"method.memory={memory:g}: a block of method.block={block} weights takes {size / GIGA:.4g} GB; "
                "give at least that, or a smaller block"
            )
        while begin < w.numel():
            if room < size:
                parts.append({})
                room = memory * GIGA
            blocks = min(int(room // size), math.ceil((w.numel() - begin) / width))
            end = min(begin + blocks * width, w.numel())
            parts[-1][name] = slice(begin, end)
            begin, room = end, room - blocks * size
    return parts


class InverseFisher:
    """F⁻¹ of one part of the weights at a time: `start(spans)`, `see(gradients)` m times, then `diagonal` and `times`.

    Attributes:
        W: the matrices. They give sizes, type and place; their values are not read.
        block: B.
        damping: λ.
        count: m, the number of gradients.
    """

    def __init__(self, W: Mapping[str, Tensor], *, block: int, damping: float, count: int) -> None:
        self.W, self.block, self.damping, self.count = W, block, damping, count
        self.spans: Spans = {}
        self._blocks: dict[str, _Vector | _Roots] = {}

    def start(self, spans: Spans) -> None:
        """Forget the last part, and begin another one at F = λI."""
        self._blocks = {}  # frees its memory before the next part needs it
        self.spans = spans
        kind = _Vector if self.block == 1 else _Roots
        for name, span in spans.items():
            like = self.W[name]
            width = min(self.block, like.numel())
            self._blocks[name] = kind(like, span.stop - span.start, width, self.damping, self.count)

    def see(self, gradients: Mapping[str, Tensor]) -> None:
        """Add one gradient: by matrix, in the matrix's shape."""
        for name, span in self.spans.items():
            self._blocks[name].see(gradients[name].reshape(-1)[span])

    def diagonal(self) -> dict[str, Tensor]:
        """Return diag F⁻¹ of each span, flat."""
        return {name: blocks.diagonal() for name, blocks in self._blocks.items()}

    def times(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return F⁻¹x of each span, flat. x: by matrix, in the matrix's shape."""
        return {name: self._blocks[name].times(x[name].reshape(-1)[span]) for name, span in self.spans.items()}


class _Vector:
    """F of blocks of one weight."""

    def __init__(self, like: Tensor, size: int, width: int, damping: float, count: int) -> None:
        self.count = count
        self.F = like.new_full((size,), damping)

    def see(self, g: Tensor) -> None:
        self.F.addcmul_(g, g, value=1 / self.count)

    def diagonal(self) -> Tensor:
        return 1 / self.F

    def times(self, x: Tensor) -> Tensor:
        return x / self.F


class _Roots:
    """The roots L of some blocks, [blocks, B, B]. A smaller last block is filled up with weights without gradients."""

    def __init__(self, like: Tensor, size: int, width: int, damping: float, count: int) -> None:
        self.size, self.width, self.count = size, width, count
        root = torch.eye(width, dtype=like.dtype, device=like.device) / math.sqrt(damping)
        self.L = root.repeat(math.ceil(size / width), 1, 1)

    def see(self, g: Tensor) -> None:
        a = torch.bmm(self._rows(g), self.L)  # gᵀL = aᵀ, [blocks, 1, B]
        d = self.count + a.square().sum(-1, keepdim=True)
        La = torch.bmm(self.L, a.mT)
        self.L.baddbmm_(La, a / (d + (self.count * d).sqrt()), alpha=-1)

    def diagonal(self) -> Tensor:
        return torch.linalg.vector_norm(self.L, dim=-1).square().flatten()[: self.size]

    def times(self, x: Tensor) -> Tensor:
        rows = torch.bmm(torch.bmm(self._rows(x), self.L), self.L.mT)  # xᵀLLᵀ
        return rows.flatten()[: self.size]

    def _rows(self, x: Tensor) -> Tensor:
        """Return a flat tensor as [blocks, 1, B]."""
        return pad(x, (0, -self.size % self.width)).view(-1, 1, self.width)
