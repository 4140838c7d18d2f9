"""One optimizer step by hand: the clipped norm, weight decay, ε, the rate of each group, and what is counted."""

from types import MappingProxyType, SimpleNamespace

import pytest
import torch
from torch import nn

from prunebert.fit import Fit
from prunebert.training.phase import Group, Phase
from prunebert.training.step import Stepper

ROWS = SimpleNamespace(train_rows=4)
BATCH = SimpleNamespace(to=lambda device: BATCH)
FIT = Fit(epochs=1, steps=4, batch_size=4, lr=0, head_lr=0, decay="constant", clip=1e9)


class Still(nn.Module):
    """A network that computes nothing. The losses below read the trained tensors themselves."""

    given = MappingProxyType({})  # as of a dense checkpoint

    def forward(self, batch, head, masks, needs=()):
        return None


def stepper(groups, slopes, impl, fit=FIT, net=None, **settings):
    """Return a Stepper whose loss is Σ slope · x over the named tensors, so each gradient is its slope."""
    tensors = {n: x for g in groups for n, x in g.tensors.items()}

    def loss(out, batch, t):
        return {n: (tensors[n] * torch.as_tensor(slope)).sum() for n, slope in slopes.items()}

    phase = Phase(name="x", task=ROWS, head="h", fit=fit, train=groups, masks=lambda t, hard: {}, loss=loss, **settings)
    return Stepper(net or Still(), phase, seed=0, impl=impl)


def sgd(name, *values):
    return Group(name=name, tensors={name: torch.tensor(values)}, lr=1.0, optimizer="sgd")


@pytest.mark.parametrize(("clip", "norm"), [(1.0, 7.0), (2.0, 3.5), (8.0, 1.0)])
def test_the_clipped_norm_is_that_of_all_groups_with_the_penaltys_gradient(impl, clip, norm):
    """Gradients of 2, 3 and 1 + 5 have the norm 7. Above the clip they are divided by 7 / clip, else unchanged."""
    weights, scores = sgd("weights", 0.0, 0.0), sgd("scores", 0.0)

    def penalty(t):
        scores.tensors["scores"].grad += 5  # as penalise does
        return {"sparsity": torch.zeros(())}

    fit = Fit(epochs=1, steps=4, batch_size=4, lr=0, head_lr=0, decay="constant", clip=clip)
    step = stepper([weights, scores], {"weights": [2.0, 3.0], "scores": [1.0]}, impl, fit, penalty=penalty)
    step(0, BATCH)
    assert weights.tensors["weights"].tolist() == pytest.approx([-2 / norm, -3 / norm], rel=1e-5)
    assert scores.tensors["scores"].tolist() == pytest.approx([-6 / norm], rel=1e-5)


def test_weight_decay_is_decoupled_and_that_of_each_group(impl):
    """AdamW: x ← x - lr (decay · x + sign), so 4 becomes 4 - 0.1 (0.5 · 4 ± 1). Without decay it is 4 ∓ 0.1."""
    matrices = Group(name="m", tensors={"m": torch.tensor([4.0, 4.0])}, lr=0.1, weight_decay=0.5)
    biases = Group(name="b", tensors={"b": torch.tensor([4.0, 4.0])}, lr=0.1)
    stepper([matrices, biases], {"m": [3.0, -2.0], "b": [3.0, -2.0]}, impl)(0, BATCH)
    assert matrices.tensors["m"].tolist() == pytest.approx([3.7, 3.9])
    assert biases.tensors["b"].tolist() == pytest.approx([3.9, 4.1])


def test_two_steps_of_adam_by_hand(impl):
    """Gradients of 3 and 0: m = 0.27 / (1 - 0.9²), v = 0.009 · 0.999 / (1 - 0.999²). The second step is lr m / √v."""
    x = Group(name="x", tensors={"x": torch.zeros(1)}, lr=0.1)
    phase = Phase(
        name="x",
        task=ROWS,
        head="h",
        fit=FIT,
        train=[x],
        masks=lambda t, hard: {},
        loss=lambda out, batch, t: {"l": (x.tensors["x"] * (3.0 if t == 0.25 else 0.0)).sum()},
    )
    step = Stepper(Still(), phase, seed=0, impl=impl)
    step(0, BATCH)
    step(1, BATCH)
    m, v = 0.27 / 0.19, 0.008991 / 0.001999
    assert x.tensors["x"].item() == pytest.approx(-0.1 - 0.1 * m / v**0.5, rel=1e-5)


def test_epsilon_is_that_of_each_group(impl):
    """Adam's first step is lr · g / (|g| + ε). At g = 1e-8 it is lr with ε = 1e-12, and half of it with 1e-8."""
    small = Group(name="s", tensors={"s": torch.zeros(2)}, lr=0.1, eps=1e-12)
    usual = Group(name="u", tensors={"u": torch.zeros(2)}, lr=0.1)
    stepper([small, usual], {"s": [1e-8, -1e-8], "u": [1e-8, -1e-8]}, impl)(0, BATCH)
    assert small.tensors["s"].tolist() == pytest.approx([-0.1, 0.1], rel=1e-3)
    assert usual.tensors["u"].tolist() == pytest.approx([-0.05, 0.05], rel=1e-3)


def test_two_steps_of_adamax_by_hand(impl):
    """Gradients of 3 and 0: m is 0.3 / 0.1, then 0.27 / 0.19, and u is 3, then 0.999 · 3. The step is lr m / u.

    Kingma & Ba 2015, Algorithm 2. At g = 1e-6 the first step is lr g / (|g| + ε): half of lr with ε = 1e-6.
    """
    x = Group(name="x", tensors={"x": torch.zeros(1), "s": torch.zeros(1)}, lr=0.1, optimizer="adamax", eps=1e-6)
    phase = Phase(
        name="x",
        task=ROWS,
        head="h",
        fit=FIT,
        train=[x],
        masks=lambda t, hard: {},
        loss=lambda out, batch, t: {
            "l": ((x.tensors["x"] * 3.0 + x.tensors["s"] * 1e-6) * (1.0 if t == 0.25 else 0.0)).sum()
        },
    )
    step = Stepper(Still(), phase, seed=0, impl=impl)
    step(0, BATCH)
    assert x.tensors["s"].item() == pytest.approx(-0.05, rel=1e-5)
    step(1, BATCH)
    assert x.tensors["x"].item() == pytest.approx(-0.1 - 0.1 * (0.27 / 0.19) / (0.999 * 3), rel=1e-5)


def test_every_group_follows_the_schedule_at_its_own_rate(impl):
    """Warm-up over 2 of 4 steps, then to 0: the factors are ½, 1, 1, ½, together 3. AdamW moves by 3 lr."""
    fit = Fit(epochs=1, steps=4, batch_size=4, lr=0, head_lr=0, warmup=0.5, clip=1e9)
    groups = [Group(name=n, tensors={n: torch.zeros(1)}, lr=lr) for n, lr in (("a", 0.1), ("b", 0.02))]
    plain = sgd("c", 0.0)
    step = stepper([*groups, plain], {n: [2.0] for n in "abc"}, impl, fit)
    for k in range(4):
        step(k, BATCH)
    moved = [g.tensors[g.name].item() for g in [*groups, plain]]
    assert moved == pytest.approx([-0.3, -0.06, -6.0], rel=1e-5)


def test_masks_loss_and_penalty_see_the_same_progress(impl):
    seen = []
    x = sgd("x", 0.0)
    phase = Phase(
        name="x",
        task=ROWS,
        head="h",
        fit=FIT,
        train=[x],
        masks=lambda t, hard: seen.append(t) or {},
        loss=lambda out, batch, t: seen.append(t) or {"l": x.tensors["x"].sum()},
        penalty=lambda t: seen.append(t) or {},
    )
    step = Stepper(Still(), phase, seed=0, impl=impl)
    for k in range(4):
        step(k, BATCH)
    assert seen == [t for t in (0.25, 0.5, 0.75, 1.0) for _ in range(3)]


def test_only_what_received_a_gradient_is_counted(impl):
    """Of 5 + 7 weights and 3 + 11 scores the loss reads 5 and 3."""
    net = Still()
    net.read, net.unread = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(7))
    weights = Group(name="w", tensors={"read": net.read, "unread": net.unread}, lr=0.1)
    scores = Group(name="s", tensors={"seen": torch.zeros(3), "unseen": torch.zeros(11)}, lr=0.1)
    step = stepper([weights, scores], {"read": [1.0], "seen": [1.0]}, impl, net=net)
    step(0, BATCH)
    assert step.end() == (5 + 3, 3)
