"""Distillation losses of labels of words, in numpy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from prunebert import distill
from prunebert.network.interface import Outputs
from tests.distill.test_losses import TINYBERT, attending, drawn, taught


@pytest.mark.parametrize("option", ["logits", "tinybert"])
def test_labels_of_words_are_taught_at_the_tokens_that_have_one(monkeypatch, option):
    """Three of six tokens have a label. The term is a mean over them, and no other token has a gradient."""
    student, target = drawn(2, 3, 4).requires_grad_(True), drawn(2, 3, 4, seed=1)
    layer = (torch.zeros(2, 3, 2),), (torch.zeros(2, 1, 3, 3),)
    settings = (TINYBERT if option == "tinybert" else {"weight": 1.0}) | {"temperature": 2.0}
    task = SimpleNamespace(regression=False, span=False, tokens=True)
    teach = taught(monkeypatch, getattr(distill, option), Outputs(target, *layer), task, **settings)
    batch = attending([1, 1, 1], [1, 1, 1])
    batch.labels = torch.tensor([[-100, 3, -100], [0, -100, 1]])
    loss = teach(Outputs(student, *layer), batch, {})["kd_logits"]
    places = [(0, 1), (1, 0), (1, 2)]
    p, q = (np.stack([log_softmax(x[i].detach().double().numpy() / 2) for i in places]) for x in (target, student))
    expected = 4 * (np.exp(p) * (p - q)).sum() / 3 if option == "logits" else -(np.exp(p) * q).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    (slope,) = torch.autograd.grad(loss, student)
    assert sorted(map(tuple, slope.abs().sum(-1).nonzero().tolist())) == places
    batch.labels = torch.full((2, 3), -100)  # a batch whose words have no token
    assert teach(Outputs(student, *layer), batch, {})["kd_logits"] == 0
