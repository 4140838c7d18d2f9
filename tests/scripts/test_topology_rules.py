"""Test the statistics of scripts/topology_rules.py against other formulations."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tests.scripts.topology_toys import rules, verdict


def test_uneven_agrees_with_all_masks_of_a_small_network():
    sizes, kept = (3, 4, 5), (3, 1, 0)
    group_of = np.repeat(np.arange(3), sizes)
    expected = sum(kept) * np.array(sizes) / 12

    def statistic(counts):
        return sum((counts - expected) ** 2 / expected)

    every = [np.bincount(group_of[list(x)], minlength=3) for x in itertools.combinations(range(12), sum(kept))]
    exact = np.mean([statistic(x) >= statistic(np.array(kept)) - 1e-9 for x in every])
    assert 0.01 < exact < 0.1
    assert rules.uneven(kept, sizes) == pytest.approx(exact, abs=4 * math.sqrt(exact / rules.DRAWS))


def test_uneven_has_uniform_p_under_its_null_model():
    sizes = (40, 60, 100)
    urn = np.random.default_rng(5).multivariate_hypergeometric(sizes, 60, size=400)
    p = np.array([rules.uneven(x, sizes) for x in urn.tolist()])
    for level in (0.05, 0.2, 0.5, 0.8):  # the counts are discrete, so p may be smaller less often
        share = np.mean(p <= level)
        assert share <= level + 4 * math.sqrt(level * (1 - level) / 400) and share > level - 0.15, level


@pytest.mark.parametrize("decimals", [6, 1])  # without ties, and with many
def test_concordance_agrees_with_friedmans_statistic(decimals):
    fractions = np.random.default_rng(3).random((4, 6)).round(decimals) + np.arange(6) * 0.2
    w, p = rules.concordance(fractions)
    assert w == pytest.approx(stats.friedmanchisquare(*fractions.T).statistic / (4 * 5)) and 0 < p < 0.05
    assert rules.concordance(np.ones((3, 4))) == (None, 1.0)
    w, p = rules.concordance(np.array([[1, 2]] * 3))
    assert w == 1 and p == pytest.approx(1 / 4, abs=0.02)


def test_within_matrices_agrees_with_the_convolution_of_two_urns():
    urns, shared = [(20, 8, 6), (15, 5, 5)], 7
    first, second = (stats.hypergeom.pmf(np.arange(9), n, a, b) for n, a, b in urns)
    exact = np.convolve(first, second)[shared:].sum()
    assert rules.within_matrices(urns, shared) == pytest.approx(exact, abs=4 * math.sqrt(exact / rules.DRAWS))


def test_exchange_counts_the_labellings_that_keep_the_seeds():
    """Relabel the masks themselves, rather than the overlaps, and count."""
    random = np.random.default_rng(2)
    task_of = np.tile([0, 1, 2], (3, 1))  # [seeds, masks]
    cores = [random.random(300) < 0.2 for _ in range(3)]
    masks = [[cores[t] | (random.random(300) < 0.5) for t in row] for row in task_of]

    def overlap(x, y):
        return np.count_nonzero(x & y) / min(x.sum(), y.sum())

    square = np.array([[[[overlap(x, y) for y in row] for row in masks] for x in seed] for seed in masks])

    def statistic(labels):
        same, other = [], []
        for (s, m), (s2, m2) in itertools.combinations(itertools.product(range(3), range(3)), 2):
            if s != s2:
                side = same if labels[s][m] == labels[s2][m2] else other
                side.append(overlap(masks[s][m], masks[s2][m2]))
        return np.mean(same) - np.mean(other)

    observed = statistic(task_of)
    orders = list(itertools.permutations(range(3)))
    every = [statistic(labels) for labels in itertools.product(orders, repeat=3)]
    p = np.mean([x >= observed - 1e-12 for x in every])
    number, found, smallest, of_pairs = rules.exchange(square)
    assert number == pytest.approx(observed) and found == pytest.approx(p) and smallest == 1 / 36
    assert np.mean(of_pairs) == pytest.approx(observed) and len(of_pairs) == 3
    assert rules.exchange(np.full((3, 3, 3, 3), 0.3))[:2] == (pytest.approx(0), 1.0)


def test_direction_takes_the_weakest_task():
    values = {"a": [0.30, 0.32, 0.29], "b": [0.10, 0.20, 0.16]}
    evidence = rules.direction(values, dict.fromkeys(values, 1))
    p = {task: stats.ttest_1samp(x, 0).pvalue for task, x in values.items()}
    assert evidence.p == pytest.approx(p["b"]) and evidence.p_opposite == 1
    assert evidence.parts[1].number == pytest.approx(math.exp(np.mean(values["b"])))
    half = stats.t.ppf(0.975, 2) * np.std(values["b"], ddof=1) / math.sqrt(3)
    assert evidence.parts[1].high == pytest.approx(math.exp(np.mean(values["b"]) + half))
    evidence = rules.direction(values, dict.fromkeys(values, -1))
    assert evidence.p == 1 and evidence.p_opposite == pytest.approx(2 * p["a"]) and verdict(evidence) == "no"
    evidence = rules.direction({"a": [0.3, 0.31]}, {"a": 1})
    assert verdict(evidence) == "cannot say" and evidence.parts[0].p is None and evidence.parts[0].low is None


def test_a_direction_that_is_too_small_to_count_is_none():
    values = {"a": [0.030, 0.032, 0.029], "b": [-0.01, 0.02, 0.016]}
    signs = dict.fromkeys(values, 1)
    assert verdict(rules.direction({"a": values["a"]}, signs)) == "yes"
    assert verdict(rules.direction(values, signs)) == "cannot say"
    assert verdict(rules.direction(values, signs, bound=math.log(rules.RATIO))) == "no"


def test_equal_differences_of_scores_are_no_answer():
    """Equal ratios come from equal masks; equal scores are a coincidence, as at the constant baseline."""
    values = {"a": [0.2, 0.2, 0.2], "b": [0.1, 0.11, 0.12]}
    signs = dict.fromkeys(values, 1)
    assert verdict(rules.direction({"a": values["a"]}, signs)) == "yes"
    evidence = rules.direction(values, signs, scores=True)
    assert verdict(evidence) == "cannot say" and "no test" in evidence.why and evidence.parts[0].p is None


def test_level_is_two_one_sided_tests():
    values = {"a": {"x": [0.02, 0.03, 0.01], "y": [-0.02, -0.05, -0.03]}}
    bound = math.log(rules.RATIO)
    p = [
        max(
            stats.ttest_1samp(x, -bound, alternative="greater").pvalue,
            stats.ttest_1samp(x, bound, alternative="less").pvalue,
        )
        for x in values["a"].values()
    ]
    evidence = rules.level(values)
    assert evidence.p == pytest.approx(max(p)) and verdict(evidence) == "yes"
    assert evidence.parts[0].number == pytest.approx(math.exp(-0.1 / 3))
    assert verdict(rules.level({"a": {"x": [0.5, 0.51, 0.52], "y": [-0.4, -0.41, -0.42]}})) == "no"
    assert verdict(rules.level({"a": {"x": [0.5, -0.51, 0.3], "y": [-0.4, 0.41, -0.2]}})) == "cannot say"


def test_holm_corrects_the_statements_of_a_table_together():
    rows = [rules.Evidence(p=0.02), rules.Evidence(p=0.03), rules.Evidence(why="no runs"), rules.Evidence(p=0.01)]
    found = rules.decide(rows)
    assert [x["p_holm"] for x in found] == [pytest.approx(0.04), pytest.approx(0.04), None, pytest.approx(0.03)]
    assert [x["verdict"] for x in found] == ["yes", "yes", "cannot say", "yes"]
    assert [x["verdict"] for x in rules.decide([rules.Evidence(p=0.03), rules.Evidence(p=0.03)])] == ["cannot say"] * 2
