"""Movement's initial scores, and what the learning rate of the scores decides from each."""

from types import SimpleNamespace

import torch

import prunebert
from prunebert.methods.movement import initial_scores


def test_initial_scores():
    W = {"w": torch.tensor([[1.0, -3.0], [0.0, 4.0]])}  # mean |W| = 2
    net = SimpleNamespace(prunable=lambda which: W, new_scores=lambda which: {"w": torch.zeros(2, 2)})
    assert initial_scores(net, "encoder", "magnitude")["w"].tolist() == [[0.5, 1.5], [0.0, 2.0]]
    assert initial_scores(net, "encoder", "zero")["w"].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_untrained_scores_from_the_magnitudes_keep_the_largest_weights(finished):
    run = prunebert.load(
        finished("method=movement", "method.score_init=magnitude", "method.score_lr=0", "sparsity=0.5")
    )
    pretrained = run.net.parameters_of()
    assert run.masks
    for name, mask in run.masks.items():
        W = pretrained[name].detach().abs()
        assert W[mask].min() >= W[~mask].max()


def masks_with(finished, *words):
    return prunebert.load(finished("method=movement", "sparsity=0.5", *words)).masks


def test_from_zero_the_learning_rate_of_the_scores_changes_no_mask(finished):
    # AdamW scales every step of a score by the rate; a power of two does so without rounding
    slow, fast = (masks_with(finished, f"method.score_lr={2.0**exponent}") for exponent in (-10, -4))
    assert all(torch.equal(slow[n], fast[n]) for n in slow)


def test_from_the_magnitudes_the_learning_rate_of_the_scores_changes_masks(finished):
    word = "method.score_init=magnitude"
    slow, fast = (masks_with(finished, word, f"method.score_lr={2.0**exponent}") for exponent in (-10, -4))
    assert any(not torch.equal(slow[n], fast[n]) for n in slow)
