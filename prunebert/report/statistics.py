"""The tests behind the table of differences. scipy computes them; what they mean is told in `TOLD`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

SEEDS = 3  # fewer seeds are not tested
TOLD = (
    "Two questions, two tests, both two-sided and paired by seed; only seeds that both rows have are compared.\n"
    "Examples: are these trained networks different on this evaluation data? Each example counts once, so that "
    "several seeds do not pass for more data: it goes to the row that got it right under more seeds, ties are left "
    "out, and the rest is a sign test (scipy.stats.binomtest, one half); with one seed this is McNemar's exact test. "
    "Seeds of which only the row of an earlier report is at hand, not the predictions, do not enter, which is told. "
    "Where an example has a graded score (a question's F1, the share of a block's tokens, minus the absolute error of "
    "a regression), the difference of its means over the seeds enters a Wilcoxon signed-rank test "
    "(scipy.stats.wilcoxon). A metric that is no mean over examples (Matthews' correlation, F1 of a class) has no "
    "value of an example: the test is then on right or wrong, not on the metric; a correlation is tested on absolute "
    "errors.\n"
    "Seeds: would the methods differ when trained again? A t-test on the scores of the same seeds "
    f"(scipy.stats.ttest_rel) from {SEEDS} seeds on; with fewer, none. It takes the differences for normal, which a "
    "handful of seeds can neither show nor refute.\n"
    "All p-values of one table, of both tests, are corrected together by Holm's method; p is shown before and after."
)


@dataclass(frozen=True)
class Test:
    """p: None where nothing was tested, and then `why` not. won: "won : lost" of a test over examples. part: of the
    seeds that were tested, where it is not all."""

    p: float | None
    why: str = ""
    won: str = "–"
    part: str = ""


def over_examples(ours: Sequence[pd.Series], theirs: Sequence[pd.Series]) -> Test:
    """Scores by example, a Series a seed, the k-th of `ours` paired with the k-th of `theirs`."""
    if not ours:
        return Test(None, "no seed in common")
    base = ours[0].index
    if any(len(s) != len(base) or not s.index.isin(base).all() for s in (*ours, *theirs)):
        return Test(None, "not the same examples")
    differences = pd.concat([a.reindex(base) - b.reindex(base) for a, b in zip(ours, theirs, strict=True)], axis=1)
    if all(s.isin((0.0, 1.0)).all() for s in (*ours, *theirs)):
        sums = differences.sum(axis=1)
        won, lost = int((sums > 0).sum()), int((sums < 0).sum())
        p = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
        return Test(p, won=f"{won} : {lost}")
    means = differences.mean(axis=1).to_numpy()
    p = float(stats.wilcoxon(means).pvalue) if means.any() else 1.0
    return Test(p, won=f"{int((means > 0).sum())} : {int((means < 0).sum())}")


def over_seeds(ours: Sequence[float], theirs: Sequence[float]) -> Test:
    """Scores of the same seeds, in the same order."""
    n = len(ours)
    if n < SEEDS:
        return Test(None, f"too few seeds ({n})")
    differences = np.subtract(ours, theirs)
    if np.ptp(differences) < 1e-12:  # no variance to measure against
        return Test(None, "seeds differ alike" if abs(differences[0]) > 1e-12 else "no seed differs")
    return Test(float(stats.ttest_rel(ours, theirs).pvalue))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction (1979): the k-th smallest of m, times m - k + 1, never below one before it, at most 1."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return corrected.tolist()
