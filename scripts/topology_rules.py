"""Decide a claim about topology: the rules were fixed before the runs of the results page were looked at.

- yes: the statement holds in every task, with a p below LEVEL after Holm's correction.
- no: the opposite is significant in a task, or the effect is smaller than the smallest one that counts.
- cannot say: otherwise, with fewer than MIN_SEEDS seeds, or where a setting fixes what the statement is about.

A statement is about every task, so its p is the largest over the tasks (intersection-union test; Berger, Technometrics
24, 1982). The p of the opposite is the smallest over the tasks times their number (Bonferroni). Holm's correction is
over the statements of one table. The rows beside them (other methods and sparsities) are corrected apart,
one statement at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from prunebert.report.statistics.friedman import friedman
from prunebert.report.statistics.paired import holm

LEVEL = 0.05
MIN_SEEDS = 3
RATIO = 1.1  # two remaining fractions whose ratio is between 1 / RATIO and RATIO count as level
MOVED = 0.01  # less than this part of the kept weights elsewhere than under a uniform allocation counts as uniform
SHARED = 0.05  # less overlap beyond chance counts as none
KNOWN = 0.01  # a smaller difference of two overlaps counts as none
DRAWS = 1999  # random masks or exchanges that a null model draws
SEED = 0  # of all draws: the same runs give the same numbers

RULES = {
    "level": LEVEL,
    "fewest seeds": MIN_SEEDS,
    "level fractions: ratio at most": RATIO,
    "uniform: moved weights below": MOVED,
    "no overlap: beyond chance below": SHARED,
    "no task known: difference below": KNOWN,
    "draws": DRAWS,
}


@dataclass
class Part:
    """What was measured in one task."""

    task: str
    number: float | None  # None if it has no value
    low: float | None = None
    high: float | None = None
    p: float | None = None  # None: there is no test, or all seeds have the same number


@dataclass
class Evidence:
    """What the runs say about one statement, before the correction for several tests."""

    parts: list[Part] = field(default_factory=list)
    p: float | None = None  # that the statement would look so true in every task by chance
    p_opposite: float | None = None  # the same of its opposite in at least one task
    certain: str = ""  # "yes" or "no" without a test, see `why`
    why: str = ""  # the reason of a certain answer, or why nothing can be said
    facts: dict[str, Any] = field(default_factory=dict)  # further numbers


def decide(rows: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Return p_holm, p_opposite_holm, verdict and because of each row of one table."""
    corrected = [_holm([getattr(row, name) for row in rows]) for name in ("p", "p_opposite")]
    return [
        {"p_holm": p, "p_opposite_holm": opposite}
        | dict(zip(("verdict", "because"), _verdict(row, p, opposite), strict=True))
        for row, p, opposite in zip(rows, *corrected, strict=True)
    ]


def _holm(p: Sequence[float | None]) -> list[float | None]:
    corrected = iter(holm([x for x in p if x is not None]))
    return [None if x is None else next(corrected) for x in p]


def _verdict(row: Evidence, p: float | None, opposite: float | None) -> tuple[str, str]:
    if row.certain or row.why:
        return row.certain or "cannot say", row.why
    if p is not None and p < LEVEL:
        return "yes", "in every task"
    if opposite is not None and opposite < LEVEL:
        return "no", "the opposite is significant"
    smallest = row.facts.get("smallest_p")
    if smallest is not None and p is not None and p >= LEVEL and row.p is not None and row.p <= smallest * (1 + 1e-9):
        return "cannot say", f"too few runs: the smallest possible p is {smallest:.2g}"
    return "cannot say", "not significant"


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean; without width if all values are equal."""
    if np.ptp(values) < 1e-12:
        return float(values[0]), float(values[0])
    low, high = stats.ttest_1samp(values, 0).confidence_interval(1 - LEVEL)
    return float(low), float(high)


def t_p(values: Sequence[float], centre: float = 0.0, side: str = "two-sided") -> float:
    """Return the p-value of a t-test of the mean against `centre`; 0 or 1 if all values are equal.

    Masks that do not depend on the seed have equal values. Nothing is left to chance then.
    """
    difference = np.subtract(values, centre)
    if np.ptp(difference) < 1e-12:
        sign = {"two-sided": abs(difference[0]), "greater": difference[0], "less": -difference[0]}[side]
        return 0.0 if sign > 1e-12 else 1.0
    return float(stats.ttest_1samp(difference, 0, alternative=side).pvalue)


def direction(
    values: Mapping[str, Sequence[float]], signs: Mapping[str, int], *, scores: bool = False, bound: float = 0.0
) -> Evidence:
    """Test whether the mean over seeds is on the claimed side of 0 in every part.

    Args:
        values: of every part (a task, or a task and a sparsity) the seeds' numbers: logarithms of ratios, or scores.
        signs: of every part, the claimed side: 1 or -1.
        scores: whether the values are differences of scores. Equal ones are then a coincidence, and no answer.
        bound: if the intervals of all parts lie within ± bound, the effect is too small to count.
    """
    shown = float if scores else math.exp
    p = {name: t_p(x) for name, x in values.items()}
    agrees = {name: float(np.mean(x)) * signs[name] > 0 for name, x in values.items()}
    parts = [
        Part(name, shown(float(np.mean(x))), *map(shown, t_interval(x)), p=p[name] or None)
        for name, x in values.items()
    ]
    if too_few := fewest(values):
        return Evidence(without_tests(parts), why=too_few)
    if scores and not all(map(np.ptp, values.values())):
        return Evidence(without_tests(parts), why="the seeds of a task have the same difference, so there is no test")
    if max(abs(x) for seeds in values.values() for x in t_interval(seeds)) < bound:
        return Evidence(parts, certain="no", why=f"within a factor of {math.exp(bound):g} in every task")
    claimed = max(p[name] if agrees[name] else 1.0 for name in values)
    opposite = min(p[name] if not agrees[name] else 1.0 for name in values)
    return _tested(parts, claimed, min(1.0, opposite * len(values)))


def level(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Evidence:
    """Test whether all ratios of every task lie between 1 / RATIO and RATIO: two one-sided t-tests of each.

    Args:
        values: by task and group, the seeds' logarithms of the group's fraction ÷ the fraction of all groups.
    """
    bound, parts, within, beyond = math.log(RATIO), [], [], []
    for task, groups in values.items():
        furthest = max(groups, key=lambda g: abs(np.mean(groups[g])))
        means = groups[furthest]
        parts.append(Part(task, math.exp(np.mean(means)), *map(math.exp, t_interval(means))))
        sides = [max(t_p(x, -bound, "greater"), t_p(x, bound, "less")) if len(x) > 1 else 1.0 for x in groups.values()]
        parts[-1].p = max(sides) or None
        within.append(max(sides))
        beyond += [min(t_p(x, bound, "greater"), t_p(x, -bound, "less")) for x in groups.values() if len(x) > 1]
    if too_few := fewest({task: next(iter(groups.values())) for task, groups in values.items()}):
        return Evidence(without_tests(parts), why=too_few)
    return _tested(parts, max(within), min(1.0, 2 * len(beyond) * min(beyond)))


def fewest(values: Mapping[str, Sequence[Any]]) -> str:
    """Return why there are too few seeds; "" if there are enough in every part."""
    if not values:
        return "no runs"
    least = min(map(len, values.values()))
    return "" if least >= MIN_SEEDS else f"fewer than {MIN_SEEDS} seeds"


def without_tests(parts: Sequence[Part]) -> list[Part]:
    """Return the parts without p and interval."""
    return [Part(part.task, part.number) for part in parts]


def _tested(parts: list[Part], p: float, opposite: float) -> Evidence:
    """Return the evidence. A p of 0 comes from equal values alone, which no test can judge: it is left out."""
    same = "every seed has the same number, so there is no test"
    if p == 0.0 or opposite == 0.0:
        return Evidence(parts, certain="yes" if p == 0.0 else "no", why=same)
    return Evidence(parts, p, opposite)


def uneven(kept: Sequence[int], sizes: Sequence[int]) -> float:
    """Return the p-value that a random mask with the same total spreads its weights as unevenly over the groups.

    The statistic is Pearson's Σ (kept - expected)² / expected. Its null distribution is drawn: the multivariate
    hypergeometric one.

    Args:
        kept: of each group, the number of kept weights.
        sizes: of each group, the number of weights.
    """
    total = sum(kept)
    if not 0 < total < sum(sizes):
        return 1.0
    expected = total * np.asarray(sizes) / sum(sizes)
    drawn = np.random.default_rng(SEED).multivariate_hypergeometric(sizes, total, size=DRAWS, method="marginals")
    observed, random = (((np.asarray(x) - expected) ** 2 / expected).sum(-1) for x in (kept, drawn))
    return float((1 + np.count_nonzero(random >= observed * (1 - 1e-12))) / (1 + DRAWS))


def concordance(fractions: np.ndarray) -> tuple[float | None, float]:
    """Return Kendall's W and its p-value from permutations within each row; W is None if every row is all ties.

    W is 1 if all rows rank the columns alike, and on average 1 / rows if they rank at random. It is corrected for ties
    (Kendall & Gibbons, "Rank Correlation Methods", 1990, chapter 6).

    Args:
        fractions: [seeds or tasks, groups].
    """
    ranks = stats.rankdata(fractions, axis=1)
    m, n = ranks.shape
    ties = sum(float((t**3 - t).sum()) for t in (np.unique(row, return_counts=True)[1] for row in ranks))
    denominator = m**2 * (n**3 - n) - m * ties
    if denominator <= 0:
        return None, 1.0
    squares = ((ranks.sum(0) - m * (n + 1) / 2) ** 2).sum()
    return float(12 * squares / denominator), friedman(ranks)


def within_matrices(matrices: Sequence[tuple[int, int, int]], shared: int) -> float:
    """Return the p-value that random masks with the same count in every matrix share as many weights.

    Args:
        matrices: of each matrix, its size and the weights that either mask keeps.
        shared: the weights that both masks keep.
    """
    random = np.random.default_rng(SEED)
    drawn = sum((random.hypergeometric(a, n - a, b, DRAWS) for n, a, b in matrices), np.zeros(DRAWS, np.int64))
    return float((1 + np.count_nonzero(drawn >= shared)) / (1 + DRAWS))


def exchange(overlaps: np.ndarray) -> tuple[float, float, float, list[float]]:
    """Test whether masks of the same task share more than masks of different tasks, at other seeds.

    The statistic is the mean overlap of pairs of one task minus that of pairs of two tasks; both seeds of a pair
    differ. The null model exchanges the tasks of each seed's masks. Exchanges of all seeds together change nothing, so
    those of the first seed are left out. All are counted if they are at most 10 × DRAWS, else DRAWS are drawn.

    Args:
        overlaps: [seeds, tasks, seeds, tasks].

    Returns:
        The statistic, its p-value, the smallest p-value that so many runs allow, and the statistic of each two seeds.
    """
    seeds, tasks = overlaps.shape[:2]
    pairs = list(itertools.combinations(range(seeds), 2))

    def of_pair(a: int, b: int, orders: Sequence[Sequence[int]]) -> float:
        square = overlaps[a, :, b, :][np.ix_(orders[a], orders[b])]
        same = float(np.trace(square))
        return same / tasks - (float(square.sum()) - same) / (tasks * (tasks - 1))

    def statistic(orders: Sequence[Sequence[int]]) -> float:
        return float(np.mean([of_pair(a, b, orders) for a, b in pairs]))

    fixed = tuple(range(tasks))
    observed = statistic([fixed] * seeds)
    count = math.factorial(tasks) ** (seeds - 1)
    if count <= 10 * DRAWS:
        orders = itertools.product(itertools.permutations(fixed), repeat=seeds - 1)
        hits, total = sum(statistic([fixed, *x]) >= observed - 1e-12 for x in orders), count
    else:
        random = np.random.default_rng(SEED)
        drawn = ([fixed, *(random.permutation(tasks) for _ in range(seeds - 1))] for _ in range(DRAWS))
        hits, total = 1 + sum(statistic(x) >= observed - 1e-12 for x in drawn), 1 + DRAWS
    return observed, hits / total, 1 / total, [of_pair(a, b, [fixed] * seeds) for a, b in pairs]
