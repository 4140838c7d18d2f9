"""Test whether two rows differ, over examples and over seeds. `EXPLANATION` is what the page says about the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from prunebert.report.statistics.examples import aligned
from prunebert.report.statistics.friedman import MIN_TASKS
from prunebert.runs.comparability import MIN_SEEDS

EXPLANATION = (
    "There are two tests, one for each of two questions. Both are two-sided and paired by seed. Only seeds that "
    "both rows have are compared.\n"
    "Examples: do these trained networks differ on this evaluation data? Each example counts once, however many "
    "seeds there are. It counts for the row that got it right under more seeds; ties are left out. The rest "
    "enters a sign test (scipy.stats.binomtest, probability one half). With one seed this is McNemar's exact "
    "test. A seed without predictions is left out, and the table notes it; the row of an earlier report has none. "
    "Some examples have a graded score: a question's F1, the share of a block's tokens, or minus the absolute "
    "error of a regression. Then the mean difference over the seeds enters a Wilcoxon signed-rank test "
    "(scipy.stats.wilcoxon). Some metrics are not a mean over examples (Matthews' correlation, F1 of a class). "
    "For these the test compares right and wrong answers, not the metric. For a correlation it compares absolute "
    "errors.\n"
    "Seeds: would the methods differ if they were trained again? This is a paired t-test on the scores of the "
    f"same seeds (scipy.stats.ttest_rel). It needs at least {MIN_SEEDS} seeds. It assumes normal differences, which a "
    "handful of seeds can neither confirm nor refute.\n"
    "All p-values of one table, from both tests and against all baselines, are corrected together by Holm's "
    "method. The table shows p before and after the correction.\n"
    "Intervals: both are 95 % intervals of the mean difference. Over seeds it is the interval of the t-test. Over "
    "examples it is a percentile bootstrap: the examples are drawn again with replacement, and the metric is "
    "computed anew. It needs a metric that follows from single predictions: a mean over examples, Matthews' "
    "correlation, F1 of a class or Pearson's correlation. An interval is not corrected, so it can leave out 0 "
    "where the corrected p is above 0.05.\n"
    "Bold: the best mean of a column is bold if tests separate it from each of its rivals. Rivals have the same "
    f"sparsity of the same matrices. The test over seeds decides if two rows share at least {MIN_SEEDS} seeds. "
    "Otherwise it is the test over examples. Holm's method corrects the p-values of one column. These are other "
    "p-values than those of the differences to a baseline, so the two may disagree near 0.05.\n"
    "Ranks: 1 is the best row of a task. Friedman's test asks whether the mean ranks differ more than chance "
    "allows; its p-value is that of random permutations of the ranks within the tasks. If it is below 0.05, "
    f"Nemenyi's test compares each pair of rows. Both need at least {MIN_TASKS} tasks (Demšar 2006)."
)


@dataclass(frozen=True)
class Test:
    """The result of one test."""

    p: float | None  # None if nothing was tested
    reason: str = ""  # why nothing was tested
    wins: str = "–"  # "won : lost", of a test over examples
    part: str = ""  # "1 of 2 seeds", if not all seeds were tested
    lead: float = 0.0  # of a test over examples: above 0 if our examples are better, below 0 if worse


def over_examples(ours: Sequence[pd.Series], theirs: Sequence[pd.Series]) -> Test:
    """Test over examples: a sign test for right or wrong, a Wilcoxon signed-rank test for graded scores.

    Args:
        ours: a Series per seed, of scores by example.
        theirs: the baseline's, in the same order of seeds.
    """
    if not ours:
        return Test(None, "no seed in common")
    scores = aligned([*ours, *theirs])
    if not len(scores):
        return Test(None, "not the same examples")
    differences = (scores[: len(ours)] - scores[len(ours) :]).T
    if ((scores == 0) | (scores == 1)).all():
        sums = differences.sum(axis=1)
        won, lost = int((sums > 0).sum()), int((sums < 0).sum())
        p = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
        return Test(p, wins=f"{won} : {lost}", lead=won - lost)
    means = differences.mean(axis=1)
    p = float(stats.wilcoxon(means).pvalue) if means.any() else 1.0
    return Test(p, wins=f"{int((means > 0).sum())} : {int((means < 0).sum())}", lead=float(means.sum()))


def over_seeds(ours: Sequence[float], theirs: Sequence[float]) -> Test:
    """Test over seeds by a paired t-test. Both sequences hold the scores of the same seeds in the same order."""
    if reason := why_untested(ours, theirs):
        return Test(None, reason)
    return Test(float(t_test(tuple(ours), tuple(theirs)).pvalue))


def why_untested(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return why the seeds allow neither a t-test nor its interval; "" if they do."""
    if len(ours) < MIN_SEEDS:
        return f"too few seeds ({len(ours)})"
    differences = np.subtract(ours, theirs)
    if np.ptp(differences) < 1e-12:  # no variance to measure against
        return "all seeds differ equally" if abs(differences[0]) > 1e-12 else "no seed differs"
    return ""


@lru_cache(maxsize=1)
def t_test(ours: tuple[float, ...], theirs: tuple[float, ...]) -> Any:
    """Return scipy's paired t-test, which has a p-value and an interval. The last one is kept, for both are needed."""
    return stats.ttest_rel(ours, theirs)


def holm(p: Sequence[float]) -> list[float]:
    """Apply Holm's correction (1979): multiply the k-th smallest of m by m - k + 1.

    A corrected value is at least the one before it, and at most 1.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return corrected.tolist()
