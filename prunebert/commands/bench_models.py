"""Compact: what of a sub-network's zeros stock PyTorch can use. Both functions change a stock model in place.

A head whose value or output has no weight left says the same whatever the text: nothing, or its value's bias, which
goes into the output's bias. So does a neuron of the feed-forward network without incoming or without outgoing weights:
nothing, or act(its bias). What comes out is the same but for rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunebert.network.models import Family


class CsrLinear(nn.Module):
    """A linear layer whose weight is a CSR matrix with 32-bit indices: the fastest that torch 2.13 has on a CPU.

    Its own nn.functional.linear takes CSR too, and was 3 to 30 times slower when tried.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, there = layer.weight.detach(), layer.weight.detach() != 0
        rows = torch.cat([torch.zeros(1, dtype=torch.int32), there.sum(1).cumsum(0).int().cpu()]).to(weight.device)
        columns = there.nonzero()[:, 1].int()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
            self.weight = torch.sparse_csr_tensor(rows, columns, weight[there], weight.shape, check_invariants=True)
        self.bias = layer.bias.detach()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """[…, out] of […, in]."""
        flat = x.reshape(-1, x.shape[-1]).T
        y = torch.addmm(self.bias.expand(-1, flat.shape[1]), self.weight, flat)
        return y.T.reshape(*x.shape[:-1], -1)

    @property
    def bytes(self) -> int:
        parts = (self.weight.crow_indices(), self.weight.col_indices(), self.weight.values(), self.bias)
        return sum(part.numel() * part.element_size() for part in parts)


def to_csr(model: nn.Module, names: list[str]) -> int:
    """Make a CsrLinear of every linear layer whose weight is named and holds a zero; returns of how many."""
    count = 0
    for name in names:
        path = name.removesuffix(".weight")
        layer = model.get_submodule(path) if path in dict(model.named_modules()) else None
        if isinstance(layer, nn.Linear) and not layer.weight.all():
            _put(model, path, CsrLinear(layer))
            count += 1
    return count


@dataclass(frozen=True)
class Removed:
    """How many heads and neurons were taken out, of how many."""

    heads: int
    of_heads: int
    neurons: int
    of_neurons: int


def remove_dead(model: nn.Module, family: Family, heads: int, activation: Callable[[Tensor], Tensor]) -> Removed:
    """Take out heads and feed-forward neurons that say nothing; one of each stays in every layer. heads: of a layer."""
    layers: dict[int, dict[str, nn.Linear]] = {}
    for name, module in model.named_modules():
        place = family.place(f"{name.removeprefix(family.prefix + '.')}.weight")
        if place and isinstance(module, nn.Linear):
            layers.setdefault(place[0], {})[place[1]] = module
    gone = [0, 0, 0, 0]
    for layer in layers.values():
        found = (*_remove_heads(layer, heads), *_remove_neurons(layer, activation))
        gone = [a + b for a, b in zip(gone, found, strict=True)]
    return Removed(*gone)


@torch.no_grad()
def _remove_heads(layer: dict[str, nn.Linear], heads: int) -> tuple[int, int]:
    value, output = layer["value"], layer["attention-output"]
    speaks = value.weight.unflatten(0, (heads, -1)).flatten(1).any(1)
    heard = output.weight.unflatten(1, (heads, -1)).transpose(0, 1).flatten(1).any(1)
    keep = _at_least_one(speaks & heard)
    silent = (~keep & ~speaks).repeat_interleave(len(value.bias) // heads)  # its attention's weights add up to 1
    output.bias.add_(output.weight[:, silent] @ value.bias[silent])
    rows = keep.repeat_interleave(len(value.bias) // heads)
    for kind in ("query", "key", "value"):
        _cut(layer[kind], rows, 0)
    _cut(output, rows, 1)
    return int((~keep).sum()), heads


@torch.no_grad()
def _remove_neurons(layer: dict[str, nn.Linear], activation: Callable[[Tensor], Tensor]) -> tuple[int, int]:
    inner, output = layer["intermediate"], layer["output"]
    fed, heard = inner.weight.any(1), output.weight.any(0)
    keep = _at_least_one(fed & heard)
    constant = ~keep & ~fed
    output.bias.add_(output.weight[:, constant] @ activation(inner.bias[constant]))
    _cut(inner, keep, 0)
    _cut(output, keep, 1)
    return int((~keep).sum()), len(keep)


def _at_least_one(keep: Tensor) -> Tensor:
    """A layer without any would need other code than the stock class has."""
    return keep if keep.any() else torch.arange(len(keep), device=keep.device) == 0


def _cut(layer: nn.Linear, keep: Tensor, side: int) -> None:
    """Only these outputs (side 0) or inputs (side 1) of a linear layer."""
    layer.weight = nn.Parameter(layer.weight[keep] if side == 0 else layer.weight[:, keep].contiguous())
    if side == 0:
        layer.bias = nn.Parameter(layer.bias[keep])
    layer.out_features, layer.in_features = layer.weight.shape


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def size(model: nn.Module) -> int:
    """Bytes of its weights, each counted once."""
    csr = sum(m.bytes for m in model.modules() if isinstance(m, CsrLinear))
    return csr + sum(p.numel() * p.element_size() for p in model.parameters())
