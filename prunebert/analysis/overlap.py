"""Overlap: how much two masks share, beside what masks of their densities share by chance.

Two masks keep a and b of n weights and share s. Were b drawn at random, s would be hypergeometric:

    E = a b / n                                     Var = a b (n - a)(n - b) / (n² (n - 1))
    jaccard          s / (a + b - s)
    expected_jaccard E / (a + b - E)                at density d both: d / (2 - d)
    beyond_chance    (s - E) / (min(a, b) - E)      1: one holds the other; 0: chance; < 0: they avoid each other
    z                (s - E) / √Var

Overall, all matrices are one urn: masks that favour the same matrices then share more than by chance. `within` draws
in every matrix by itself, with E, Var and min(a, b) summed over the matrices: what is shared beyond the two budgets. A
number that has no value (a mask that keeps all or nothing; for z also n = 1) is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prunebert.errors import BadInput
from prunebert.masks.maskfile import Packed
from prunebert.runs import artifacts

AXES = ("method", "sparsity", "task", "fit", "distill", "augment", "prunable", "seed")
ASKED = ("sparsity", "task", "seed")
MEASURES = ("jaccard", "expected_jaccard", "beyond_chance")


class Urn(NamedTuple):
    """n weights, of which two masks keep a and b and share s."""

    n: int
    a: int
    b: int
    s: int


def pair(a: Packed, b: Packed) -> dict[str, Any]:
    """Two masks over the matrices both have. Raises BadInput if they were found on different weights, or have none.

    only: how many matrices one alone has, which are left out. mean_jaccard: over the matrices, each counting the same
    (TAMT's similarity). layer_budget_correlation: Pearson's, of the remaining fractions of the layers; null for fewer
    than three layers, or where every layer of one mask keeps the same fraction, to a weight a matrix.
    """
    if a.weights_hash != b.weights_hash:
        raise BadInput(f"these masks were found on different weights ({a.model} and {b.model})")
    names = [n for n in a.bits if n in b.bits]
    if not names or any(a.shapes[n] != b.shapes[n] for n in names):
        raise BadInput("these masks have no matrix in common")
    urns = {n: Urn(math.prod(a.shapes[n]), a.kept[n], b.kept[n], shared(a.bits[n], b.bits[n])) for n in names}
    each = {n: measures([u]) for n, u in urns.items()}
    return {
        **measures([Urn(*map(sum, zip(*urns.values(), strict=True)))]),
        "within": measures(urns.values()),
        "mean_jaccard": _mean(m["jaccard"] for m in each.values()),
        "layer_budget_correlation": correlation(a, b, names),
        "only": [len(a.bits) - len(names), len(b.bits) - len(names)],
        "matrices": each,
    }


def measures(urns: Iterable[Urn]) -> dict[str, Any]:
    """Of independent urns together, the numbers of the module's docstring."""
    n, a, b, s = map(sum, zip(*(urns := list(urns)), strict=True))
    expected = math.fsum(u.a * u.b / u.n for u in urns)
    most = sum(min(u.a, u.b) for u in urns)
    variance = math.fsum(u.a * u.b * (u.n - u.a) * (u.n - u.b) / (u.n**2 * (u.n - 1)) for u in urns if u.n > 1)
    return {
        "size": n,
        "kept": [a, b],
        "shared": s,
        "jaccard": _ratio(s, a + b - s),
        "expected_jaccard": _ratio(expected, a + b - expected),
        "beyond_chance": _ratio(s - expected, most - expected),
        "z": _ratio(s - expected, math.sqrt(variance)),
    }


def shared(x: np.ndarray, y: np.ndarray) -> int:
    """|A ∧ B| of two packed masks, eight bytes at a time."""
    whole = x.size // 8 * 8
    both = (x[:whole].view(np.uint64) & y[:whole].view(np.uint64), x[whole:] & y[whole:])
    return sum(int(np.bitwise_count(bits).sum(dtype=np.int64)) for bits in both)


def layer_of(name: str) -> str:
    """A layer's number, or "embeddings" or "pooler", from a parameter's name in any family."""
    found = re.search(r"\.layer\.(\d+)\.", name)
    return found[1] if found else next((kind for kind in ("embeddings", "pooler") if kind in name), name)


def budget(mask: Packed, names: Iterable[str]) -> dict[str, float]:
    """The remaining fraction of every layer, pooler and embeddings, over the matrices `names`."""
    return {layer: kept / size for layer, (kept, size, _) in _by_layer(mask, names).items()}


def correlation(a: Packed, b: Packed, names: Iterable[str]) -> float | None:
    """Pearson's, of the remaining fractions of the layers (pooler and embeddings are none)."""
    names = [n for n in names if layer_of(n).isdigit()]
    found = [_by_layer(mask, names) for mask in (a, b)]
    if len(found[0]) < 3 or any(_uniform(list(layers.values())) for layers in found):
        return None
    x, y = ([kept / size for kept, size, _ in layers.values()] for layers in found)
    return float(np.corrcoef(x, y)[0, 1])


def _by_layer(mask: Packed, names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Kept weights, size and number of matrices of every layer."""
    found: dict[str, tuple[int, int, int]] = {}
    for name in names:
        kept, size, count = found.get(layer_of(name), (0, 0, 0))
        found[layer_of(name)] = kept + mask.kept[name], size + math.prod(mask.shapes[name]), count + 1
    return found


def _uniform(layers: list[tuple[int, int, int]]) -> bool:
    """Whether all layers keep the same fraction, but for rounding: a weight in every matrix."""
    density = sum(kept for kept, _, _ in layers) / sum(size for _, size, _ in layers)
    return all(abs(kept - density * size) <= count for kept, size, count in layers)


def table(runs: list[Path]) -> dict[str, Any]:
    """Every pair of finished runs. Raises BadInput for fewer than two that removed anything, or what `pair` refuses.

    labels: the method and what else differs between the runs. left_out: runs that removed nothing (or all), whose masks
    overlap any other as by chance. The square tables have a row and a column a label; `within` is beyond_chance given
    the budget of every matrix. pairs: of labels a < b all that `pair` tells, its matrices as lists in the order of
    `matrices`, null where not both have one. order, linkage: see `cluster`, on beyond_chance.
    """
    rows, masks, left_out = [], [], []
    for run in runs:
        row, mask = artifacts.result(run), artifacts.packed_masks(run)
        facts = {"size": sum(map(math.prod, mask.shapes.values())), "kept": sum(mask.kept.values())}
        if not 0 < facts["kept"] < facts["size"]:
            left_out.append(str(run))
            continue
        masks.append(mask)
        named = {k: row[k] for k in (*AXES, "model")}
        rows.append({"directory": str(run), **named, **facts, "layers": budget(mask, mask.bits)})
    if len(rows) < 2:
        raise BadInput(f"to compare takes two finished runs that removed weights, here are {len(rows)}")
    names = list(dict.fromkeys(n for mask in masks for n in mask.bits))
    pairs = []
    for i, j in combinations_with_replacement(range(len(rows)), 2):
        try:
            found = pair(masks[i], masks[j])
        except BadInput as error:
            raise BadInput(f"{rows[i]['directory']} and {rows[j]['directory']}: {error}") from error
        each = {k: [found["matrices"].get(n, {}).get(k) for n in names] for k in MEASURES}
        pairs.append({"a": i, "b": j} | found | {"matrices": each})
    squares = {k: _square(pairs, k) for k in (*MEASURES, "mean_jaccard", "layer_budget_correlation")}
    return {
        "labels": labels(rows),
        "runs": rows,
        "left_out": left_out,
        **squares,
        "within": _square([p["within"] | {"a": p["a"], "b": p["b"]} for p in pairs], "beyond_chance"),
        **cluster(squares["beyond_chance"]),
        "matrices": names,
        "pairs": [p for p in pairs if p["a"] < p["b"]],
    }


def _square(pairs: list[dict[str, Any]], key: str) -> list[list[float | None]]:
    """The symmetric table of one number of all pairs, a run with itself included."""
    at = {(p["a"], p["b"]): p[key] for p in pairs}
    span = range(max(b for _, b in at) + 1)
    return [[at[min(i, j), max(i, j)] for j in span] for i in span]


def labels(rows: list[dict[str, Any]]) -> list[str]:
    """The method of every run and what else differs: what was ASKED between any two, the other AXES between two of one
    method. The directory too where that is not enough.
    """

    def varies(axis: str) -> bool:
        groups = (
            [rows] if axis in ASKED else [[r for r in rows if r["method"] == m] for m in {r["method"] for r in rows}]
        )
        return any(len({str(row[axis]) for row in group}) > 1 for group in groups)

    shown = [axis for axis in AXES[1:] if varies(axis)]
    found = [
        " ".join([row["method"], *(f"seed {row[k]}" if k == "seed" else str(row[k]) for k in shown)]) for row in rows
    ]
    return [x if found.count(x) == 1 else f"{x} ({row['directory']})" for x, row in zip(found, rows, strict=True)]


def cluster(overlaps: list[list[float | None]]) -> dict[str, Any]:
    """Average linkage at the distance 1 - overlap (null: 1, as by chance), as scipy has it, and its leaves' order."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = [max(0.0, 1 - (x or 0.0)) for i, row in enumerate(overlaps) for x in row[i + 1 :]]
    tree = linkage(distance, "average", optimal_ordering=True)
    return {"order": leaves_list(tree).tolist(), "linkage": tree.tolist()}


def _ratio(x: float, y: float) -> float | None:
    return x / y if y else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [x for x in values if x is not None]
    return sum(known) / len(known) if known else None
