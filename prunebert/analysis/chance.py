"""Chance under a pattern: how much more the overlap of two random masks varies than that of unstructured ones.

Chance draws whole units of weights, as many in every urn as the mask keeps. Without a pattern a unit is one weight, and
the urn has all weights. For N:M a unit is one weight, and every group of M columns is an urn. For RxC a unit is a
block, and the urn has all blocks.

The expected overlap of masks that keep the fractions d and e of n weights is d e n under every pattern. The variance is
not the same. With m units in an urn, weights i and j of the first mask have the covariance

    C(i, j) = d (1 - d) (m [same unit] - [same urn]) / (m - 1)

and the overlap of two independent masks has the variance Σᵢⱼ C(i, j) C'(i, j). It is compared with the hypergeometric
variance of unstructured masks, d (1 - d) e (1 - e) n² / (n - 1). If one of the masks is unstructured, both are equal.
For two masks of blocks of k weights the ratio is about k; for two 2:4 masks it is about 4/3. It is 0 where the overlap
cannot vary: of every row of a 4x4 block that stays, a 2:4 mask keeps two weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from prunebert.masks import regularity
from prunebert.masks.maskfile import Packed
from prunebert.masks.pattern import Blocks

Shape = tuple[int, int]  # rows and columns


class Draw(NamedTuple):
    """What chance draws for a mask: whole units, as many in every urn."""

    unit: Shape  # the weights that stay or go together
    urn: Shape | None  # None: all weights


ANY = Draw((1, 1), None)


def draw_of(mask: Packed) -> Draw:
    """Return what chance draws for a mask. An N:M that keeps fewer than N weights of a group is drawn as any mask."""
    pattern = regularity.parse(mask.pattern)
    if pattern is None:
        return ANY
    if isinstance(pattern, Blocks):
        return Draw((pattern.rows, pattern.columns), None)
    exact = all(mask.kept[n] * pattern.of == math.prod(s) * pattern.keep for n, s in mask.shapes.items())
    return Draw((1, 1), (1, pattern.of)) if exact else ANY


@lru_cache(4096)
def spread(a: Draw, b: Draw, shapes: tuple[Shape, ...]) -> float:
    """Return the variance of the overlap of two random masks, divided by that of unstructured masks.

    Args:
        a: what chance draws for the first mask.
        b: what chance draws for the second mask.
        shapes: of the matrices that share one urn where a pattern has no smaller ones.
    """
    size = sum(map(math.prod, shapes))
    if ANY in (a, b) or size < 2:
        return 1.0
    total = Fraction(0)  # exact, because the terms may cancel
    for weight, cell in _covariance(a, size):
        for other_weight, other_cell in _covariance(b, size):
            total += weight * other_weight * _pairs(cell, other_cell, shapes)
    return float(total * (size - 1) / size**2)


def _covariance(draw: Draw, size: int) -> Iterable[tuple[Fraction, Shape | None]]:
    """Return the terms of C / (d (1 - d)), each the factor of [same cell]. There is none if an urn has one unit."""
    units = (size if draw.urn is None else math.prod(draw.urn)) // math.prod(draw.unit)
    return () if units < 2 else ((Fraction(units, units - 1), draw.unit), (Fraction(-1, units - 1), draw.urn))


def _pairs(a: Shape | None, b: Shape | None, shapes: tuple[Shape, ...]) -> int:
    """Return how many ordered pairs of weights lie in the same cell of `a` and in the same cell of `b`."""
    if a is None and b is None:
        return sum(map(math.prod, shapes)) ** 2
    return sum(
        math.prod(
            _pairs_along(side, *(side if cell is None else cell[axis] for cell in (a, b)))
            for axis, side in enumerate(shape)
        )
        for shape in shapes
    )


@lru_cache(4096)
def _pairs_along(side: int, first: int, second: int) -> int:
    """Return the same along one axis, which both cells divide into pieces of these lengths."""
    cuts = sorted({*range(0, side, first), *range(0, side, second), side})
    return sum((end - start) ** 2 for start, end in pairwise(cuts))
