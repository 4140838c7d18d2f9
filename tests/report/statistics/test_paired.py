"""Compare the tests with scipy and with counts by hand. Too few seeds give no p-value."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prunebert.report.statistics.paired import holm, over_examples, over_seeds


def series(values):
    return pd.Series(np.asarray(values, float), index=[f"x{i}" for i in range(len(values))])


def test_one_seed_is_mcnemars_exact_test():
    ours, theirs = series([1] * 6 + [0] * 1 + [1] * 5 + [0] * 3), series([0] * 6 + [1] * 1 + [1] * 5 + [0] * 3)
    result = over_examples([ours], [theirs])
    assert result.wins == "6 : 1"
    assert result.p == pytest.approx(2 * (1 + 7) / 2**7)  # P(at most 1 of 7), both sides


def test_several_seeds_do_not_multiply_the_examples():
    """Four seeds with the same answers give the result of one. An example won once and lost once is a tie."""
    ours, theirs = series([1, 1, 1, 1, 1, 0]), series([0, 0, 0, 0, 0, 1])
    assert over_examples([ours] * 4, [theirs] * 4) == over_examples([ours], [theirs])
    a, b = [series([1, 0, 1]), series([0, 1, 1])], [series([0, 0, 0]), series([1, 0, 0])]
    assert over_examples(a, b).wins == "2 : 0"


def test_examples_are_aligned_by_name_and_other_examples_are_refused():
    ours, theirs = series([1, 1, 1, 0, 0]), series([1, 0, 0, 0, 0])
    assert over_examples([ours], [theirs[::-1]]) == over_examples([ours], [theirs])
    for other in (theirs[:4], theirs.rename({"x0": "y0"})):
        assert over_examples([ours], [other]).p is None and "same examples" in over_examples([ours], [other]).reason
        assert over_examples([ours, ours], [theirs, other]).p is None
    assert over_examples([], []).p is None


def test_graded_scores_are_tested_by_wilcoxon():
    random = np.random.default_rng(0)
    ours, theirs = [[series(random.random(40) + side) for _ in range(2)] for side in (0.2, 0.0)]
    means = (ours[0] - theirs[0] + ours[1] - theirs[1]).to_numpy() / 2
    result = over_examples(ours, theirs)
    assert result.p == pytest.approx(stats.wilcoxon(means).pvalue)
    won = int((means > 0).sum())
    assert result.wins == f"{won} : {40 - won}" and won > 20


def test_one_graded_score_makes_all_graded():
    """By right and wrong, 0.9 : 1 would be no loss less than 0 : 1. Differences -0.1, -1, 1, 1, 1, 1."""
    ours, theirs = series([0.9, 0, 1, 1, 1, 1]), series([1, 1, 0, 0, 0, 0])
    for a, b, wins in ((ours, theirs, "4 : 2"), (theirs, ours, "2 : 4")):
        result = over_examples([a], [b])
        assert result.wins == wins and result.p == pytest.approx(stats.wilcoxon([-0.1, -1, 1, 1, 1, 1]).pvalue)


@pytest.mark.parametrize("values", [[0.5] * 4, [1, 0, 1, 0]])
def test_where_no_example_differs_p_is_1(values):
    result = over_examples([series(values)], [series(values)])
    assert result.p == 1 and result.wins == "0 : 0"


def test_few_graded_examples_with_ties_are_tested_without_a_warning():
    assert 0 <= over_examples([series([0.5, 0.2, 0.2, 1])], [series([0.5, 0.1, 0.3, 0])]).p <= 1


def test_seeds_are_paired_and_fewer_than_three_are_not_tested():
    ours, theirs = [0.81, 0.84, 0.80], [0.79, 0.80, 0.795]
    d = np.subtract(ours, theirs)
    t = d.mean() / (d.std(ddof=1) / 3**0.5)
    assert over_seeds(ours, theirs).p == pytest.approx(2 * stats.t.sf(t, 2))
    for n in (0, 1, 2):
        assert over_seeds(ours[:n], theirs[:n]).p is None
        assert over_seeds(ours[:n], theirs[:n]).reason == f"too few seeds ({n})"


def test_differences_without_a_spread_have_no_p():
    assert over_seeds([0.5, 0.6, 0.7], [0.4, 0.5, 0.6]).reason == "all seeds differ equally"
    assert over_seeds([0.5] * 3, [0.5] * 3).reason == "no seed differs"


def test_holm_by_hand():
    """0.01·4, 0.02·3, 0.03·2 (at least the one before), 0.04·1 (likewise). At most 1. The order stays."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([0.2]) == [0.2] and holm([]) == []
    assert holm([0.6, 0.7, 0.001]) == [1.0, 1.0, pytest.approx(0.003)]  # and not 1.2
