"""Compare Friedman's test with scipy's and with a count by hand, and the critical difference with Demšar's tables."""

import numpy as np
import pytest
from scipy import stats

from prunebert.report.statistics.friedman import critical_difference, friedman


def test_with_many_tasks_p_is_that_of_the_chi_squared_approximation():
    random = np.random.default_rng(0)
    for effect in (0.0, 0.25, 0.4):
        scores = random.random((80, 4)) + effect * np.array([0, 0.2, 0.4, 0.6])
        ours, theirs = friedman(stats.rankdata(scores, axis=1)), stats.friedmanchisquare(*scores.T).pvalue
        assert ours == pytest.approx(theirs, abs=0.015)


def test_with_few_tasks_p_is_the_share_of_all_permutations():
    """Three tasks rank three methods equally. Of the 6^3 permutations, the 6 with equal rows have the same spread."""
    assert friedman(np.array([[1.0, 2.0, 3.0]] * 3)) == pytest.approx(6 / 6**3, abs=0.004)
    assert friedman(np.array([[1.5, 1.5], [1.5, 1.5]])) == 1


def test_the_critical_difference_has_demsars_quantiles():
    """His Table 5 (a), and the example of page 15: four classifiers on 14 data sets have CD = 1.25."""
    quantiles = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for methods, q in enumerate(quantiles, 2):
        unit = np.sqrt(methods * (methods + 1) / (6 * 10))
        assert critical_difference(methods, 10) / unit == pytest.approx(q, abs=0.0015)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
