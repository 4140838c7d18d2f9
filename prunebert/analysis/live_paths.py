"""Paths: which of the remaining weights the input can reach the output through.

The hidden stream is residual and a LayerNorm mixes all of it, so every unit of it is live in every layer, and every
layer's attention and feed-forward network can be looked at by itself. A path runs from the stream, through units whose
values vary with the input and are read, back to the stream. R(X)ᵢ: row i of X keeps a weight; C(X)ᵢ: column i does.

    value unit i       is live where R(V)ᵢ ∧ C(O)ᵢ           V[i, :] and O[:, i] lie on a path only then
    a head             is live where one of its value units is
    FFN neuron i       is live where R(I)ᵢ ∧ C(W)ᵢ           I[i, :] and W[:, i]; I intermediate, W output
    query i            is read where R(K)ᵢ, in a live head   Q[i, :]
    key i              is read in a live head                K[i, :]

Biases have no mask. A unit whose row is empty therefore has a constant value: what comes out of it could be moved to
the next bias, is the same for every input, and lies on no path from it. Query and key differ in this: a constant kᵢ
adds the same to all of a token's scores, which the softmax takes out again, so that nothing reads qᵢ; a constant qᵢ
(its bias) still ranks the tokens by their kᵢ. All of it is exact where biases are not zero (its test asks
autograd). A word embedding lies on a path whenever it is kept, as its token may come. The pooler's weights do where a
head reads the pooler. A matrix without a mask is dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.top_v import Masks

Place = Callable[[str], tuple[int, str]]  # parameter name -> (layer, kind); layer -1 for pooler and embeddings
Matrices = dict[str, Tensor]  # of one layer, kind -> bool mask


def alive(masks: Masks, place: Place, head_count: int, pooled: bool = True) -> Masks:
    """M without the weights that lie on no path. pooled: whether a head reads the pooler."""
    found = {}
    for layer, matrices in _layers(masks, place).items():
        unit, head, neuron = _units(matrices, head_count)
        for kind, M in matrices.items():
            match kind:
                case "query":
                    M = M & _rows(matrices, "key") & _in(head, M)
                case "key":
                    M = M & _in(head, M)
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
            found[layer, kind] = M
    return {n: found[place(n)] for n in masks}


def dead(masks: Masks, place: Place, head_count: int) -> dict[str, Any]:
    """What no path runs through: empty rows and columns, over all matrices; tokens whose embedding is all zero (null
    where embeddings have no mask); and by layer the numbers of the dead heads, how many value units and FFN neurons.
    """
    matrices = [m.bool() for m in masks.values()]
    layers = _layers(masks, place)
    embeddings = layers.pop(-1, {}).get("embeddings")
    units = {str(n): _units(m, head_count) for n, m in sorted(layers.items())}
    return {
        "rows": sum(int((~M.any(1)).sum()) for M in matrices),
        "columns": sum(int((~M.any(0)).sum()) for M in matrices),
        "tokens": None if embeddings is None else int((~embeddings.any(1)).sum()),
        "heads": {n: (~head).nonzero()[:, 0].tolist() for n, (_, head, _) in units.items()},
        "value_units": {n: int((~unit).sum()) for n, (unit, _, _) in units.items()},
        "neurons": {n: int((~neuron).sum()) for n, (_, _, neuron) in units.items()},
    }


def _units(matrices: Matrices, head_count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which value units [units, 1], heads [heads] and FFN neurons [neurons, 1] of a layer are live."""
    unit = _rows(matrices, "value") & _columns(matrices, "attention-output")
    head = unit.expand(max(len(unit), head_count), 1).reshape(head_count, -1).any(1)
    return unit, head, _rows(matrices, "intermediate") & _columns(matrices, "output")


def _rows(matrices: Matrices, kind: str) -> Tensor:
    """R: [rows, 1]. Of a matrix without a mask one True, which stands for all rows."""
    return matrices[kind].any(1, keepdim=True) if kind in matrices else torch.ones(1, 1, dtype=torch.bool)


def _columns(matrices: Matrices, kind: str) -> Tensor:
    """C: [columns, 1]."""
    return _rows({k: M.T for k, M in matrices.items()}, kind)


def _in(head: Tensor, M: Tensor) -> Tensor:
    """Of every row of a query or key matrix [rows, 1], whether its head is live."""
    return head.repeat_interleave(len(M) // len(head))[:, None]


def _layers(masks: Masks, place: Place) -> dict[int, Matrices]:
    """The masks by layer and kind."""
    found: dict[int, Matrices] = {}
    for name, mask in masks.items():
        layer, kind = place(name)
        found.setdefault(layer, {})[kind] = mask.bool()
    return found
