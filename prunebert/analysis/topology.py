"""Topology: what a sub-network looks like. Pure functions from masks to numbers; nothing is copied from a flag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from prunebert.analysis.live_paths import Place, alive, dead
from prunebert.analysis.overlap import pair
from prunebert.masks.maskfile import MaskFile, pack
from prunebert.masks.top_v import Masks, keep_top, kept, sparsity, top

ROWS_BY_HEAD = ("query", "key", "value")  # a head owns rows of these [out, in] matrices and columns of attention-output


def facts(
    masks: Masks,
    place: Place,
    head_count: int,
    sizes: dict[str, dict[str, int]],
    model_size: int,
    *,
    pooled: bool = True,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """All of a run's topology.json but its history.

    sizes, model_size: as `denominators` takes them; pooled: as `alive` does; weights: the pre-trained ones, for their
    magnitudes, where they are known.

    effective: of the masks without the weights that lie on no path from input to output; the fraction removed is then
    the effective sparsity. budget: shares of the kept weights, and what part of these lies elsewhere than in a budget
    that keeps the same fraction everywhere (moved: ½ Σ |share - uniform|).
    """
    live = alive(masks, place, head_count, pooled)
    groups = {"layers": lambda n: str(place(n)[0]), "kinds": lambda n: place(n)[1], "matrices": lambda n: n}
    shares = {group: budget(_shares(masks, by)) for group, by in groups.items()}
    return {
        **denominators(masks, sizes, model_size),
        "sparsity_effective": sparsity(live),
        **describe(masks, place, head_count),
        "effective": denominators(live, sizes, model_size) | {k: _shares(live, by) for k, by in groups.items()},
        "dead": dead(masks, place, head_count),
        "degrees": {n: degrees(m, place(n)[1]) for n, m in masks.items()},
        "budget": shares | {"moved": {k: moved(of) for k, of in shares.items()}},
        "magnitude": None if weights is None else against_magnitude(masks, weights),
    }


def denominators(masks: Masks, sizes: dict[str, dict[str, int]], model_size: int) -> dict[str, float]:
    """The removed fraction under every denominator the papers use.

    sizes: for each prunable set ("encoder", …) its matrices' sizes; one without a mask is dense. model_size: all
    parameters of encoder and head.
    """
    removed = {n: m.numel() - kept({n: m}) for n, m in masks.items()}
    found = {}
    for which, matrices in sizes.items():
        gone = sum(removed.get(n, 0) for n in matrices)
        found[f"sparsity_{which}"] = gone / sum(matrices.values())
    return found | {"sparsity_model": sum(removed.values()) / model_size}


def matrix(mask: Tensor) -> dict[str, Any]:
    """Of one [out, in] mask: shape, kept and remaining weights, and the rows and columns with nothing left."""
    M = mask.bool()
    return {
        "shape": list(M.shape),
        "kept": (count := int(torch.count_nonzero(M))),
        "remaining": count / M.numel(),
        "dead_rows": int((~M.any(1)).sum()),
        "dead_columns": int((~M.any(0)).sum()),
    }


def heads(mask: Tensor, kind: str, count: int) -> list[float]:
    """Remaining fraction of each attention head's share of a query, key, value or attention-output matrix."""
    M = mask.float() if kind in ROWS_BY_HEAD else mask.float().T
    return M.reshape(count, -1).mean(1).tolist()


def describe(masks: Masks, place: Place, head_count: int) -> dict[str, Any]:
    """Per matrix, layer, kind and attention head: what remains; dead rows and columns of every matrix."""
    matrices, by_head = {}, {}
    for name, mask in masks.items():
        layer, kind = place(name)
        matrices[name] = {"layer": layer, "kind": kind, **matrix(mask)}
        if kind in (*ROWS_BY_HEAD, "attention-output"):
            by_head[name] = heads(mask, kind, head_count)
    return {
        "matrices": matrices,
        "layers": _shares(masks, lambda n: str(place(n)[0])),
        "kinds": _shares(masks, lambda n: place(n)[1]),
        "heads": by_head,
    }


def budget(groups: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Each group's share of the kept weights, that under a uniform budget (its share of all weights), and the ratio."""
    left, size = (sum(g[k] for g in groups.values()) for k in ("kept", "size"))
    return {
        name: {
            "share": g["kept"] / left if left else None,
            "uniform": g["size"] / size,
            "ratio": g["kept"] * size / (left * g["size"]) if left else None,
        }
        for name, g in groups.items()
    }


def moved(shares: dict[str, dict[str, float | None]]) -> float | None:
    """½ Σ |share - uniform|: the part of a budget that would have to move to make it uniform; null of nothing."""
    known = [abs(g["share"] - g["uniform"]) for g in shares.values() if g["share"] is not None and g["uniform"]]
    return sum(known) / 2 if known else None


def against_magnitude(masks: Masks, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What M shares with Top(|W|) of the pre-trained weights W, at the same sparsity (numbers: see `overlap`).

    local: as many kept in every matrix as M keeps there, chance drawing there too: the choice within a matrix alone.
    global: one ranking over all of them, and chance one urn: the choice of matrices included.
    """
    S = {n: weights[n].detach().cpu().abs() for n in masks}
    M, local, one = (
        pack(MaskFile(m, "", ""))
        for m in (masks, {n: top(S[n], kept({n: m})) for n, m in masks.items()}, keep_top(S, sparsity(masks), "global"))
    )
    by_matrix, overall = pair(M, local), pair(M, one)
    return {
        "local": by_matrix["within"] | {"matrices": by_matrix["matrices"]},
        "global": {k: v for k, v in overall.items() if k not in ("only", "matrices", "mean_jaccard")},
    }


def _shares(masks: Masks, group: Callable[[str], str]) -> dict[str, dict[str, float]]:
    """Kept weights, size and remaining fraction of each group of matrices."""
    found: dict[str, dict[str, float]] = {}
    for name, mask in masks.items():
        entry = found.setdefault(group(name), {"kept": 0, "size": 0})
        entry["kept"] += kept({name: mask})
        entry["size"] += mask.numel()
    return {g: e | {"remaining": e["kept"] / e["size"]} for g, e in found.items()}


QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def degrees(mask: Tensor, kind: str) -> dict[str, Any]:
    """Of an [out, in] mask the distributions of in-degrees (kept weights of a row) and out-degrees (of a column). Word
    embeddings are [tokens, width], one row a source: there it is the other way round.
    """
    rows, columns = mask.bool().sum(1), mask.bool().sum(0)
    into, out_of = (columns, rows) if kind == "embeddings" else (rows, columns)
    return {"in": distribution(into), "out": distribution(out_of)}


def distribution(degree: Tensor) -> dict[str, Any]:
    """Mean, Gini coefficient and the QUANTILES (between two units: linear) of one degree a unit."""
    x = degree.double()
    at = torch.tensor(QUANTILES, dtype=torch.double)
    return {"mean": float(x.mean()), "gini": gini(x), "quantiles": torch.quantile(x, at).tolist()}


def gini(x: Tensor) -> float | None:
    """G = Σᵢ Σⱼ |xᵢ - xⱼ| / (2 n Σ x): 0 where all are the same, 1 - 1/n where one has everything; null of all zeros.

    From the sorted values, x₍₁₎ the smallest: G = 2 Σᵢ i x₍ᵢ₎ / (n Σ x) - (n + 1) / n.
    """
    n, total = x.numel(), float(x.sum())
    if not total:
        return None
    rank = torch.arange(1, n + 1, dtype=torch.double)
    return float(2 * (rank * x.double().sort().values).sum() / (n * total) - (n + 1) / n)
