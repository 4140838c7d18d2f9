"""Test soft movement and the control of its penalty: numbers by hand, a sort, and runs on the toy model."""

import itertools
import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.penalty import penalise
from prunebert.masks.top_v import TopV, count_kept, sparsity
from prunebert.methods.soft_movement import FLOOR, above, soft
from prunebert.schedules import Cubic
from prunebert.settings import signature
from prunebert.training.loop import train
from tests.methods.test_trained_magnitude import exact, play

W = torch.tensor([[1.0, -2, 3, 0.5, -1], [0, 1, 1, -1, 2], [2, 2, -2, 1, 0], [1, 0, 0, 3, -3]])
x, c = torch.tensor([1.0, 2, 0, -1, 3]), torch.tensor([1.0, -1, 2, 0.5])
SLOPE = [[1.0, -4, 0, -0.5, -3], [0, -2, 0, -1, -6], [4, 8, 0, -2, 0], [0.5, 0, 0, -1.5, -4.5]]  # ∂L/∂W′ ⊙ W

FIT = Fit(epochs=1, steps=5, batch_size=4, lr=1e-3, head_lr=1e-3, eval_every=1)
SOFT = {
    "fit": FIT,
    "sparsity": 0.5,
    "tau": Cubic(0.1, 0.2, 0.8),
    "score_lr": 0.5,
    "penalty": 400.0,
    "control": "sparsity",
    "prunable": "encoder",
    "head": "linear",
    "distill": distill.none,
}


class Bare(nn.Module):
    """An encoder of plain matrices. The loss is L = Σ c (W ⊙ M) x of the first one, which is W above."""

    prefix = "bert."

    def __init__(self, *shapes):
        super().__init__()
        self.W = nn.Parameter(W.clone())
        self.shapes = {"w": (4, 5)} | {f"w{i}": shape for i, shape in enumerate(shapes)}
        self.masks, self.given = {}, {}

    def forward(self, batch, head, masks, needs=()):
        return SimpleNamespace(logits=self.W * masks["w"] @ x)

    def add_head(self, form, kind):
        return "head"

    def head_parameters(self, head):
        return {}

    def parameters_of(self, which="all"):
        return {"w": self.W}

    def prunable(self, which="encoder"):
        return {"w": self.W}

    def place(self, name):
        return 0, "query"

    def new_scores(self, which, value=0.0):
        return {n: torch.full(shape, value) for n, shape in self.shapes.items()}


BARE = SimpleNamespace(
    form=lambda: None,
    train_rows=4,
    batches=lambda size, seed: itertools.repeat(SimpleNamespace(to=lambda device: None)),
    loss=lambda out, batch: {"task": (out.logits * c).sum()},
)


def warned(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def first_phase(method, net, **settings):
    """Return the phase of `method` on `net`, and the scores that it trains."""
    phase = next(method(net, BARE, **settings))
    return phase, next(g.tensors for g in phase.train if g.name == "scores")


def set_scores(S, values):
    with torch.no_grad():
        S["w"].copy_(torch.as_tensor(values))


# --- the method -------------------------------------------------------------------------------------------------------


def test_scores_follow_minus_gradient_times_weight_also_where_removed():
    net = Bare()
    phase, S = first_phase(soft, net, **SOFT | {"control": "none", "penalty": 0.0})
    set_scores(S, torch.arange(-11.0, 9.0).view(4, 5) / 4)  # the first three are below log(1/9) = -2.197
    S["w"].requires_grad_(True)
    M = phase.masks(1.0, False)
    assert M["w"].tolist() == [[0, 0, 0, 1, 1], [1] * 5, [1] * 5, [1] * 5]
    BARE.loss(net(None, "head", M), None)["task"].backward()
    assert torch.equal(S["w"].grad, torch.tensor(SLOPE))
    assert torch.equal(net.W.grad, torch.outer(c, x) * M["w"])


def test_one_step_of_the_loop_by_hand(impl):
    """Adam's first step is lr · sign(gradient): SLOPE for S, and c xᵀ where M = 1 for W, each with its own rate."""
    net = Bare()
    fit = Fit(epochs=1, steps=1, batch_size=4, lr=0.01, head_lr=0, clip=1e9)
    phase, S = first_phase(soft, net, **SOFT | {"fit": fit, "control": "none", "penalty": 0.0, "score_lr": 0.25})
    S0 = torch.tensor([[-9.0, 0, 0, 0, -9], [0] * 5, [0] * 5, [1] * 5])
    set_scores(S, S0)
    train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    torch.testing.assert_close(S["w"], S0 - 0.25 * torch.tensor(SLOPE).sign())
    torch.testing.assert_close(net.W.detach(), W - 0.01 * (torch.outer(c, x) * (S0 > -9)).sign())


@pytest.mark.parametrize(
    ("t", "cut"),
    [(0.5, math.log(0.0875 / 0.9125)), (0.35, math.log(0.0578125 / 0.9421875)), (0.8, math.log(1 / 9))],
)
def test_a_weight_stays_where_sigma_of_its_score_is_above_tau(t, cut):
    """τ(t) = 0.1 (1 - (1-u)³), u = (t - 0.2)/0.6: 0.0875 at u = 1/2, 0.0578125 at 1/4, 0.1 at 1."""
    phase, S = first_phase(soft, Bare(), **SOFT | {"control": "none"})
    set_scores(S, (cut + torch.linspace(-1, 1, 20)).view(4, 5))
    assert phase.masks(t, True)["w"].flatten().tolist() == [False] * 10 + [True] * 10
    assert torch.equal(phase.masks(t, False)["w"], phase.masks(t, True)["w"].float())
    assert phase.masks(0.2, True)["w"].all()  # τ = 0 until the warm-up ends


def test_the_largest_half_percent_of_each_matrix_rounded_up_always_remain():
    S = {n: torch.full((size,), -50.0) for n, size in (("a", 20), ("b", 400), ("c", 401), ("d", 20))}
    S["b"][[7, 300]] = torch.tensor([-49.0, -48.0])
    S["d"][3] = 0.0
    M = above(S, 0.1)
    assert {n: torch.nonzero(m).flatten().tolist() for n, m in M.items()} == {
        "a": [0],
        "b": [7, 300],
        "c": [0, 1, 2],
        "d": [3],  # the only one above τ
    }


@pytest.mark.parametrize(("t", "expected"), [(0.1, 0.0), (0.2, 0.0), (0.5, 350.0), (0.8, 400.0), (1.0, 400.0)])
def test_without_control_lambda_follows_tau(t, expected):
    """λ_f τ(t)/τ_f = 400 · 7/8 at half the schedule; S = 0 makes R one half."""
    net = Bare()
    phase, _ = first_phase(soft, net, **SOFT | {"control": "none"})
    out = net(None, "head", phase.masks(t, False))
    terms = phase.loss(out, None, t) | phase.penalty(t)
    assert list(terms) == ["task", "sparsity"]
    assert terms["sparsity"].item() == pytest.approx(expected * 0.5)


def test_the_penalty_is_the_mean_over_matrices_of_their_means():
    """σ(0) = 1/2 in 20 weights, σ(log 3) = 3/4 in 4: 5/8, not the mean over 24; its gradient σ(1-σ)/(2n)."""
    S = {"a": torch.zeros(4, 5, requires_grad=True), "b": torch.full((2, 2), math.log(3), requires_grad=True)}
    assert penalise(S, 1.0).item() == pytest.approx(0.625)
    assert S["a"].grad.flatten().tolist() == pytest.approx([0.25 / 40] * 20)
    assert S["b"].grad.flatten().tolist() == pytest.approx([0.1875 / 8] * 4)


def test_the_exact_cut_ranks_all_matrices_together():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(40, 10)), draw.normal(size=(30, 20)) - 100
    S = {"a": torch.tensor(a), "b": torch.tensor(b)}
    M = TopV("global").with_floor(S, 0.8, FLOOR)  # 200 of 1,000 remain: the minimum of 3 of b, and 197 of a
    assert torch.equal(M["b"].flatten(), torch.tensor(b.ravel() >= np.sort(b.ravel())[-3]))
    assert torch.equal(M["a"].flatten(), torch.tensor(a.ravel() >= np.sort(a.ravel())[-197]))


@pytest.mark.parametrize("s", [0.0, 0.3, 0.5, 0.9, 0.97])
def test_the_requested_sparsity_from_the_schedules_end_on(net, task, impl, s, caplog):
    before, masks_by_step = net.snapshot(net.add_head(task.form(), "linear")), []
    (phase,), lines = play(
        soft(net, task, **SOFT | {"sparsity": s, "tau": Cubic(0.1, 0.2, 0.6)}),
        net,
        impl,
        lambda _, masks: masks_by_step.append(masks),
    )
    assert exact(net, s) and all(m.dtype == torch.bool for m in net.masks.values())
    total = sum(m.numel() for m in net.masks.values())
    assert (
        len(masks_by_step) == 4 and [count_kept(m) for m in masks_by_step[2:]] == [total - round(total * s)] * 2
    )  # t = 0.6 and 0.8
    assert count_kept(masks_by_step[0]) == total and phase.settled == 0.6
    assert [line["sparsity"] for line in lines if "sparsity" in line][2:] == pytest.approx([s] * 3, abs=1 / total)
    after = net.snapshot("toy_linear")
    unchanged = {n for n in before if torch.equal(before[n], after[n])}
    assert unchanged == {n for n in before if n.startswith("bert.embeddings")}
    S = phase.train[-1].tensors
    reached = abs(sum(int((x <= math.log(1 / 9)).sum()) for x in S.values()) / total - s) < 0.005
    assert reached == (s == 0) and (s == 0) == (not warned(caplog))  # five steps are too few, which gives a warning


def test_half_a_percent_of_each_matrix_remains_at_the_exact_sparsity_too():
    """20 of 420 weights stay, and the 20 largest are those of one matrix. The other keeps 2 of its 400."""
    phase, S = first_phase(soft, Bare((400,)), **SOFT | {"sparsity": 400 / 420})
    set_scores(S, torch.arange(20.0).view(4, 5))
    S["w0"].copy_(torch.arange(400.0) - 999)
    M = phase.masks(1.0, True)
    assert M["w"].flatten().tolist() == [False] * 2 + [True] * 18
    assert torch.nonzero(M["w0"]).flatten().tolist() == [398, 399]


def test_the_penalty_reaches_the_sparsity_before_the_count_is_fixed(net, task, impl, caplog):
    """Before the schedule's end, masks are 1[σ(S) > τ(t)] without an exact count."""
    fit = Fit(epochs=1, steps=300, batch_size=4, lr=1e-4, head_lr=1e-3)
    programme = soft(net, task, **SOFT | {"fit": fit, "sparsity": 0.9, "tau": Cubic(0.1, 0.1, 0.8), "score_lr": 0.3})
    _, lines = play(programme, net, impl)
    last = [line for line in lines if line["t"] < 0.8][-1]
    assert last["t"] > 0.79 and last["sparsity"] == pytest.approx(0.9, abs=0.005)
    assert last["sparsity"] != pytest.approx(0.9, abs=1e-5) and exact(net, 0.9)
    assert not warned(caplog)  # the number below the cut is right to half a point
    path = [next(line["sparsity"] for line in lines if line["t"] >= t) for t in (0.05, 0.2, 0.4, 0.6)]
    assert path[0] == 0 and path == sorted(path) and path[2] < 0.88  # the sparsity grew gradually


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_without_control_lambda_determines_the_sparsity(net, task, impl, penalty, caplog):
    caplog.set_level(logging.INFO)
    fit = Fit(epochs=1, steps=8, batch_size=4, lr=1e-3, head_lr=1e-3)
    settings = SOFT | {"fit": fit, "control": "none", "penalty": penalty, "score_lr": 0.7, "tau": Cubic(0.1, 0, 0.5)}
    (phase,), _ = play(soft(net, task, **settings), net, impl)
    S = {n: s.double().numpy() for n, s in phase.train[-1].tensors.items()}
    for n, m in net.masks.items():
        largest = np.argsort(-S[n].ravel(), kind="stable")[: math.ceil(S[n].size / 200)]
        expected = S[n].ravel() > math.log(1 / 9)
        expected[largest] = True
        assert np.array_equal(m.numpy().ravel(), expected)
    measured = sum(int((s <= math.log(1 / 9)).sum()) for s in S.values()) / sum(s.size for s in S.values())
    assert (0.3 < measured < 0.99) if penalty else (0.001 < measured < 0.1)
    assert f"λ_f = {penalty:g} reached sparsity {sparsity(net.masks):.4f}; sparsity=0.5 is no target" in caplog.text


@pytest.mark.parametrize("final", [0.0, 0.5, 0.7, 1.0])
def test_a_tau_that_removes_scores_of_zero_is_refused(final):
    tau = {"_target_": "prunebert.schedules.Cubic", "final": final}
    with pytest.raises(BadInput, match=rf"^method\.tau\.final={final}: must be above 0 and below 0\.5$"):
        signature.check({"_target_": "prunebert.methods.soft_movement.soft", "_partial_": True, "tau": tau}, "method")
