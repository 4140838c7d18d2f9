"""Random draws in the shape of a tensor: their distribution, and that the generator alone decides them."""

import pytest
import torch

from prunebert.masks.draws import normal_like, shuffled, uniform_like

X = torch.zeros(200, 150)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("draw", "mean", "std", "low", "high"),
    [
        (uniform_like, 0.5, 12**-0.5, 0.0, 1.0),
        (lambda x, g: normal_like(x, g, -2.0, 0.25), -2.0, 0.25, -3.5, -0.5),
    ],
)
def test_draws_have_their_distribution(draw, mean, std, low, high):
    torch.manual_seed(3)  # the global generator decides nothing
    drawn = draw(X, generator(0))
    assert drawn.shape == X.shape and drawn.mean().item() == pytest.approx(mean, abs=4 * std / 30_000**0.5)
    assert drawn.std().item() == pytest.approx(std, rel=0.02) and low < drawn.min() and drawn.max() < high
    torch.manual_seed(7)
    assert torch.equal(draw(X, generator(0)), drawn) and not torch.equal(draw(X, generator(1)), drawn)


def test_shuffled_values_are_the_same_ones_elsewhere():
    x = torch.arange(60.0).view(5, 12).T  # not contiguous
    torch.manual_seed(3)
    found = shuffled(x, generator(0))
    torch.manual_seed(7)
    assert found.shape == (12, 5) and sorted(found.flatten().tolist()) == list(range(60))
    assert (found == x).sum() < 10 and torch.equal(shuffled(x, generator(0)), found)
    assert not torch.equal(shuffled(x, generator(1)), found)
