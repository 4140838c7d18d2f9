"""Live paths: find the remaining weights that lie on a path from the input to the output.

The hidden stream is residual, and a LayerNorm mixes all of it. Every unit of the stream is therefore live in every
layer, and each layer's attention and feed-forward network can be analysed alone. A path starts in the stream, passes
through units that vary with the input and are read, and ends in the stream. R(X)ᵢ: row i of X keeps a weight. C(X)ᵢ:
column i of X keeps a weight.

    unit               is live (or read) if                  weights on a path only then
    value unit i       R(V)ᵢ ∧ C(O)ᵢ                         V[i, :] and O[:, i]
    a head             one of its value units is live
    FFN neuron i       R(I)ᵢ ∧ C(W)ᵢ                         I[i, :] and W[:, i]; I intermediate, W output
    query i            R(K)ᵢ, in a live head                 Q[i, :]
    key i              in a live head                        K[i, :]

Biases have no mask, so a unit with an empty row has a constant value. Its output is the same for every input and could
be added to the next bias. It lies on no path from the input.

Query and key are not symmetric. A constant kᵢ adds the same amount to all scores of a token. The softmax cancels that
amount, so nothing reads qᵢ. A constant qᵢ (its bias) still ranks the tokens by their kᵢ.

All of this is exact where biases are not zero; the test compares it with autograd. Three more rules:

- A kept word embedding always lies on a path, because its token may occur.
- The pooler's weights lie on a path if the head reads the pooler.
- A matrix without a mask is dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.top_v import Masks

PlaceOf = Callable[[str], tuple[int, str]]  # parameter name -> (layer, kind); layer -1 for pooler and embeddings
Matrices = dict[str, Tensor]  # one layer's masks: kind -> bool


def live_masks(masks: Masks, place: PlaceOf, head_count: int, pooled: bool = True) -> Masks:
    """Return the masks without the weights that lie on no path.

    Args:
        masks: M, bool by parameter name.
        place: gives a parameter's layer and kind.
        head_count: attention heads of a layer.
        pooled: whether the task's head reads the pooler.
    """
    live = {}
    for layer, matrices in _layers(masks, place).items():
        unit, head, neuron = _live_units(matrices, head_count)
        for kind, M in matrices.items():
            match kind:
                case "query":
                    M = M & _rows(matrices, "key") & _by_row(head, M)
                case "key":
                    M = M & _by_row(head, M)
                case "value":
                    M = M & unit
                case "attention-output":
                    M = M & unit.T
                case "intermediate":
                    M = M & neuron
                case "output":
                    M = M & neuron.T
                case "pooler":
                    M = M & pooled
            live[layer, kind] = M
    return {n: live[place(n)] for n in masks}


def dead_units(masks: Masks, place: PlaceOf, head_count: int) -> dict[str, Any]:
    """Count what no path runs through.

    Returns:
        rows, columns: empty ones, over all matrices.
        tokens: tokens whose embedding is all zero; None if the embeddings have no mask.
        heads: by layer, the indices of the dead heads.
        value_units, neurons: by layer, how many are dead.
    """
    matrices = [m.bool() for m in masks.values()]
    layers = _layers(masks, place)
    embeddings = layers.pop(-1, {}).get("embeddings")
    units = {str(n): _live_units(m, head_count) for n, m in sorted(layers.items())}
    return {
        "rows": sum(int((~M.any(1)).sum()) for M in matrices),
        "columns": sum(int((~M.any(0)).sum()) for M in matrices),
        "tokens": None if embeddings is None else int((~embeddings.any(1)).sum()),
        "heads": {n: (~head).nonzero()[:, 0].tolist() for n, (_, head, _) in units.items()},
        "value_units": {n: int((~unit).sum()) for n, (unit, _, _) in units.items()},
        "neurons": {n: int((~neuron).sum()) for n, (_, _, neuron) in units.items()},
    }


def _live_units(matrices: Matrices, head_count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return which value units [units, 1], heads [heads] and FFN neurons [neurons, 1] of a layer are live."""
    unit = _rows(matrices, "value") & _columns(matrices, "attention-output")
    head = unit.expand(max(len(unit), head_count), 1).reshape(head_count, -1).any(1)
    return unit, head, _rows(matrices, "intermediate") & _columns(matrices, "output")


def _rows(matrices: Matrices, kind: str) -> Tensor:
    """Return R, [rows, 1]. For a matrix without a mask it is [1, 1] and True, which broadcasts to all rows."""
    return matrices[kind].any(1, keepdim=True) if kind in matrices else torch.ones(1, 1, dtype=torch.bool)


def _columns(matrices: Matrices, kind: str) -> Tensor:
    """Return C, [columns, 1], as `_rows` returns R."""
    return _rows({k: M.T for k, M in matrices.items()}, kind)


def _by_row(head: Tensor, M: Tensor) -> Tensor:
    """Return for every row of a query or key matrix, [rows, 1], whether its head is live."""
    return head.repeat_interleave(len(M) // len(head))[:, None]


def _layers(masks: Masks, place: PlaceOf) -> dict[int, Matrices]:
    """Group the masks by layer and kind."""
    layers: dict[int, Matrices] = {}
    for name, mask in masks.items():
        layer, kind = place(name)
        layers.setdefault(layer, {})[kind] = mask.bool()
    return layers
