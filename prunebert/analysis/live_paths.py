"""Live paths: find the remaining weights that lie on a path from the input to the output.

The hidden stream is residual, and a norm mixes all of it. Every unit of the stream is therefore live in every layer,
and each layer's attention and feed-forward network can be analysed alone. A path starts in the stream, passes through
units that vary with the input and are read, and ends in the stream. R(X)ᵢ: row i of X keeps a weight. C(X)ᵢ: column i
of X keeps a weight.

    unit               is live (or read) if                  weights on a path only then
    value unit i       R(V)ᵢ ∧ C(O)ᵢ                         V[i, :] and O[:, i]
    a head             one of its value units is live
    FFN neuron i       R(I)ᵢ ∧ C(W)ᵢ                         I[i, :] and W[:, i]; I intermediate, W output
    query i            R(K)ᵢ, in a live head                 Q[i, :]
    key i              N(Q)ᵢ, in a live head                 K[i, :]

N(X)ᵢ: row i of X does not always give 0, because it keeps a weight or X has a bias. BERT's matrices all have one.

Biases have no mask, so a unit with an empty row has a constant value. Its output is the same for every input and could
be added to the next bias. It lies on no path from the input.

Query and key are not symmetric. A constant kᵢ adds the same amount to all scores of a token. The softmax cancels that
amount, so nothing reads qᵢ. A constant qᵢ (its bias) still ranks the tokens by their kᵢ, unless it is 0.

Other families differ in these points (see `Layout`). M is the multiplier.

    gated neuron i     N(I)ᵢ ∧ N(M)ᵢ ∧ (R(I)ᵢ ∨ R(M)ᵢ) ∧ C(W)ᵢ. Without biases: R(I)ᵢ ∧ R(M)ᵢ ∧ C(W)ᵢ.
    rotary query d     N(K)_d ∨ N(K)_d′, in a live head; d′ is d's partner in the rotation. A rotated constant differs
                       between tokens, so the softmax does not cancel it.
    rotary key d       N(Q)_d ∨ N(Q)_d′, in a live head
    grouped queries    a key head serves several query heads. Value unit (g, d): R(V)_gd, and C(O)_hd in any head h of
                       group g. Column (h, d) of O: R(V)_gd. A key is read if it is in any query head of its group.
    positions          DeBERTa's scores also multiply queries with relative positions. Those differ between tokens
                       although the key is constant, so every query of a live head is read.
    one layer for all  ALBERT's layer is read many times, each time by these rules. A weight is live in all or in none.
    norms without a mean  a unit that no word embedding and no matrix writes is 0, and RMSNorm leaves it 0. A weight
                       that reads it is on no path. Only masks of the embeddings can bring this about.

The rule for neurons assumes act(0) = 0, as of GELU, SiLU and ReLU.

All of this is exact where biases are not zero; the tests compare it with autograd. Three more rules:

- A kept word embedding always lies on a path, because its token may occur.
- The pooler's weights lie on a path if the head reads the pooler.
- A matrix without a mask is dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prunebert.analysis.layout import Layout
from prunebert.masks.top_v import Masks

PlaceOf = Callable[[str], tuple[int, str]]  # parameter name -> (layer, kind); layer -1 for pooler and embeddings
Matrices = dict[str, Tensor]  # one layer's masks: kind -> bool


class Units(NamedTuple):
    """Which units of a layer are live, or are read: [heads, head width], or [heads, 1] if all units of a head agree."""

    query: Tensor
    key: Tensor  # of the key heads
    value: Tensor  # of the key heads
    mixed: Tensor  # columns of attention-output
    neuron: Tensor  # [neurons, 1]

    @property
    def head(self) -> Tensor:
        """[heads]."""
        return self.mixed.any(1)


def live_masks(masks: Masks, place: PlaceOf, layout: Layout, pooled: bool = True) -> Masks:
    """Return the masks without the weights that lie on no path.

    Args:
        masks: M, bool by parameter name.
        place: gives a parameter's layer and kind.
        layout: how the matrices of a layer work together.
        pooled: whether the task's head reads the pooler.
    """
    live = {}
    for layer, matrices in _layers(masks, place, layout).items():
        units = _live_units(matrices, layout)
        for kind, M in matrices.items():
            match kind:
                case "query" | "key" | "value":
                    M = M & _by_row(getattr(units, kind), len(M))
                case "attention-output":
                    M = M & _by_row(units.mixed, M.shape[1]).T
                case "intermediate" | "multiplier":
                    M = M & units.neuron
                case "output":
                    M = M & units.neuron.T
                case "pooler":
                    M = M & pooled
            live[layer, kind] = M
    return {n: live[place(n)] for n in masks}


def dead_units(masks: Masks, place: PlaceOf, layout: Layout) -> dict[str, Any]:
    """Count what no path runs through.

    Returns:
        rows, columns: empty ones, over all matrices.
        tokens: tokens whose embedding is all zero; None if the embeddings have no mask.
        heads: by layer, the indices of the dead query heads. A key head is dead if all its query heads are.
        value_units, neurons: by layer, how many are dead.
    """
    matrices = [m.bool() for m in masks.values()]
    layers = _layers(masks, place, layout)
    embeddings = layers.pop(-1, {}).get("embeddings")
    units = {str(n): _live_units(m, layout) for n, m in sorted(layers.items())}
    return {
        "rows": sum(int((~M.any(1)).sum()) for M in matrices),
        "columns": sum(int((~M.any(0)).sum()) for M in matrices),
        "tokens": None if embeddings is None else int((~embeddings.any(1)).sum()),
        "heads": {n: (~live.head).nonzero()[:, 0].tolist() for n, live in units.items()},
        "value_units": {n: int((~live.value).sum()) for n, live in units.items()},
        "neurons": {n: int((~live.neuron).sum()) for n, live in units.items()},
    }


def _live_units(matrices: Matrices, layout: Layout) -> Units:
    """Return which units of a layer are live, or are read."""
    group = layout.heads // layout.heads_of("key")

    def served(keys: Tensor) -> Tensor:
        """Return each key head's units for each query head that it serves."""
        return keys.repeat_interleave(group, 0)

    def in_group(queries: Tensor) -> Tensor:
        """Return for each key head which units hold in any of its query heads."""
        return queries.unflatten(0, (-1, group)).any(1)

    varies = {k: _by_head(_rows(matrices, k), layout.heads_of(k)) for k in ("query", "key", "value")}
    mixed = served(varies["value"]) & _by_head(_columns(matrices, "attention-output"), layout.heads)
    live_head = mixed.any(1, keepdim=True)
    nonzero = {k: units | (k in layout.biased) for k, units in varies.items()}
    if layout.rotary:
        query, key = _or_partner(served(nonzero["key"])), _or_partner(nonzero["query"])
    else:
        query, key = served(varies["key"]) | layout.positions, nonzero["query"] | layout.positions
    return Units(
        query=query & live_head,
        key=in_group(key & live_head),
        value=varies["value"] & in_group(mixed),
        mixed=mixed,
        neuron=_varying_neurons(matrices, layout) & _columns(matrices, "output"),
    )


def _varying_neurons(matrices: Matrices, layout: Layout) -> Tensor:
    """Return which neurons vary with the input, [neurons, 1]."""
    varies = _rows(matrices, "intermediate")
    if not layout.gated:
        return varies
    multiplier = _rows(matrices, "multiplier")
    return (varies | multiplier) & _nonzero_neurons(matrices, layout)


def _nonzero_neurons(matrices: Matrices, layout: Layout) -> Tensor:
    """Return which neurons do not always give 0, [neurons, 1]."""
    factors = ("intermediate", "multiplier") if layout.gated else ("intermediate",)
    nonzero = torch.ones(1, 1, dtype=torch.bool)
    for kind in factors:
        nonzero = nonzero & (_rows(matrices, kind) | (kind in layout.biased))
    return nonzero


def _or_partner(units: Tensor) -> Tensor:
    """Return where a unit or its partner in the rotation holds, [heads, head width]."""
    return units | units.roll(units.shape[1] // 2, 1)


def _rows(matrices: Matrices, kind: str) -> Tensor:
    """Return R, [rows, 1]. For a matrix without a mask it is [1, 1] and True, which broadcasts to all rows."""
    return matrices[kind].any(1, keepdim=True) if kind in matrices else torch.ones(1, 1, dtype=torch.bool)


def _columns(matrices: Matrices, kind: str) -> Tensor:
    """Return C, [columns, 1], as `_rows` returns R."""
    return _rows({k: M.T for k, M in matrices.items()}, kind)


def _by_head(units: Tensor, heads: int) -> Tensor:
    """Return units, [units, 1], as [heads, head width]; for a matrix without a mask as [heads, 1]."""
    return units.expand(max(len(units), heads), 1).reshape(heads, -1)


def _by_row(units: Tensor, rows: int) -> Tensor:
    """Return units, [heads, head width] or [heads, 1], as [rows, 1]: the inverse of `_by_head`."""
    return units.expand(len(units), rows // len(units)).reshape(-1, 1)


def _layers(masks: Masks, place: PlaceOf, layout: Layout) -> dict[int, Matrices]:
    """Group the masks by layer and kind. Weights that read a unit of the stream that is always 0 are left out."""
    layers: dict[int, Matrices] = {}
    for name, mask in masks.items():
        layer, kind = place(name)
        layers.setdefault(layer, {})[kind] = mask.bool()
    embeddings = layers.get(-1, {}).get("embeddings")
    if layout.centred or embeddings is None:
        return layers
    written = embeddings.any(0)
    for layer in sorted(layers.keys() - {-1}):
        matrices = layers[layer]
        matrices |= {k: matrices[k] & written for k in ("query", "key", "value") if k in matrices}
        values = _by_head(_rows(matrices, "value") | ("value" in layout.biased), layout.heads_of("value"))
        values = values.repeat_interleave(layout.heads // len(values), 0)
        written = written | _writes(matrices, "attention-output", values, layout)
        matrices |= {k: matrices[k] & written for k in ("intermediate", "multiplier") if k in matrices}
        written = written | _writes(matrices, "output", _nonzero_neurons(matrices, layout), layout)
    return layers


def _writes(matrices: Matrices, kind: str, sources: Tensor, layout: Layout) -> Tensor:
    """Return which units of the stream a matrix writes, [width], or [1] for a matrix without a mask.

    sources: which of its inputs are not always 0, [units, 1] or [heads, head width].
    """
    if kind in layout.biased:
        return torch.ones(1, dtype=torch.bool)
    if kind not in matrices:
        return sources.any()[None]
    M = matrices[kind]
    return (M & _by_row(sources, M.shape[1]).T).any(1)
