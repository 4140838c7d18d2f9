"""Draw the rows of two parts by a seed: the rows that scikit-learn's train_test_split draws.

Importing scikit-learn takes a second, and a lone run needs nothing else of it before its first step. The order of the
draws is scikit-learn's, so that the splits of earlier versions stay. A test compares both.
"""

from __future__ import annotations

import math

import numpy as np

SEED = 0  # every run has the same split


def draw(rows: int, held_out: float | int, strata: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of training and those held out, each in random order.

    Args:
        rows: how many there are.
        held_out: the fraction (float) or the number (int) of rows that are held out.
        strata: [rows], the class of each row, whose proportions both parts keep; None: no classes.

    Raises ValueError if a part would have no row, or fewer rows than there are classes, and for a class of one row.
    """
    out = held_out if isinstance(held_out, int) else math.ceil(held_out * rows)
    kept = rows - out
    random = np.random.RandomState(SEED)
    if strata is None:
        if min(kept, out) < 1:
            raise ValueError(f"{out} of {rows} would be held out, and both parts need one")
        shuffled = random.permutation(rows)
        return shuffled[out:], shuffled[:out]
    _, classes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    if counts.min() < 2 or min(kept, out) < len(counts):
        raise ValueError(f"{out} of {rows} rows would be held out, and both parts need one of each class")
    quota = _shares(counts, kept, random)
    out_quota = _shares(counts - quota, out, random)
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number, (first, second) in enumerate(zip(quota, out_quota, strict=True)):
        members = random.permutation(np.flatnonzero(classes == number))
        parts[0].append(members[:first])
        parts[1].append(members[first : first + second])
    return random.permutation(np.concatenate(parts[0])), random.permutation(np.concatenate(parts[1]))


def _shares(counts: np.ndarray, total: int, random: np.random.RandomState) -> np.ndarray:
    """Share `total` rows among classes in proportion to `counts`, by largest remainder. Ties are broken at random."""
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    remainders = exact - shares
    left = int(total - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if left <= 0:
            break
        tied = np.flatnonzero(remainders == remainder)
        winners = random.choice(tied, size=min(len(tied), left), replace=False)
        shares[winners] += 1
        left -= len(winners)
    return shares.astype(int)
