"""Make a sub-network smaller in the ways that stock PyTorch supports. Both functions change a stock model in place.

A head none of whose value units varies and is read contributes the same to every text. That is nothing, or its values'
biases through the output matrix, which are added to the output's bias. A feed-forward neuron without incoming or
without outgoing weights likewise contributes nothing, or act(its bias), in a gated network times the bias of its
multiplier. The model's output changes only by rounding. Query heads that share a key head are removed together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        self.bias = None if layer.bias is None else layer.bias.detach()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """Map […, in] to […, out]."""
        flat = x.reshape(-1, x.shape[-1]).T
        y = (
            self.weight @ flat
            if self.bias is None
            else torch.addmm(self.bias.expand(-1, flat.shape[1]), self.weight, flat)
        )
        return y.T.reshape(*x.shape[:-1], -1)

    @property
    def bytes(self) -> int:
        """The bytes of the indices, the values and the bias."""
        parts = (self.weight.crow_indices(), self.weight.col_indices(), self.weight.values(), self.bias)
        return sum(part.numel() * part.element_size() for part in parts if part is not None)


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
    heads_stay: str = ""  # why no head can be removed; "" if heads can


@dataclass(frozen=True)
class Rows:
    """The rows of a linear layer that are a matrix of one kind. In a fused layer they are a part of its rows."""

    layer: nn.Linear
    start: int
    stop: int
    owner: Any  # the module that has the layer

    @property
    def weight(self) -> Tensor:
        """[rows, in], a view."""
        return self.layer.weight[self.start : self.stop]

    @property
    def bias(self) -> Tensor:
        """[rows], 0 where the layer has no bias."""
        bias = self.layer.bias
        return self.weight.new_zeros(self.stop - self.start) if bias is None else bias[self.start : self.stop]


def remove_dead(model: nn.Module, family: Family, heads: int, activation: Callable[[Tensor], Tensor]) -> Removed:
    """Remove dead heads and dead feed-forward neurons. Every layer keeps at least one of each.

    Args:
        model: a stock model, changed in place.
        family: gives the layer and kind of its matrices.
        heads: attention heads of a layer.
        activation: of the feed-forward network.
    """
    layers: dict[int, dict[str, Rows]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            path = name.removeprefix(family.prefix + ".")
            owner = model.get_submodule(name.rpartition(".")[0])
            for layer, kind, start, stop in _kinds(path, module.out_features, family):
                layers.setdefault(layer, {})[kind] = Rows(module, start, stop, owner)
    heads_stay = _why_heads_stay(model)
    totals = [0, 0, 0, 0]
    for matrices in layers.values():
        removed_heads = (0, heads) if heads_stay else _remove_heads(matrices, heads)
        counts = (*removed_heads, *_remove_neurons(matrices, activation))
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    return Removed(totals[0], totals[1], totals[2], totals[3], heads_stay)


def _kinds(path: str, rows: int, family: Family) -> list[tuple[int, str, int, int]]:
    """Return the layer, the kind, and the first and last row of each matrix in a stock layer; [] for other layers."""
    parts = next((parts for suffix, parts in family.fused.items() if path.endswith(f".{suffix}")), None)
    names = [path] if parts is None else [f"{path}.{part}" for part in parts]
    places, height = [family.place(f"{name}.weight") for name in names], rows // len(names)
    return [(*place, i * height, (i + 1) * height) for i, place in enumerate(places) if place]


def _why_heads_stay(model: nn.Module) -> str:
    """Return why the stock class cannot run with fewer heads in one layer; "" if it can."""
    last_names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if "relative_attention_bias" in last_names:
        return "all layers share a table of position biases with one column for each head"
    if last_names & {"pos_key_proj", "pos_query_proj"}:
        return "matrices outside of the masks project positions for each head"
    return ""


@torch.no_grad()
def _remove_heads(matrices: dict[str, Rows], heads: int) -> tuple[int, int]:
    """Return how many query heads were removed and how many there were."""
    query, key, value, output = (matrices[kind] for kind in ("query", "key", "value", "attention-output"))
    width = len(query.weight) // heads
    groups = len(key.weight) // width  # of query heads, each with a key head of its own

    def served(values: Tensor) -> Tensor:
        """Return for each column of the output, [heads · width], the value unit's entry of [groups · width]."""
        return values.view(groups, 1, width).expand(groups, heads // groups, width).flatten()

    varies = served(value.weight.any(1))
    live = varies & output.weight.any(0)
    keep = _at_least_one(live.view(groups, -1).any(1))
    query_rows, key_rows = keep.repeat_interleave(heads // groups * width), keep.repeat_interleave(width)
    constant = ~query_rows & ~varies  # attention weights add up to 1
    _add_to_bias(output.layer, output.weight[:, constant] @ served(value.bias)[constant])
    _cut_rows([(query, query_rows), (key, key_rows), (value, key_rows)])
    _cut(output.layer, query_rows, 1)
    remaining = int(keep.sum()) * heads // groups
    if hasattr(query.owner, "num_attention_heads"):  # some stock classes divide by it
        query.owner.num_attention_heads = remaining
    return heads - remaining, heads


@torch.no_grad()
def _remove_neurons(matrices: dict[str, Rows], activation: Callable[[Tensor], Tensor]) -> tuple[int, int]:
    """Return how many neurons were removed and how many there were."""
    inner, multiplier, output = matrices["intermediate"], matrices.get("multiplier"), matrices["output"]
    constant, value = ~inner.weight.any(1), activation(inner.bias)
    dead = ~output.weight.any(0)
    if multiplier is not None:
        constant_multiplier = ~multiplier.weight.any(1)
        dead |= (constant & (value == 0)) | (constant_multiplier & (multiplier.bias == 0))
        constant, value = constant & constant_multiplier, value * multiplier.bias
    keep = _at_least_one(~(dead | constant))
    absorbed = ~keep & constant
    _add_to_bias(output.layer, output.weight[:, absorbed] @ value[absorbed])
    _cut_rows([(rows, keep) for rows in (inner, multiplier) if rows is not None])
    _cut(output.layer, keep, 1)
    return int((~keep).sum()), len(keep)


def _at_least_one(keep: Tensor) -> Tensor:
    """Keep the first unit if none is kept, because the stock classes cannot run a layer without units."""
    return keep if keep.any() else torch.arange(len(keep), device=keep.device) == 0


def _add_to_bias(layer: nn.Linear, constants: Tensor) -> None:
    """Add to a layer's bias, which is made if it has none and `constants` are not all 0."""
    if layer.bias is not None:
        layer.bias.add_(constants)
    elif constants.any():
        layer.bias = nn.Parameter(constants)


def _cut_rows(parts: list[tuple[Rows, Tensor]]) -> None:
    """Reduce matrices to the rows where their tensor is True. Those of one fused layer are cut together."""
    kept: dict[nn.Linear, Tensor] = {}
    for rows, keep in parts:
        all_rows = kept.setdefault(
            rows.layer, torch.ones(rows.layer.out_features, dtype=torch.bool, device=keep.device)
        )
        all_rows[rows.start : rows.stop] = keep
    for layer, keep in kept.items():
        _cut(layer, keep, 0)


def _cut(layer: nn.Linear, keep: Tensor, side: int) -> None:
    """Reduce a linear layer to the outputs (side 0) or inputs (side 1) where `keep` is True."""
    layer.weight = nn.Parameter(layer.weight[keep] if side == 0 else layer.weight[:, keep].contiguous())
    if side == 0 and layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[keep])
    layer.out_features, layer.in_features = layer.weight.shape


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def size(model: Any) -> int:
    """Return the bytes of a model's weights. A shared weight counts once. Of another runtime it is what it reports."""
    if not isinstance(model, nn.Module):
        return int(model.bytes)
    csr = sum(m.bytes for m in model.modules() if isinstance(m, CsrLinear))
    return csr + sum(p.numel() * p.element_size() for p in model.parameters())
