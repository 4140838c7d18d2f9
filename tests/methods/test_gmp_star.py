"""GMP★: the recipe's schedule of many updates against a second formulation, in function calls without training."""

import math

import numpy as np
import pytest

from prunebert import distill
from prunebert.fit import Fit
from prunebert.methods.gmp_star import gmp_star
from prunebert.schedules import Cubic, Linear
from tests import merged

SETTINGS = {"updates": 3000, "allocation": "uniform", "prunable": "encoder", "head": "linear", "distill": distill.none}


def of_steps(steps: int, sparsity: float, net, task, **changes):
    """Return the phase of a run of so many steps with the recipe's schedule."""
    fit = Fit(epochs=1, steps=steps, batch_size=4, lr=1e-3, head_lr=1e-3)
    settings = SETTINGS | {"fit": fit, "schedule": Cubic(sparsity, 2 / 30, 20 / 30)} | changes
    phase = next(gmp_star(net, task, **settings))
    assert phase.name == "prune" and phase.steps == steps
    return phase


@pytest.mark.parametrize("steps", [30, 90, 2])
def test_the_masks_of_the_recipe_step_by_step(net, task, steps):
    """Epoch e of 30 removes 0.9 (1 - (1 - (e - 2)/18)³) of each matrix's smallest weights; a removed one stays removed.

    The weights change before every step, by numbers of numpy.
    """
    phase, random = of_steps(steps, 0.9, net, task), np.random.default_rng(0)
    W = net.prunable()
    stays, removed = {n: np.ones(w.shape, bool) for n, w in W.items()}, 0.0
    total = sum(x.size for x in stays.values())
    for step in range(1, steps + 1):
        for w in W.values():
            w.data.add_(w.data.new_tensor(random.normal(0, 0.005, w.shape)))
        M = phase.masks(step / steps, False)
        epoch = 30 * math.floor(3000 * step / steps + 1e-9) / 3000
        sparsity = 0.9 * (1 - (1 - min(max(epoch - 2, 0) / 18, 1)) ** 3)
        if sparsity > removed:  # from epoch 20 on the masks stay
            for n, w in W.items():
                size, count = np.where(stays[n], np.abs(w.detach().numpy()), -1), int(M[n].sum())
                assert abs(count - size.size * (1 - sparsity)) < 1  # every matrix alike, to one weight
                stays[n] = size >= np.sort(size.ravel())[size.size - count]
            removed = sparsity
        assert all(np.array_equal(M[n].numpy(), stays[n]) for n in W), step
        assert abs(sum(x.sum() for x in stays.values()) - (1 - sparsity) * total) <= 0.5 + 1e-6
    assert removed == 0.9


def test_settled_is_the_first_progress_of_the_final_sparsity(net, task):
    """A linear rise still changes the masks at step 59 of 90. The last update is at step 60, the end of epoch 20."""
    phase = of_steps(90, 0.9, net, task, schedule=Linear(0.9, 2 / 30, 20 / 30))
    removed = [sum(int((~m).sum()) for m in phase.masks(step / 90, True).values()) for step in range(1, 91)]
    assert removed.index(removed[-1]) + 1 == 60 and 59 / 90 < phase.settled <= 60 / 90


@pytest.mark.parametrize("sparsity", [0.0, 0.97])
def test_the_sparsity_is_exact(net, task, sparsity):
    M = of_steps(2, sparsity, net, task).masks(1.0, True)
    total = sum(m.numel() for m in M.values())
    assert abs(sum(int((~m).sum()) for m in M.values()) - sparsity * total) <= 0.5


def test_the_teacher_replaces_the_labels_unless_there_is_none():
    """Hardness 1: the weight of the teacher's term is 1, that of the labels 0. The temperature is 2."""
    teacher = merged.config(method="gmp_star", task="squad")["method"]["distill"]
    assert (teacher["_target_"], teacher["weight"], teacher["temperature"]) == ("prunebert.distill.logits", 1.0, 2.0)
    none = merged.config(method="gmp_star", task="squad", distill="none")["method"]["distill"]
    assert none["_target_"] == "prunebert.distill.none"
