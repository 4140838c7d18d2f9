"""Choose the sparsities whose masks are drawn. A map takes half a second, and a page shows one at a time."""

from __future__ import annotations

MAX_MAPS = 6  # of a kind on a page (weights left, overlaps), but at least one for each table
FIRST = 0.9  # of the only sparsity that is drawn: the nearest to this


def choose_sparsities(sparsities: list[float], tables: int) -> list[float]:
    """Return the sparsities of one table whose weights left and overlaps are drawn.

    They are evenly spread, with the first and the last.

    Args:
        sparsities: those of the table's pruned runs, sorted.
        tables: how many tables the page has. They share `MAX_MAPS`.
    """
    most = max(1, MAX_MAPS // tables)
    if len(sparsities) <= most:
        return sparsities
    if most == 1:
        return [min(sparsities, key=lambda sparsity: abs(sparsity - FIRST))]
    return [sparsities[round(i * (len(sparsities) - 1) / (most - 1))] for i in range(most)]


def not_mapped(left_out: list[float]) -> str:
    """Return what the page says about the sparsities that are not drawn."""
    names = ", ".join(f"{sparsity:g}" for sparsity in left_out)
    return (
        f"A page draws the weights left and the overlaps at {MAX_MAPS} sparsities, or at one of each table. They are "
        f"not drawn at {names}. Give the report only the runs of a table or of a sparsity to see its maps."
    )
