"""Test AbP: its equations by hand, what trains and what is frozen, the control of γ, recovery."""

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from prunebert.fit import Fit
from prunebert.masks.top_v import count_kept
from prunebert.methods.abp import abp, initial
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.training.evaluate import evaluate
from prunebert.training.loop import train
from tests.toys import watched

FIT = Fit(epochs=1, steps=6, batch_size=16, lr=1e-3, head_lr=1e-3)
FLAT = Fit(epochs=1, steps=6, batch_size=16, lr=1e-3, head_lr=0.0, decay="constant", clip=1e9)
ABP = {
    "fit": FIT,
    "schedule": Cubic(0.5, 0.0, 0.8),
    "score_lr": 2e-3,
    "optimizer": "adamw",
    "temperature": 1.0,
    "init_mean": 0.01,
    "init_std": 0.001,
    "control": "schedule",
    "gamma": 2e-7,
    "recovery": True,
    "ablation": "none",
    "prunable": "encoder_pooler_embeddings",
    "head": "layer_mix",
}
WIDE = "encoder_pooler_embeddings"


def play(programme, net, impl, watch=lambda phase, t, M: None):
    """Train every phase. `watch` gets each step's masks, as the forward pass uses them.

    Returns:
        (phase, result of train) for each phase.
    """
    results = []
    for i, phase in enumerate(programme):

        def score(phase=phase):
            return evaluate(net, phase.task, phase.head, impl).score

        trained = train(net, watched(phase, watch), seed=i, impl=impl, record=lambda line: None, score=score)
        results.append((phase, trained))
    return results


def removed(masks):
    return {n: m.detach() == 0 for n, m in masks.items()}


def size_of(masks):
    return sum(m.numel() for m in masks.values())


def steep(net, task):
    """Remove dropout and enlarge weights, which puts gradients far above the noise and Adam's ε."""
    key = net.add_head(task.form(), "layer_mix")
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for p in [*net.prunable("encoder").values(), *net.heads[key].parameters()]:
            p.mul_(10 if p.ndim > 1 else 1)
    return key


ROWS = SimpleNamespace(train_rows=8, form=lambda: None)


class OneMatrix:
    """A network of one matrix, for a calculation by hand."""

    def __init__(self, W):
        self.W, self.masks, self.given = W, {}, {}

    def generator(self, purpose):
        return torch.Generator().manual_seed(0)

    def add_head(self, form, kind):
        return "head"

    def snapshot(self, head):
        return {}

    def head_parameters(self, head):
        return {}

    def prunable(self, which="encoder"):
        return {"w": self.W}


W = torch.tensor([[1.0, -2, 3, 0.5, -1], [0, 1, 1, -1, 2], [2, 2, -2, 1, 0], [1, 0, 0, 3, -3]])
X, C = torch.tensor([1.0, 2, 0, -1, 3]), torch.tensor([1.0, -1, 2, 0.5])
#  ∂L/∂W' ⊙ W for L = Σ (W' x) c, so that ∂L/∂W' = c xᵀ
SLOPE = torch.tensor([[1.0, -4, 0, -0.5, -3], [0, -2, 0, -1, -6], [4, 8, 0, -2, 0], [0.5, 0, 0, -1.5, -4.5]])
LN3, LN7 = math.log(3), math.log(7)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_update_by_hand(temperature):
    """Eq. 1 and 4 on a 4x5 matrix. σ(0) = 1/2, σ(±ln 3) = 3/4, 1/4 and σ(±ln 7) = 7/8, 1/8 give t_s σ'."""
    u = torch.tensor([[0.0, LN3, -LN3, LN7, -LN7], [LN3, 0, LN3, -LN3, 0], [-LN7] * 5, [LN3, -LN3, LN7, -LN7, 0]])
    a, b, c = 1 / 4, 3 / 16, 7 / 64
    factor = torch.tensor([[a, b, b, c, c], [b, a, b, b, a], [c] * 5, [b, b, c, c, a]])
    remaining = torch.tensor(
        [[0, 1, 0, 1, 0], [1, 0, 1, 0, 0], [0] * 5, [1, 0, 1, 0, 0]]
    )  # 1[θ > 0]: 0 itself is removed
    settings = ABP | {"control": "paper", "gamma": 0.0, "temperature": temperature}
    phase = next(abp(OneMatrix(W), ROWS, **settings))
    theta = phase.train[0].tensors["w"].requires_grad_(True)
    with torch.no_grad():
        theta.copy_(u / temperature)
    M = phase.masks(1.0, False)["w"]
    assert torch.equal(M, remaining.float()) and torch.equal(phase.masks(1.0, True)["w"], remaining.bool())
    ((W * M) @ X * C).sum().backward()
    assert torch.allclose(theta.grad, SLOPE * temperature * factor, rtol=1e-6)
    assert theta.grad[2].abs().sum() > 1  # removed weights learn too


def test_the_controller_by_hand():
    """θ = 1 … 20 in random order, a quarter to remove: all decrease by 5, and 1 … 5 become -4 … 0."""
    phase = next(abp(OneMatrix(W), ROWS, **ABP | {"schedule": Cubic(0.25, 0, 1)}))
    theta = phase.train[0].tensors["w"].requires_grad_(True)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1)).view(4, 5) + 1.0
    with torch.no_grad():
        theta.copy_(order)
    assert torch.equal(phase.masks(1.0, True)["w"], order > 5) and torch.equal(
        theta, order
    )  # an evaluation changes nothing
    M = phase.masks(1.0, False)["w"]
    assert torch.equal(M, (order > 5).float()) and torch.equal(theta, order - 5)
    ((W * M) @ X * C).sum().backward()
    sigma = 1 / (1 + torch.exp(5.0 - order))
    assert torch.allclose(theta.grad, SLOPE * sigma * (1 - sigma), rtol=1e-5)
    with torch.no_grad():
        theta.add_(7)  # γ may be negative
    phase.masks(1.0, False)
    assert torch.equal(theta, order - 5)


def test_the_controller_at_a_half_of_an_odd_number():
    """Half of 11 scores is 5 or 6. The masks and γ must use the same number."""
    phase = next(abp(OneMatrix(torch.ones(1, 11)), ROWS, **ABP))
    theta = phase.train[0].tensors["w"]
    theta.copy_(torch.arange(1.0, 12))
    M = phase.masks(1.0, False)["w"]
    assert torch.equal(M == 0, theta <= 0)


@pytest.mark.parametrize("prunable", [WIDE, "encoder"])
def test_weights_stay_and_the_requested_sparsity_is_measured(model, task, impl, prunable):
    for s in (0.0, 0.3, 0.5, 0.9, 0.97):
        net = SubNetwork(model)
        before = net.snapshot(net.add_head(task.form(), "layer_mix"))
        settings = ABP | {"schedule": Cubic(s, 0, 0.8), "prunable": prunable}
        ((phase, trained),) = play(abp(net, task, **settings), net, impl)
        after = net.snapshot(phase.head)
        encoder = [n for n in before if not n.startswith("head.")]
        assert len(encoder) == 39 and all(torch.equal(before[n], after[n]) for n in encoder)
        head = [n for n in before if n.startswith("head.")]
        assert len(head) == 5 and all(not torch.equal(before[n], after[n]) for n in head)
        assert phase.name == "prune" and {g.name for g in phase.train} == {"scores", "head"}
        theta = phase.train[0].tensors
        words = {"bert.embeddings.word_embeddings.weight"} if prunable == WIDE else set()
        assert theta.keys() == net.masks.keys() == net.prunable().keys() | words and len(theta) == 12 + len(words)
        assert all(m.dtype == torch.bool for m in net.masks.values())
        total = 2 * (4 * 32 * 32 + 2 * 32 * 64) + (32 * net.model.config.vocab_size if words else 0)
        assert size_of(net.masks) == total and abs(total - count_kept(net.masks) - s * total) <= 1
        start = initial(net, prunable, 0.01, 0.001)
        deviations = [float((x - start[n]).std()) for n, x in theta.items()]  # γ alone would give 0 to within 1e-8
        assert min(deviations) > 1e-6 and max(deviations) > 1e-4
        assert trained.parameters >= total


@pytest.mark.parametrize("recovery", [True, False])
def test_at_every_step_the_scheduled_fraction_is_at_or_below_zero(net, task, impl, recovery):
    """All matrices are ranked together: no removed score is above a remaining one of any matrix."""
    schedule, steps = Cubic(0.9), []

    def watch(phase, t, M):
        theta = phase.train[0].tensors
        is_removed = torch.cat([x.flatten() for x in removed(M).values()])
        flat = torch.cat([x.detach().flatten() for x in theta.values()])
        assert torch.equal(is_removed, flat <= 0) and flat[is_removed].max() == 0
        assert abs(int(is_removed.sum()) - flat.numel() * schedule(t)) < 1
        assert all(m.requires_grad for m in M.values())
        steps.append(t)

    play(abp(net, task, **ABP | {"schedule": schedule, "recovery": recovery, "score_lr": 5e-3}), net, impl, watch)
    assert steps == [i / 6 for i in range(1, 7)]


@pytest.mark.parametrize("settings", [{"recovery": False, "schedule": Cubic(0.9, 0, 0.5)}, {"schedule": Cubic(0.0)}])
def test_remaining_scores_are_above_zero_if_no_more_are_removed(net, task, impl, settings):
    """m = 1[θ > 0] (Eq. 1): after the schedule's end with recovery=false, and at sparsity 0."""

    def watch(phase, t, M):
        assert all(torch.equal(m != 0, phase.train[0].tensors[n] > 0) for n, m in M.items())

    play(abp(net, task, **ABP | settings | {"score_lr": 2e-2}), net, impl, watch)


@pytest.mark.parametrize(
    "settings",
    [{}, {"recovery": False}, {"control": "paper", "gamma": 4e-3, "schedule": Cubic(0.8)}, {"optimizer": "sgd"}],
    ids=str,
)
def test_evaluations_during_training_change_nothing(model_folder, task, impl, settings):
    states = []
    for every in (0, 1):
        net = SubNetwork(models.load(str(model_folder)))
        ((phase, trained),) = play(
            abp(net, task, **ABP | {"fit": replace(FIT, eval_every=every)} | settings), net, impl
        )
        theta = {f"theta.{n}": x for n, x in phase.train[0].tensors.items()}
        masks = {f"mask.{n}": m for n, m in net.masks.items()}
        states.append(masks | theta | net.snapshot(phase.head) | {"steps": torch.tensor(trained.steps)})
    a, b = states
    assert a.keys() == b.keys() and len(a) == 13 + 13 + 44 + 1 and all(torch.equal(a[n], b[n]) for n in a)
    assert 0 < count_kept(masks) < size_of(masks)


def test_the_best_step_is_restored_with_its_masks(net, task, impl):
    """keep=best: the final masks are those of the scores of the selected step."""
    fit = replace(FIT, eval_every=1, keep="best", steps=10)
    programme = abp(net, task, **ABP | {"fit": fit, "score_lr": 5e-3})
    phase = next(programme)
    masks_by_step, scores = {}, iter([9, 9, 9, 9, 9, 9, 9, 1, 2, 1])  # the schedule ends at step 8

    def score():
        masks_by_step[len(masks_by_step) + 1] = {n: m.clone() for n, m in net.masks.items()}
        return next(scores)

    trained = train(net, phase, seed=0, impl=impl, record=lambda line: None, score=score)
    assert trained.selected_step == 9 and all(torch.equal(m, masks_by_step[9][n]) for n, m in net.masks.items())
    assert any(not torch.equal(m, masks_by_step[10][n]) for n, m in net.masks.items())


@pytest.mark.parametrize("recovery", [True, False])
@pytest.mark.parametrize("control", ["schedule", "paper"])
def test_recovery(net, task, impl, recovery, control):
    """recovery=false: masks only shrink. recovery=true: weights return, and History counts those that stay."""
    removed_by_step = []
    settings = {"fit": replace(FIT, steps=10), "score_lr": 4e-3, "control": control, "gamma": 2e-3}
    settings |= {"schedule": Cubic(0.8, 0.0, 0.3)} if control == "schedule" else {"schedule": Cubic(0.99)}
    programme = abp(net, task, **ABP | settings | {"recovery": recovery})
    ((_, trained),) = play(programme, net, impl, lambda _, t, M: removed_by_step.append(removed(M)))
    removed_by_step.append({n: ~m for n, m in net.masks.items()})
    assert len(removed_by_step) == 11 and len(removed_by_step[0]) == 13
    returned = sum(int((early[n] & ~late[n]).sum()) for early, late in pairwise(removed_by_step) for n in early)
    ever_removed = {n: torch.stack([x[n] for x in removed_by_step[:-1]]).any(0) for n in removed_by_step[0]}
    recovered = {n: int((ever_removed[n] & net.masks[n]).sum()) for n in ever_removed}
    assert trained.history["recovered_by_matrix"] == recovered
    assert trained.history["recovered"] == sum(recovered.values())
    assert trained.history["recovered_share"] == pytest.approx(sum(recovered.values()) / count_kept(net.masks))
    assert (returned > 0) == recovery and (sum(recovered.values()) > 0) == recovery
    assert count_kept(net.masks) < size_of(net.masks)


def test_theta_0_is_normal_and_depends_only_on_the_seed(model_folder):
    def draw(seed, disturb):
        net = SubNetwork(models.load(str(model_folder)), seed)
        torch.rand(disturb)
        return initial(net, WIDE, 0.01, 0.001)

    a, b, c = draw(0, 0), draw(0, 5), draw(1, 0)
    assert len(a) == 13 and all(torch.equal(a[n], b[n]) for n in a) and not any(torch.equal(a[n], c[n]) for n in a)
    x = torch.cat([x.flatten() for x in a.values()]).double()
    z = (x - 0.01) / 0.001
    count = z.numel()
    assert abs(z.mean()) < 4 / count**0.5 and abs(z.std() - 1) < 4 / (2 * count) ** 0.5
    for level, probability in ((-1, 0.158655), (0, 0.5), (2, 0.97725)):  # the normal distribution's table
        assert float((z < level).double().mean()) == pytest.approx(
            probability, abs=4 * (probability * (1 - probability) / count) ** 0.5
        )
    assert (x > 0).all()  # as in the paper
    query, key = (a[n] for n in a if n.endswith(("query.weight", "key.weight")) and "layer.0" in n)
    assert not torch.equal(query, key)
