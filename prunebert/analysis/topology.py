"""Topology: describe a sub-network in numbers.

Every number is computed from the masks; none is copied from a setting. Keys of topology.json say "budget" for what the
code calls an allocation: how the kept weights are shared among the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from prunebert.analysis import hubs
from prunebert.analysis.layout import Layout
from prunebert.analysis.live_paths import PlaceOf, dead_units, live_masks
from prunebert.analysis.overlap import pair
from prunebert.masks.maskfile import MaskFile, pack
from prunebert.masks.top_v import Masks, count_kept, keep_top, sparsity, top

# A head owns rows of these [out, in] matrices. Of attention-output it owns columns.
ROWS_BY_HEAD = ("query", "key", "value")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def facts(
    masks: Masks,
    place: PlaceOf,
    layout: Layout,
    sizes: dict[str, dict[str, int]],
    model_size: int,
    *,
    pooled: bool = True,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Return a run's topology.json, without its history.

    Args:
        masks: M, bool by parameter name.
        place: gives a parameter's layer and kind.
        layout: how the matrices of a layer work together.
        sizes: see `denominators`.
        model_size: see `denominators`.
        pooled: whether the task's head reads the pooler.
        weights: the pre-trained weights, for their magnitudes. None if they are not available.

    Returns:
        sparsity_…, matrices, layers, kinds, heads, dead, degrees: see the functions that compute them.
        effective: the numbers of the masks without the weights that lie on no path from input to output.
        sparsity_effective: the fraction that those masks remove.
        budget: each group's share of the kept weights (see `allocation`). Its "moved" is the distance of these shares
            from uniform ones (see `distance_from_uniform`).
        magnitude: see `against_magnitude`. None without `weights`.
        hubs: see `hubs.facts`.
    """
    live = live_masks(masks, place, layout, pooled)
    groups = {"layers": lambda n: str(place(n)[0]), "kinds": lambda n: place(n)[1], "matrices": lambda n: n}
    shares = {name: allocation(_remaining(masks, group)) for name, group in groups.items()}
    tops = None if weights is None else largest(masks, weights)
    return {
        **denominators(masks, sizes, model_size),
        "sparsity_effective": sparsity(live),
        **describe(masks, place, layout),
        "effective": denominators(live, sizes, model_size) | {k: _remaining(live, by) for k, by in groups.items()},
        "dead": dead_units(masks, place, layout),
        "degrees": {n: degrees(m, place(n)[1]) for n, m in masks.items()},
        "budget": shares | {"moved": {name: distance_from_uniform(share) for name, share in shares.items()}},
        "magnitude": None if weights is None else against_magnitude(masks, weights, tops),
        "hubs": hubs_of(masks, place, layout, tops),
    }


def denominators(masks: Masks, sizes: dict[str, dict[str, int]], model_size: int) -> dict[str, float]:
    """Return the removed fraction under every denominator that the papers use.

    Args:
        masks: M, by parameter name. A matrix without a mask is dense.
        sizes: for each prunable set ("encoder", …) the sizes of its matrices.
        model_size: number of parameters of encoder and head.
    """
    removed = {n: m.numel() - count_kept({n: m}) for n, m in masks.items()}
    fractions = {}
    for prunable, matrices in sizes.items():
        fractions[f"sparsity_{prunable}"] = sum(removed.get(n, 0) for n in matrices) / sum(matrices.values())
    return fractions | {"sparsity_model": sum(removed.values()) / model_size}


def matrix(mask: Tensor) -> dict[str, Any]:
    """Describe one [out, in] mask.

    Returns:
        shape, kept: its shape and number of kept weights.
        remaining: the kept fraction.
        dead_rows, dead_columns: how many keep no weight.
    """
    M = mask.bool()
    return {
        "shape": list(M.shape),
        "kept": (count := int(torch.count_nonzero(M))),
        "remaining": count / M.numel(),
        "dead_rows": int((~M.any(1)).sum()),
        "dead_columns": int((~M.any(0)).sum()),
    }


def heads(mask: Tensor, kind: str, count: int) -> list[float]:
    """Return the kept fraction of each attention head in a query, key, value or attention-output matrix.

    Args:
        mask: [out, in].
        kind: the matrix's kind. It decides whether a head owns rows or columns.
        count: number of heads.
    """
    M = mask.float() if kind in ROWS_BY_HEAD else mask.float().T
    return M.reshape(count, -1).mean(1).tolist()


def describe(masks: Masks, place: PlaceOf, layout: Layout) -> dict[str, Any]:
    """Return what remains of every matrix, layer, kind and attention head, and each matrix's dead rows and columns."""
    matrices, by_head = {}, {}
    for name, mask in masks.items():
        layer, kind = place(name)
        matrices[name] = {"layer": layer, "kind": kind, **matrix(mask)}
        if kind in (*ROWS_BY_HEAD, "attention-output"):
            by_head[name] = heads(mask, kind, layout.heads_of(kind))
    return {
        "matrices": matrices,
        "layers": _remaining(masks, lambda n: str(place(n)[0])),
        "kinds": _remaining(masks, lambda n: place(n)[1]),
        "heads": by_head,
    }


def allocation(groups: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Return how the kept weights are shared among the groups.

    Args:
        groups: each group's number of kept weights ("kept") and of all weights ("size").

    Returns:
        share: the group's share of the kept weights. None if no group keeps any.
        uniform: its share under a uniform allocation, which equals its share of all weights.
        ratio: share / uniform. None if no group keeps any.
    """
    kept_total, size = (sum(g[k] for g in groups.values()) for k in ("kept", "size"))
    return {
        name: {
            "share": g["kept"] / kept_total if kept_total else None,
            "uniform": g["size"] / size,
            "ratio": g["kept"] * size / (kept_total * g["size"]) if kept_total else None,
        }
        for name, g in groups.items()
    }


def distance_from_uniform(shares: dict[str, dict[str, float | None]]) -> float | None:
    """Return ½ Σ |share - uniform|, the part of the kept weights that a uniform allocation would put elsewhere.

    None if no weight is kept.
    """
    differences = [abs(g["share"] - g["uniform"]) for g in shares.values() if g["share"] is not None and g["uniform"]]
    return sum(differences) / 2 if differences else None


def largest(masks: Masks, weights: Mapping[str, Tensor]) -> Masks:
    """Return Top(|W|) of the pre-trained weights W: as many of every matrix as M keeps."""
    return {n: top(weights[n].detach().cpu().abs(), count_kept({n: m})) for n, m in masks.items()}


def hubs_of(masks: Masks, place: PlaceOf, layout: Layout, tops: Masks | None) -> dict[str, Any]:
    """Return `hubs.facts`. tops: see `largest`; None if the pre-trained weights are not available."""
    heads = {kind: layout.heads_of(kind) for kind in (*ROWS_BY_HEAD, "attention-output")}
    arrays, tops_arrays = ({n: m.bool().cpu().numpy() for n, m in x.items()} for x in (masks, tops or {}))
    reference = {n: hubs.sides(n, m, place) for n, m in tops_arrays.items()}
    return hubs.facts(arrays, place, heads, None if tops is None else hubs.sets(reference, place, heads))


def against_magnitude(masks: Masks, weights: Mapping[str, Tensor], same_counts: Masks | None = None) -> dict[str, Any]:
    """Compare M with Top(|W|) of the pre-trained weights W at the same sparsity. For the numbers see `overlap`.

    Args:
        masks: M, by parameter name.
        weights: W.
        same_counts: see `largest`; None to compute it.

    Returns:
        local: Top keeps as many weights of every matrix as M does, and chance draws within every matrix. This measures
            the choice within the matrices.
        global: Top is one ranking over all matrices, and chance is one urn. This includes the choice of the matrices.
    """
    S = {n: weights[n].detach().cpu().abs() for n in masks}
    same_counts = largest(masks, weights) if same_counts is None else same_counts
    M, local_top, global_top = (
        pack(MaskFile(m, "", ""))
        for m in (
            masks,
            same_counts,
            keep_top(S, sparsity(masks), "global"),
        )
    )
    local_overlap, global_overlap = pair(M, local_top), pair(M, global_top)
    return {
        "local": local_overlap["within"] | {"matrices": local_overlap["matrices"]},
        "global": {k: v for k, v in global_overlap.items() if k not in ("only", "matrices", "mean_jaccard")},
    }


def _remaining(masks: Masks, group: Callable[[str], str]) -> dict[str, dict[str, float]]:
    """Return the kept weights, size and kept fraction of each group of matrices."""
    totals: dict[str, dict[str, float]] = {}
    for name, mask in masks.items():
        total = totals.setdefault(group(name), {"kept": 0, "size": 0})
        total["kept"] += count_kept({name: mask})
        total["size"] += mask.numel()
    return {name: total | {"remaining": total["kept"] / total["size"]} for name, total in totals.items()}


def degrees(mask: Tensor, kind: str) -> dict[str, Any]:
    """Return the distributions of in-degrees and out-degrees of an [out, in] mask.

    An in-degree counts the kept weights of a row, an out-degree those of a column. Word embeddings are [tokens, width],
    and each row is a source, so rows and columns are exchanged.
    """
    rows, columns = mask.bool().sum(1), mask.bool().sum(0)
    in_degrees, out_degrees = (columns, rows) if kind == "embeddings" else (rows, columns)
    return {"in": distribution(in_degrees), "out": distribution(out_degrees)}


def distribution(degree: Tensor) -> dict[str, Any]:
    """Return the mean, the Gini coefficient and the QUANTILES, interpolated linearly, of degrees, [units]."""
    x = degree.double()
    levels = torch.tensor(QUANTILES, dtype=torch.double)
    return {"mean": float(x.mean()), "gini": gini(x), "quantiles": torch.quantile(x, levels).tolist()}


def gini(x: Tensor) -> float | None:
    """Return the Gini coefficient G = Σᵢ Σⱼ |xᵢ - xⱼ| / (2 n Σ x).

    G is 0 if all values are equal, and 1 - 1/n if one value has the whole sum. None if all values are zero. It is
    computed from the sorted values, x₍₁₎ the smallest: G = 2 Σᵢ i x₍ᵢ₎ / (n Σ x) - (n + 1) / n.
    """
    n, total = x.numel(), float(x.sum())
    if not total:
        return None
    rank = torch.arange(1, n + 1, dtype=torch.double)
    return float(2 * (rank * x.double().sort().values).sum() / (n * total) - (n + 1) / n)
