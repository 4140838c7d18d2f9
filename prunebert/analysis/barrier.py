"""Points on the line between two sub-networks, and the height of the barrier on it.

Two lines are of interest. On the first, each network has its own mask: θ(α) = (1 - α) W₁⊙M₁ + α W₂⊙M₂. On the second,
both have the union of the masks: θ(α) = (1 - α) W₁⊙(M₁∪M₂) + α W₂⊙(M₁∪M₂). Heads and matrices without a mask are
interpolated on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from prunebert.masks.top_v import Masks

MEAN, LINE = "over_mean_of_ends", "over_line"
DECIMALS = 12  # a straight line has no height, whatever its rounding


def heights(errors: Sequence[float], alphas: Sequence[float]) -> dict[str, Any]:
    """Return the height of a barrier by both definitions in use.

    Args:
        errors: E(α), lower is better. The first and the last one belong to the two networks.
        alphas: the positions on the line, from 0 to 1.

    Returns:
        over_mean_of_ends: max E(α) - (E(0) + E(1)) / 2. Frankle et al. (2020) call it linear interpolation instability.
        over_line: max [E(α) - (1 - α) E(0) - α E(1)], as in Entezari et al. (2022). It is never below 0.
        alpha: the α of the largest error.
    """
    values, position = np.array(errors), np.array(alphas)
    above_line = (values - (1 - position) * values[0] - position * values[-1]).round(DECIMALS)
    mean = float((values.max() - (values[0] + values[-1]) / 2).round(DECIMALS))
    return {MEAN: mean, LINE: float(above_line.max()), "alpha": float(position[values.argmax()])}


def union(masks: Masks, others: Masks) -> dict[str, Tensor]:
    """Return M₁ ∪ M₂. A matrix that only one of the two covers is dense in the other, so it is dense in the union."""
    return {name: masks[name] | others[name] for name in masks.keys() & others.keys()}


def kept_fraction(masks: Masks, sizes: Mapping[str, int]) -> float:
    """Return the kept fraction of the matrices in `sizes` (name -> number of weights)."""
    kept = sum(int(masks[name].sum()) if name in masks else size for name, size in sizes.items())
    return kept / sum(sizes.values())


def between(
    theta: Mapping[str, Tensor], other: Mapping[str, Tensor], masks: tuple[Masks, Masks], alpha: float
) -> dict[str, Tensor]:
    """Return θ(α) = (1 - α) θ₁⊙M₁ + α θ₂⊙M₂ by name. At α = 0 and α = 1 it is exactly θ₁⊙M₁ and θ₂⊙M₂.

    Args:
        theta: θ₁ by name. Matrices without a mask, biases and the head are in it too.
        other: θ₂, with the same names.
        masks: M₁ and M₂.
        alpha: from 0 to 1.
    """
    ends = (theta, other)
    if alpha in (0, 1):  # 0 · θ is not exactly nothing: it may turn 0 into -0
        end, mask = ends[int(alpha)], masks[int(alpha)]
        return {name: x * mask[name] if name in mask else x for name, x in end.items()}
    found = {}
    for name in theta:
        first, second = (
            end[name] * mask[name] if name in mask else end[name] for end, mask in zip(ends, masks, strict=True)
        )
        found[name] = first.lerp(second, alpha)
    return found
