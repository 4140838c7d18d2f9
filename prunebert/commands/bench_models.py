"""Make a sub-network smaller in the ways that stock PyTorch supports. Both functions change a stock model in place.

A head without remaining weights in its value or output contributes the same to every text. That is nothing, or its
value's bias through the output matrix, which is added to the output's bias. A feed-forward neuron without incoming or
without outgoing weights likewise contributes nothing, or act(its bias). The model's output changes only by rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunebert.network.family import Family


class CsrLinear(nn.Module):
    """A linear layer whose weight is a CSR matrix with 32-bit indices, the fastest sparse form of torch 2.13 on a CPU.

    torch.nn.functional.linear accepts CSR too, but was 3 to 30 times slower when tried.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, nonzero = layer.weight.detach(), layer.weight.detach() != 0
        rows = torch.cat([torch.zeros(1, dtype=torch.int32), nonzero.sum(1).cumsum(0).int().cpu()]).to(weight.device)
        columns = nonzero.nonzero()[:, 1].int()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
            self.weight = torch.sparse_csr_tensor(rows, columns, weight[nonzero], weight.shape, check_invariants=True)
        self.bias = layer.bias.detach()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """Map […, in] to […, out]."""
        flat = x.reshape(-1, x.shape[-1]).T
        y = torch.addmm(self.bias.expand(-1, flat.shape[1]), self.weight, flat)
        return y.T.reshape(*x.shape[:-1], -1)

    @property
    def bytes(self) -> int:
        """The bytes of the indices, the values and the bias."""
        parts = (self.weight.crow_indices(), self.weight.col_indices(), self.weight.values(), self.bias)
        return sum(part.numel() * part.element_size() for part in parts)


def to_csr(model: nn.Module, names: list[str]) -> int:
    """Replace each linear layer in `names` whose weight contains a zero by a CsrLinear. Return how many there were."""
    count = 0
    for name in names:
        path = name.removesuffix(".weight")
        layer = model.get_submodule(path) if path in dict(model.named_modules()) else None
        if isinstance(layer, nn.Linear) and not layer.weight.all():
            _replace(model, path, CsrLinear(layer))
            count += 1
    return count


@dataclass(frozen=True)
class Removed:
    """How many heads and neurons were removed."""

    heads: int  # removed
    all_heads: int  # before
    neurons: int  # removed
    all_neurons: int  # before


def remove_dead(model: nn.Module, family: Family, heads: int, activation: Callable[[Tensor], Tensor]) -> Removed:
    """Remove dead heads and dead feed-forward neurons. Every layer keeps at least one of each.

    Args:
        model: a stock model, changed in place.
        family: gives the layer and kind of its matrices.
        heads: attention heads of a layer.
        activation: of the feed-forward network.
    """
    layers: dict[int, dict[str, nn.Linear]] = {}
    for name, module in model.named_modules():
        place = family.place(f"{name.removeprefix(family.prefix + '.')}.weight")
        if place and isinstance(module, nn.Linear):
            layers.setdefault(place[0], {})[place[1]] = module
    totals = [0, 0, 0, 0]
    for layer in layers.values():
        counts = (*_remove_heads(layer, heads), *_remove_neurons(layer, activation))
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    return Removed(*totals)


@torch.no_grad()
def _remove_heads(layer: dict[str, nn.Linear], heads: int) -> tuple[int, int]:
    """Return how many heads were removed and how many there were."""
    value, output = layer["value"], layer["attention-output"]
    has_value = value.weight.unflatten(0, (heads, -1)).flatten(1).any(1)
    has_output = output.weight.unflatten(1, (heads, -1)).transpose(0, 1).flatten(1).any(1)
    keep = _at_least_one(has_value & has_output)
    constant = (~keep & ~has_value).repeat_interleave(len(value.bias) // heads)  # attention weights add up to 1
    output.bias.add_(output.weight[:, constant] @ value.bias[constant])
    rows = keep.repeat_interleave(len(value.bias) // heads)
    for kind in ("query", "key", "value"):
        _cut(layer[kind], rows, 0)
    _cut(output, rows, 1)
    return int((~keep).sum()), heads


@torch.no_grad()
def _remove_neurons(layer: dict[str, nn.Linear], activation: Callable[[Tensor], Tensor]) -> tuple[int, int]:
    """Return how many neurons were removed and how many there were."""
    inner, output = layer["intermediate"], layer["output"]
    has_input, has_output = inner.weight.any(1), output.weight.any(0)
    keep = _at_least_one(has_input & has_output)
    constant = ~keep & ~has_input
    output.bias.add_(output.weight[:, constant] @ activation(inner.bias[constant]))
    _cut(inner, keep, 0)
    _cut(output, keep, 1)
    return int((~keep).sum()), len(keep)


def _at_least_one(keep: Tensor) -> Tensor:
    """Keep the first unit if none is kept, because the stock classes cannot run a layer without units."""
    return keep if keep.any() else torch.arange(len(keep), device=keep.device) == 0


def _cut(layer: nn.Linear, keep: Tensor, side: int) -> None:
    """Reduce a linear layer to the outputs (side 0) or inputs (side 1) where `keep` is True."""
    layer.weight = nn.Parameter(layer.weight[keep] if side == 0 else layer.weight[:, keep].contiguous())
    if side == 0:
        layer.bias = nn.Parameter(layer.bias[keep])
    layer.out_features, layer.in_features = layer.weight.shape


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def size(model: nn.Module) -> int:
    """Return the bytes of a model's weights. A shared weight counts once."""
    csr = sum(m.bytes for m in model.modules() if isinstance(m, CsrLinear))
    return csr + sum(p.numel() * p.element_size() for p in model.parameters())
