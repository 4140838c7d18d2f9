"""The sparsity that names a count of removed weights with the fewest digits. This module does not import torch."""

from __future__ import annotations


def shortest_sparsity(removed: int, size: int) -> float:
    """Return the sparsity with the fewest digits, at least 2, that removes as many weights, to within one."""
    return next(x for x in (round(removed / size, d) for d in range(2, 11)) if abs(removed - size * x) <= 1)
