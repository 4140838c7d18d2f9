"""A minimum that stays of every matrix, and the cut of a threshold, by hand."""

import math

import pytest
import torch

from prunebert.masks.penalty import sinh
from prunebert.masks.top_v import TopV, keep_above, keep_top, quantile, removes


def stays(M) -> dict[str, list[int]]:
    return {n: torch.nonzero(m.flatten()).flatten().tolist() for n, m in M.items()}


def test_a_score_at_the_cut_is_removed():
    S = {"a": torch.tensor([1.0, 2.0, 2.5, 3.0]), "b": torch.tensor([[2.0, 9.0]])}
    assert stays(keep_above(S, 2.0, 0.0)) == {"a": [2, 3], "b": [1]}


def test_the_minimum_of_a_matrix_is_rounded_up_and_its_largest_scores():
    S = {"a": torch.tensor([1.0, 3.0, 2.0]), "b": torch.tensor([5.0, 7.0, 8.0])}
    assert stays(keep_above(S, 7.0, 0.5)) == {"a": [1, 2], "b": [1, 2]}  # 1.5 of 3 are 2
    assert stays(keep_above(S, 9.0, 1 / 3)) == {"a": [1], "b": [2]}


def test_a_minimum_takes_from_the_other_matrices():
    """Of nine weights six stay. Alone the six of b would: a's minimum of one costs b its least."""
    S = {"a": torch.tensor([-3.0, -1.0, -2.0]), "b": torch.tensor([[5.0, 10.0, 7.0], [8.0, 9.0, 6.0]])}
    assert stays(keep_top(S, 1 / 3, "global")) == {"a": [], "b": [0, 1, 2, 3, 4, 5]}
    assert stays(TopV("global").with_floor(S, 1 / 3, 1 / 3)) == {"a": [1], "b": [1, 2, 3, 4, 5]}


def test_a_global_ranking_counts_weights_of_matrices_of_unequal_size():
    """Half of ten weights, not half of each matrix nor a mean over the two."""
    S = {"small": torch.tensor([100.0, 101.0]), "large": torch.arange(8.0)}
    assert stays(keep_top(S, 0.5, "global")) == {"small": [0, 1], "large": [5, 6, 7]}
    assert stays(keep_top(S, 0.5)) == {"small": [1], "large": [4, 5, 6, 7]}
    M, largest = TopV("global").cut(S, 0.5)
    assert largest == quantile(S, 0.5) == 4.0 and stays(M)["large"] == [5, 6, 7]


@pytest.mark.parametrize(("sparsity", "found"), [(0.0, False), (0.04, False), (0.06, True), (1.0, True)])
def test_whether_a_ranking_removes_anything(sparsity, found):
    """A twentieth of ten weights is half a weight."""
    assert removes({"a": torch.zeros(4), "b": torch.zeros(2, 3)}, sparsity) == found


def test_the_limit_of_the_force_is_symmetric_for_tensors_too():
    for x in (-50.0, -10.0, -0.5, 0.0, 3.0, 10.5):
        expected = math.sinh(max(-10.0, min(10.0, x)))
        assert sinh(x) == expected and sinh(torch.tensor(x)).item() == pytest.approx(expected, rel=1e-5)
