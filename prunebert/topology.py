"""Topology: what a sub-network looks like. Pure functions from masks to numbers; nothing is copied from a flag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from prunebert.masks import Masks

Place = Callable[[str], tuple[int, str]]  # parameter name -> (layer, kind); layer -1 for pooler and embeddings
ROWS_BY_HEAD = ("query", "key", "value")  # a head owns rows of these [out, in] matrices and columns of attention-output


def denominators(masks: Masks, sizes: dict[str, dict[str, int]], model_size: int) -> dict[str, float]:
    """The removed fraction under every denominator the papers use.

    sizes: for each prunable set ("encoder", …) its matrices' sizes; one without a mask is dense. model_size: all
    parameters of encoder and head.
    """
    removed = {n: int((~m.bool()).sum()) for n, m in masks.items()}
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
        "kept": int(M.sum()),
        "remaining": float(M.float().mean()),
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


def _shares(masks: Masks, group: Callable[[str], str]) -> dict[str, dict[str, float]]:
    """Kept weights, size and remaining fraction of each group of matrices."""
    found: dict[str, dict[str, float]] = {}
    for name, mask in masks.items():
        entry = found.setdefault(group(name), {"kept": 0, "size": 0})
        entry["kept"] += int(mask.sum())
        entry["size"] += mask.numel()
    return {g: e | {"remaining": e["kept"] / e["size"]} for g, e in found.items()}
