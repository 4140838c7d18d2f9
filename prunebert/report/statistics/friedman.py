"""Test whether methods differ over several tasks: Friedman's test on ranks, and Nemenyi's critical difference.

Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006, sections 3.2.1 and 3.2.2.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

MIN_TASKS = 5  # of fewer tasks, the ranks are not tested
PERMUTATIONS = 9999
SEED = 0  # a report that is written again has the same p


def friedman(ranks: np.ndarray) -> float:
    """Return the p-value of Friedman's test, from permutations of the ranks within each task.

    The chi-squared approximation of the test is rough for few tasks; permutations are not.

    Args:
        ranks: tasks × methods; equal scores have their mean rank.
    """
    generator = np.random.default_rng(SEED)
    observed = _spread(ranks)
    count = 0
    size = max(1, 10**6 // ranks.size)
    for begin in range(0, PERMUTATIONS, size):
        several = np.broadcast_to(ranks, (min(size, PERMUTATIONS - begin), *ranks.shape))
        count += int((_spread(generator.permuted(several, axis=-1)) >= observed - 1e-9).sum())
    return (1 + count) / (1 + PERMUTATIONS)


def _spread(ranks: np.ndarray) -> np.ndarray:
    """Return the squares of the methods' rank sums, added up.

    Friedman's statistic grows with it, and nothing else of it changes when ranks are permuted within tasks.
    """
    return (ranks.sum(axis=-2) ** 2).sum(axis=-1)


def critical_difference(methods: int, tasks: int, level: float = 0.05) -> float:
    """Return Nemenyi's critical difference: mean ranks that differ by at least as much differ significantly.

    CD = q √(k (k + 1) / (6 N)), where q is the quantile of the studentized range, divided by √2 (Demšar 2006, p. 11).

    Args:
        methods: their number k.
        tasks: their number N.
        level: the significance level of all comparisons together.
    """
    q = stats.studentized_range.ppf(1 - level, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * tasks)))
