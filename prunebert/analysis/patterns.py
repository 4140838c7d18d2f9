"""Patterns: the shape of a run's masks, as asked for and as measured.

`masks/regularity.py` defines the patterns N:M and RxC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebert.masks import regularity
from prunebert.masks.pattern import NONE
from prunebert.masks.regularity import in_blocks, kept_in_groups, parse

if TYPE_CHECKING:
    from prunebert.masks.top_v import Masks

GROUPS = (4, 8, 16)  # M of the patterns N:M that are looked for
# The blocks that are looked for, each after all that divide it. Where several hold, the last one is reported.
BLOCKS = ((1, 4), (4, 1), (1, 8), (8, 1), (4, 4), (1, 16), (16, 1), (1, 32), (32, 1), (8, 8), (16, 16), (32, 32))
KERNEL = (2, 4)  # N:M of the sparse kernels that GPUs have


@dataclass(frozen=True)
class Measured:
    """The shape of one mask."""

    most: dict[int, int | None]  # by M of GROUPS, the most weights that a group keeps; None if M does not divide
    blocks: frozenset[tuple[int, int]]  # those of BLOCKS that hold
    kept: int  # weights that stay
    size: int  # all weights
    groups: int  # groups of KERNEL
    fitting: int  # those of them that keep no more weights than KERNEL allows

    @property
    def partial(self) -> bool:
        """Whether some weights stay and some do not."""
        return 0 < self.kept < self.size


def facts(masks: Masks, asked: str = NONE) -> dict[str, Any]:
    """Return topology.json's `pattern`.

    Args:
        masks: M, bool by parameter name.
        asked: the pattern in the run's settings.

    Returns:
        asked: the same.
        satisfied: whether all masks satisfy it. None if it is "none".
        found: what all masks satisfy, see `found`.
        matrices: `found` of each matrix for which it differs. Matrices that keep everything or nothing are left out.
        groups_2_4: the share of the groups of four columns that keep at most two weights. A kernel for 2:4 could run
            these groups as they are. None if no matrix has such groups.
    """
    arrays = {n: m.bool().cpu().numpy() for n, m in masks.items()}
    wanted = parse(asked)
    measured = {n: measure(mask) for n, mask in arrays.items()}
    all_found = found(measured.values())
    by_matrix = {n: found([m]) for n, m in measured.items() if m.partial}
    groups = sum(m.groups for m in measured.values())
    return {
        "asked": asked,
        "satisfied": regularity.satisfied(arrays.values(), wanted) if wanted else None,
        "found": all_found,
        "matrices": {n: one for n, one in by_matrix.items() if one != all_found},
        "groups_2_4": sum(m.fitting for m in measured.values()) / groups if groups else None,
    }


def measure(mask: np.ndarray) -> Measured:
    """Measure one [out, in] bool mask."""
    counts = {width: kept_in_groups(mask, width) for width in GROUPS}
    blocks: set[tuple[int, int]] = set()
    for rows, columns in BLOCKS:
        inside = [(r, c) for r, c in BLOCKS if (r, c) != (rows, columns) and not rows % r and not columns % c]
        if blocks.issuperset(inside) and in_blocks(mask, rows, columns):
            blocks.add((rows, columns))
    of_kernel = counts[KERNEL[1]]
    return Measured(
        {width: None if c is None else int(c.max(initial=0)) for width, c in counts.items()},
        frozenset(blocks),
        int(np.count_nonzero(mask)),
        mask.size,
        0 if of_kernel is None else of_kernel.size,
        0 if of_kernel is None else int(np.count_nonzero(of_kernel <= KERNEL[0])),
    )


def found(measured: Iterable[Measured]) -> dict[str, str | None]:
    """Return what several masks satisfy together.

    Returns:
        n_m: the N:M where no group keeps more than N weights, and N is the mean of the groups rounded up. The second
            condition leaves out what sparse masks satisfy by accident. Of several the one with the smallest N/M, and
            then the smallest M. None if there is none, or if no weight stays.
        block: the RxC with the most weights. None if no block of BLOCKS holds, or no mask removes only a part.
    """
    shapes = list(measured)
    kept, size = sum(m.kept for m in shapes), sum(m.size for m in shapes)
    patterns = []
    for width in GROUPS:
        most = max((width if (count := m.most[width]) is None else count for m in shapes), default=width)
        if most < width and (most - 1) * size < kept * width:
            patterns.append((most / width, width, f"{most}:{width}"))
    partial = [m for m in shapes if m.partial]
    common = [block for block in BLOCKS if all(block in m.blocks for m in partial)] if partial else []
    return {
        "n_m": min(patterns)[2] if patterns and kept else None,
        "block": f"{common[-1][0]}x{common[-1][1]}" if common else None,
    }


def words(pattern: dict[str, Any]) -> str:
    """Return what `facts` measured, in a line."""
    n_m, block, share = pattern["found"]["n_m"], pattern["found"]["block"], pattern["groups_2_4"]
    parts = [x for x in (n_m, block and f"blocks of {block}") if x] or ["none"]
    kernel = "" if share is None else f"; {share:.2%} of the groups of 4 columns keep at most 2 weights"
    return f"{', '.join(parts)}{kernel}"
