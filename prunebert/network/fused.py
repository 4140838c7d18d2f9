"""Matrices whose row ranges are kinds of their own, such as ModernBERT's Wqkv: queries, keys and values in thirds.

After loading, each range is a parameter of its own, named after the stock matrix and the range:
`attn.Wqkv.weight` becomes `attn.Wqkv.query.weight`, `attn.Wqkv.key.weight` and `attn.Wqkv.value.weight`. A mask, a
score and a statistic of a kind therefore need no row numbers. The layer computes x ↦ x [W_query; W_key; W_value]ᵀ with
one product, as the stock one does, so that its outputs are the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from prunebert.errors import BadInput

if TYPE_CHECKING:
    from prunebert.network.family import Family


class RowRanges(nn.Module):
    """A linear layer whose weight is several matrices below each other. Each is the weight of a child."""

    def __init__(self, stock: nn.Linear, names: tuple[str, ...]) -> None:
        """Split a stock layer's rows.

        Args:
            stock: the layer; its rows are shared, not copied.
            names: of the ranges in order, which are of equal height.
        """
        super().__init__()
        biases = [None] * len(names) if stock.bias is None else stock.bias.detach().chunk(len(names))
        for name, rows, bias in zip(names, stock.weight.detach().chunk(len(names)), biases, strict=True):
            part = nn.Linear(stock.in_features, len(rows), bias=bias is not None, device="meta")
            part.weight = nn.Parameter(rows.clone())
            if bias is not None:
                part.bias = nn.Parameter(bias.clone())
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        """Map […, in] to […, out]: the ranges' outputs beside each other."""
        parts: list[Any] = [*self.children()]
        weight = torch.cat([part.weight for part in parts])
        bias = None if parts[0].bias is None else torch.cat([part.bias for part in parts])
        return linear(x, weight, bias)


def split(encoder: nn.Module, family: Family) -> nn.Module:
    """Replace every fused layer of an encoder by RowRanges, in place. Returns the encoder."""
    for path, module in list(encoder.named_modules()):
        suffix = next((s for s in family.fused if path.endswith(f".{s}")), None)
        if suffix and isinstance(module, nn.Linear):
            encoder.set_submodule(path, RowRanges(module, family.fused[suffix]))
    return encoder


def joined(tensors: Mapping[str, Tensor], family: Family) -> dict[str, Tensor]:
    """Return tensors by the stock classes' names: the row ranges of a fused matrix are one tensor again.

    Args:
        tensors: weights, masks or scores by name, with or without the family's prefix. Of a matrix they must hold every
            range or none.
        family: names the ranges.
    """
    found: dict[str, Tensor] = {}
    for name in tensors:
        ranges = ranges_of(name, family)
        if name == ranges[0]:
            stock = stock_name(name, family)
            found[stock] = tensors[name] if len(ranges) == 1 else torch.cat([tensors[n] for n in ranges])
    return found


def parted(tensors: Mapping[str, Tensor], family: Family, where: str) -> dict[str, Tensor]:
    """Return tensors by the encoder's names: the inverse of `joined`.

    Raises BadInput, beginning with `where`, for a matrix whose rows are not equal parts.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, last = name.rpartition(".")
        names = next((parts for suffix, parts in family.fused.items() if stem.endswith(f".{suffix}")), None)
        if names is None:
            found[name] = tensor
        else:
            pieces = equal_parts(name, tensor, len(names), where)
            found |= {f"{stem}.{part}.{last}": piece for part, piece in zip(names, pieces, strict=True)}
    return found


def equal_parts(name: str, tensor: Tensor, count: int, where: str) -> tuple[Tensor, ...]:
    """Return `count` row ranges of equal height. Raises BadInput, beginning with `where`, if there are none."""
    if count == 1:
        return (tensor,)
    if not tensor.ndim or not len(tensor) or len(tensor) % count:
        raise BadInput(
            f"{where}: {name} is {list(tensor.shape)} in the weights, which are not {count} equal row ranges"
        )
    return tensor.chunk(count)


def ranges_of(name: str, family: Family) -> list[str]:
    """Return the names of all row ranges of the matrix that `name` is a part of; [name] if it is not fused."""
    stem, _, last = name.rpartition(".")
    for suffix, parts in family.fused.items():
        if stem.rpartition(".")[0].endswith(f".{suffix}"):
            return [f"{stem.rpartition('.')[0]}.{part}.{last}" for part in parts]
    return [name]


def stock_name(name: str, family: Family) -> str:
    """Return the name that the stock class has for a parameter, or for the matrix that it is a part of."""
    if len(ranges_of(name, family)) == 1:
        return name
    stem, _, last = name.rpartition(".")
    return f"{stem.rpartition('.')[0]}.{last}"
