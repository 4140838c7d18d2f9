"""A step must not wait for the device. `meta` tensors have shapes and no values, so reading a value raises."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.methods.dense import dense
from prunebert.methods.gradual import gmp
from prunebert.methods.movement import hard
from prunebert.methods.platon import platon
from prunebert.methods.smp import smp
from prunebert.schedules import Cubic
from prunebert.system.impl import Impl
from prunebert.training import step as steps
from prunebert.training.step import Stepper
from tests.methods.test_phases import SMP
from tests.methods.test_platon import SETTINGS as PLATON
from tests.methods.test_trained_magnitude import GMP, MOVEMENT

META = torch.device("meta")
FIT = Fit(epochs=1, steps=50, batch_size=8, lr=1e-3, head_lr=1e-3)
WITHOUT_WAITING = {
    "dense": (dense, {"fit": FIT, "head": "linear"}),
    "smp, local": (smp, SMP | {"fit": FIT, "schedule": Cubic(0.9), "allocation": "uniform"}),
    "smp, global": (smp, SMP | {"fit": FIT, "schedule": Cubic(0.9), "allocation": "global"}),
    "movement": (hard, MOVEMENT | {"fit": FIT, "schedule": Cubic(0.9)}),
    "movement, global": (hard, MOVEMENT | {"fit": FIT, "schedule": Cubic(0.9), "allocation": "global"}),
    "gmp": (gmp, GMP | {"fit": FIT, "schedule": Cubic(0.9)}),
    "platon": (platon, PLATON | {"fit": FIT, "schedule": Cubic(0.9), "interval": 1}),
}


@pytest.fixture
def unreadable(monkeypatch):
    """Return an Impl whose device is meta. The fused optimizer does not support it; the plain one is equivalent."""
    monkeypatch.setattr(
        steps, "OPTIMIZERS", {"adamw": partial(torch.optim.AdamW, foreach=True), "adamax": torch.optim.Adamax}
    )
    monkeypatch.setattr(Impl, "torch_device", META)
    return Impl(device="cpu", precision="fp32", compile=False, threads=1)


def take(method, settings, net, task, impl, count=3):
    phase = next(method(net, task, **settings))
    step, batches = Stepper(net.train(), phase, seed=0, impl=impl), phase.task.batches(8, 0)
    return [step(20 + k, next(batches)) for k in range(count)]


@pytest.mark.parametrize("name", WITHOUT_WAITING)
def test_a_step_never_synchronises_with_the_device(unreadable, net, task, name):
    method, settings = WITHOUT_WAITING[name]
    for terms, masks in take(method, settings, net.to(META), task, unreadable):
        assert terms["task"].device == META and all(m.device == META for m in masks.values())


def test_a_step_that_synchronises_raises(unreadable, net, task):
    """Without Triton, SMP-S needs the number of remaining weights of each matrix on the host."""
    with pytest.raises(RuntimeError):
        take(smp, SMP | {"fit": FIT, "schedule": Cubic(0.9), "allocation": "score"}, net.to(META), task, unreadable)


def test_a_penalty_is_part_of_the_loss(net, task, impl):
    """One step of plain gradient descent equals a step on the sum's gradient, although it has two backward passes."""
    phase = next(smp(net, task, **SMP | {"fit": FIT, "schedule": Cubic(0.9)}))
    scores, head = phase.train[0], phase.train[1:]
    phase = replace(
        phase, train=[replace(scores, optimizer="sgd", lr=1.0), *head], fit=replace(FIT, clip=1e9, warmup=0.0)
    )
    batch = next(task.batches(8, 0))
    S = {n: x.clone().requires_grad_(True) for n, x in scores.tensors.items()}
    step = Stepper(net.eval(), phase, seed=0, impl=impl)
    rate = phase.fit.rate(10, phase.steps)
    t = 11 / phase.steps
    masks = straight_through(phase.masks(t, True), S)
    R, current_R = (torch.stack([s.sigmoid().mean() for s in x.values()]).mean() for x in (S, scores.tensors))
    penalty = phase.penalty(t)["sparsity"].item() / current_R.item() * R
    (phase.loss(net(batch, phase.head, masks), batch, t)["task"] + penalty).backward()
    terms, _ = step(10, batch)
    assert list(terms) == ["task", "sparsity"] and penalty.item() > 1
    for n, x in scores.tensors.items():
        assert torch.allclose(x, S[n] - rate * S[n].grad, atol=1e-6) and S[n].grad.abs().max() > 1e-4


def test_a_phase_sees_its_gradients_before_and_after_the_step(net, task, impl):
    """`gradients` has the clipped gradient and the old tensor, `after` the same gradient and the new one."""
    phase = next(smp(net, task, **SMP | {"fit": FIT, "schedule": Cubic(0.9)}))
    scores = phase.train[0]
    S = next(iter(scores.tensors.values()))
    seen = []

    def look(t):
        seen.append((t, S.detach().clone(), S.grad.clone()))

    phase = replace(
        phase,
        train=[replace(scores, optimizer="sgd", lr=1.0)],
        fit=replace(FIT, warmup=0.0),
        gradients=look,
        after=look,
    )
    step = Stepper(net.eval(), phase, seed=0, impl=impl)
    step(10, next(task.batches(8, 0)))
    (t, old, gradient), (t_after, new, same) = seen
    assert t == t_after == 11 / phase.steps and torch.equal(gradient, same) and gradient.abs().max() > 0
    assert torch.allclose(new, old - phase.fit.rate(10, phase.steps) * gradient) and not torch.equal(new, old)


def test_a_tensor_whose_gradient_a_phase_removes_does_not_move(net, task, impl):
    phase = next(smp(net, task, **SMP | {"fit": FIT, "schedule": Cubic(0.9)}))
    scores = phase.train[0]
    kept, moved, *_ = scores.tensors.values()

    def remove(t):
        kept.grad = None

    phase = replace(phase, train=[scores], gradients=remove)
    before = kept.clone(), moved.clone()
    Stepper(net.eval(), phase, seed=0, impl=impl)(10, next(task.batches(8, 0)))
    assert torch.equal(kept, before[0]) and not torch.equal(moved, before[1])
