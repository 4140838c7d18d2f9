"""Overlap: how much two masks share, compared with what masks of their densities share by chance.

Two masks keep a and b of n weights and share s. If the b weights were drawn at random, s would be hypergeometric:

    E = a b / n                                     Var = a b (n - a)(n - b) / (n² (n - 1))
    jaccard          s / (a + b - s)
    expected_jaccard E / (a + b - E)                at density d both: d / (2 - d)
    beyond_chance    (s - E) / (min(a, b) - E)      1: one contains the other; 0: chance; < 0: fewer than by chance
    z                (s - E) / √Var

The overall numbers treat all matrices as one urn. Masks that favour the same matrices then share more than by chance.
`within` draws in every matrix separately: E, Var and min(a, b) are summed over the matrices. It measures what the masks
share beyond their two allocations. A number without a value is null: the mask keeps all or nothing, or n = 1 for z.
Where both masks have a pattern, Var is multiplied by `chance.spread`; E is the same.
Keys of compare.json say "budget" for what the code calls an allocation. This module compares two masks; `comparison`
compares many.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from prunebert.analysis.chance import draw_of, spread
from prunebert.errors import BadInput
from prunebert.masks.maskfile import Packed

MEASURES = ("jaccard", "expected_jaccard", "beyond_chance")


class Urn(NamedTuple):
    """The counts of two masks over the same weights."""

    n: int  # weights
    a: int  # kept by the first mask
    b: int  # kept by the second mask
    s: int  # kept by both


def pair(a: Packed, b: Packed) -> dict[str, Any]:
    """Compare two masks over the matrices that both have.

    Returns:
        The overall numbers (see `measures`), and:
        within: the numbers with chance drawing within every matrix.
        mean_jaccard: the mean over the matrices, each with the same weight (TAMT's similarity).
        layer_budget_correlation: see `correlation`.
        only: how many matrices only the first and only the second mask has. They are left out of all numbers.
        matrices: the numbers of every matrix.

    Raises:
        BadInput: the masks were found on different weights or have no matrix in common.
    """
    if a.weights_hash != b.weights_hash:
        raise BadInput(f"these masks were found on different weights ({a.model} and {b.model})")
    names = [n for n in a.bits if n in b.bits]
    if not names or any(a.shapes[n] != b.shapes[n] for n in names):
        raise BadInput("these masks have no matrix in common")
    urns = {n: Urn(math.prod(a.shapes[n]), a.kept[n], b.kept[n], shared_bits(a.bits[n], b.bits[n])) for n in names}
    draws = draw_of(a), draw_of(b)
    spreads = {n: spread(*draws, (a.shapes[n],)) for n in names}
    matrices = {n: measures([u], [spreads[n]]) for n, u in urns.items()}
    overall = spread(*draws, tuple(a.shapes[n] for n in names))
    return {
        **measures([Urn(*map(sum, zip(*urns.values(), strict=True)))], [overall]),
        "within": measures(urns.values(), spreads.values()),
        "mean_jaccard": _mean(m["jaccard"] for m in matrices.values()),
        "layer_budget_correlation": correlation(a, b, names),
        "only": [len(a.bits) - len(names), len(b.bits) - len(names)],
        "matrices": matrices,
    }


def measures(urns: Iterable[Urn], spreads: Iterable[float]) -> dict[str, Any]:
    """Return the numbers of the module's docstring for independent urns together; `chance.spread` of each is given."""
    n, a, b, s = map(sum, zip(*(urns := list(urns)), strict=True))
    expected = math.fsum(u.a * u.b / u.n for u in urns)
    most = sum(min(u.a, u.b) for u in urns)
    variance = math.fsum(
        u.a * u.b * (u.n - u.a) * (u.n - u.b) / (u.n**2 * (u.n - 1)) * factor
        for u, factor in zip(urns, spreads, strict=True)
        if u.n > 1
    )
    return {
        "size": n,
        "kept": [a, b],
        "shared": s,
        "jaccard": _ratio(s, a + b - s),
        "expected_jaccard": _ratio(expected, a + b - expected),
        "beyond_chance": _ratio(s - expected, most - expected),
        "z": _ratio(s - expected, math.sqrt(variance)),
    }


def shared_bits(x: np.ndarray, y: np.ndarray) -> int:
    """Return |A ∧ B| of two packed masks, uint8. Eight bytes are counted at a time."""
    whole = x.size // 8 * 8
    common = (x[:whole].view(np.uint64) & y[:whole].view(np.uint64), x[whole:] & y[whole:])
    return sum(int(np.bitwise_count(bits).sum(dtype=np.int64)) for bits in common)


def layer_of(name: str) -> str:
    """Return a parameter's layer number, or "embeddings" or "pooler", for any family of models."""
    match = re.search(r"\.(?:layers?|albert_layer_groups)\.(\d+)\.", name)
    if match:
        return match[1]
    kinds = {"embeddings": "embeddings", "embed_tokens": "embeddings", "pooler": "pooler"}
    return next((kind for part, kind in kinds.items() if part in name), name)


def layer_fractions(mask: Packed, names: Iterable[str]) -> dict[str, float]:
    """Return the kept fraction of every layer, and of pooler and embeddings, over the matrices `names`."""
    return {layer: kept / size for layer, (kept, size, _) in by_layer(mask, names).items()}


def correlation(a: Packed, b: Packed, names: Iterable[str]) -> float | None:
    """Return Pearson's correlation of the two masks' kept fractions per layer, without pooler and embeddings.

    None for fewer than three layers, or if one mask keeps the same fraction of every layer (see `uniform`).
    """
    names = [n for n in names if layer_of(n).isdigit()]
    both = [by_layer(mask, names) for mask in (a, b)]
    if len(both[0]) < 3 or any(uniform(list(layers.values())) for layers in both):
        return None
    x, y = ([kept / size for kept, size, _ in layers.values()] for layers in both)
    return float(np.corrcoef(x, y)[0, 1])


def by_layer(mask: Packed, names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Return (kept weights, size, number of matrices) of every layer."""
    layers: dict[str, tuple[int, int, int]] = {}
    for name in names:
        kept, size, count = layers.get(layer_of(name), (0, 0, 0))
        layers[layer_of(name)] = kept + mask.kept[name], size + math.prod(mask.shapes[name]), count + 1
    return layers


def uniform(layers: list[tuple[int, int, int]]) -> bool:
    """Return whether all layers keep the same fraction. Rounding may shift one weight in every matrix."""
    density = sum(kept for kept, _, _ in layers) / sum(size for _, size, _ in layers)
    return all(abs(kept - density * size) <= count for kept, size, count in layers)


def _ratio(x: float, y: float) -> float | None:
    return x / y if y else None


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [x for x in values if x is not None]
    return sum(numbers) / len(numbers) if numbers else None
