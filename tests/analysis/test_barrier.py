"""Points on the line between two networks, and heights of barriers, by hand."""

import pytest
import torch

from prunebert.analysis import barrier


@pytest.mark.parametrize(
    ("errors", "over_mean", "over_line", "alpha"),
    [
        ([0.2, 0.5, 0.4], 0.2, 0.2, 0.5),  # mean of the ends .3, and the line is .3 in the middle
        ([0.1, 0.3, 0.5], 0.2, 0.0, 1.0),  # no barrier, but half the ends' difference counts for the first definition
        ([0.4, 0.1, 0.4], 0.0, 0.0, 0.0),  # the middle is better than both
        ([0.0, 0.6, 1.0], 0.5, 0.1, 1.0),
    ],
)
def test_heights_by_both_definitions(errors, over_mean, over_line, alpha):
    found = barrier.heights(errors, [0, 0.5, 1])
    assert found == {
        "over_mean_of_ends": pytest.approx(over_mean),
        "over_line": pytest.approx(over_line),
        "alpha": alpha,
    }


def test_points_of_the_line_and_the_union_of_the_masks():
    theta = {"W": torch.tensor([[4.0, 8.0, 6.0]]), "b": torch.tensor([1.0])}
    other = {"W": torch.tensor([[2.0, -4.0, 6.0]]), "b": torch.tensor([3.0])}
    M, N = {"W": torch.tensor([[True, True, False]])}, {"W": torch.tensor([[True, False, False]])}
    point = barrier.between(theta, other, (M, N), 0.25)
    assert point["W"].tolist() == [[3.5, 6.0, 0.0]] and point["b"].tolist() == [1.5]  # .75 · 4 + .25 · 2; .75 · 8
    assert barrier.between(theta, other, (M, N), 0.0)["W"].tolist() == [[4.0, 8.0, 0.0]]
    assert barrier.between(theta, other, (M, N), 1.0)["W"].tolist() == [[2.0, 0.0, 0.0]]
    either = barrier.union(M, N)
    assert either["W"].tolist() == [[True, True, False]]
    assert barrier.kept_fraction(either, {"W": 3}) == pytest.approx(2 / 3)
    assert barrier.between(theta, other, (either, either), 0.5)["W"].tolist() == [[3.0, 2.0, 0.0]]


def test_a_matrix_that_one_run_does_not_prune_is_dense_in_the_union():
    mask = {"W": torch.tensor([True, False]), "V": torch.tensor([False, False])}
    either = barrier.union(mask, {"W": torch.tensor([False, False])})
    assert either.keys() == {"W"} and barrier.kept_fraction(either, {"W": 2, "V": 2}) == 0.75
