"""Degrees: how many of its weights every unit keeps, and how evenly. Every matrix is one bipartite graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
