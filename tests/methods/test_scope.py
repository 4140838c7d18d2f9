"""The scope of every method's ranking, against numpy's sort: every matrix by itself, or all of them together."""

import numpy as np
import pytest
import torch

from prunebert.methods.gradual import gmp
from prunebert.methods.imp import imp
from prunebert.methods.movement import hard
from prunebert.methods.random import random
from prunebert.schedules import Cubic
from tests.methods.test_phases import FIXED, RANDOM
from tests.methods.test_trained_magnitude import GMP, IMP, MOVEMENT


def smallest_removed(scores, sparsity, scope):
    """Return masks that numpy's sort gives: of every matrix, or of all together."""
    flat = {n: s.detach().double().numpy().ravel() for n, s in scores.items()}
    together = np.sort(np.concatenate(list(flat.values())))
    cuts = {n: (together if scope == "global" else np.sort(x)) for n, x in flat.items()}
    return {n: flat[n] >= cuts[n][round(sparsity * len(cuts[n]))] for n in flat}


@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("name", ["gmp", "imp", "movement", "random"])
def test_the_scope_of_every_ranking(net, task, name, scope):
    """0.25 of 1,024 and of 2,048 weights are whole numbers, and the scores have no ties."""
    generator = torch.Generator().manual_seed(3)
    drawn = {n: torch.rand(w.shape, generator=generator) for n, w in net.prunable().items()}
    magnitudes = {n: w.detach().abs().clone() for n, w in net.prunable().items()}
    if name == "random":
        phase = next(random(net, task, sparsity=0.25, **FIXED | RANDOM | {"allocation": scope, "seed": 3}))
        masks, scores = phase.masks(1.0, True), drawn
    elif name == "movement":
        phase = next(hard(net, task, **MOVEMENT | {"schedule": Cubic(0.25), "allocation": scope}))
        for n, s in phase.train[-1].tensors.items():
            s.copy_(drawn[n])
        masks, scores = phase.masks(1.0, True), drawn
    elif name == "gmp":
        phase = next(gmp(net, task, **GMP | {"schedule": Cubic(0.25), "allocation": scope}))
        masks, scores = phase.masks(1.0, True), magnitudes
    else:
        _, phase = imp(net, task, **IMP | {"sparsity": 0.25, "step": 0.25, "allocation": scope})
        masks, scores = phase.masks(1.0, True), magnitudes
    expected = smallest_removed(scores, 0.25, scope)
    assert masks.keys() == expected.keys() and all(
        np.array_equal(m.numpy().ravel(), expected[n]) for n, m in masks.items()
    )
    shares = {float(m.float().mean()) for m in masks.values()}
    assert (shares == {0.75}) == (scope == "uniform")
