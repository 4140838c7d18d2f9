"""Test L0: the hard concrete gate against numpy, its probability against scipy, and the folded network."""

import json
import logging
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.special import expit

from prunebert import distill
from prunebert.fit import Fit
from prunebert.masks import maskfile
from prunebert.masks.penalty import penalise
from prunebert.masks.top_v import count_kept, quantile, sparsity
from prunebert.methods.l0 import CUT, OPEN, B, gate, l0
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import weights
from prunebert.schedules import Cubic
from prunebert.training.loop import train
from tests.methods.test_soft_movement import SLOPE, Bare, c, first_phase, set_scores, x
from tests.methods.test_trained_magnitude import exact
from tests.toys import toy_task

FIT = Fit(epochs=1, steps=5, batch_size=4, lr=1e-3, head_lr=1e-3, eval_every=1)
L0 = {
    "fit": FIT,
    "sparsity": 0.5,
    "schedule": Cubic(1.0, 0.1, 0.9),
    "score_lr": 0.1,
    "penalty": 125.0,
    "control": "sparsity",
    "prunable": "encoder",
    "head": "linear",
    "distill": distill.none,
}


def hard_concrete(S, u):
    """Return the gates by the paper's formula, and their derivatives by S, in float64."""
    s = expit((np.log(u) - np.log(1 - u) + S) / (2 / 3))
    m = s * 1.2 - 0.1
    return np.clip(m, 0, 1), np.where((m > 0) & (m < 1), 1.2 * s * (1 - s) * 1.5, 0)


def draw_uniform(shape, seed):
    torch.manual_seed(seed)
    return torch.rand(shape).double().numpy()


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_a_sampled_gate_follows_the_formula():
    S = torch.linspace(-6, 6, 3000).view(30, 100)
    u = draw_uniform((30, 100), 5)
    torch.manual_seed(5)
    m = gate(S, False).numpy()
    assert np.allclose(m, hard_concrete(S.double().numpy(), u)[0], atol=1e-5)
    assert {0.0, 1.0} < set(m.ravel().tolist()) and ((m > 0) & (m < 1)).mean() > 0.2


@pytest.mark.parametrize("S", [-4.0, -2.4, 0.0, OPEN])
def test_the_penalty_is_the_probability_that_a_gate_is_above_0(S):
    """100,000 draws of our gate, and of the formula with numpy's u."""
    probability = penalise({"a": torch.full((3, 2), S)}, 1.0, B * CUT).item()
    torch.manual_seed(1)
    ours = int((gate(torch.full((100_000,), S), False) > 0).sum())
    theirs = int((hard_concrete(S, np.random.default_rng(1).random(100_000))[0] > 0).sum())
    for count in (ours, theirs):
        assert stats.binomtest(count, 100_000, probability).pvalue > 1e-3
    assert stats.binomtest(ours, 100_000, probability + 0.01).pvalue < 1e-3  # an error of 0.01 would be detected


def test_the_penalty_is_the_mean_over_matrices_of_their_means():
    zero = (2 / 3) * math.log(1 / 11)  # the probability is one half
    S = {"a": torch.full((4, 5), zero, requires_grad=True), "b": torch.full((2, 2), zero + math.log(3))}
    assert penalise(S, 1.0, B * CUT).item() == pytest.approx(0.625)
    assert S["a"].grad.flatten().tolist() == pytest.approx([0.25 / 40] * 20)


def test_the_gate_after_training_by_hand():
    """σ(S) · 1.2 - 0.1, no division by b: 0 at S = log(1/11), 1 at log 11, 0.98 at S₀, where σ is 0.9."""
    S = torch.tensor(
        [-9.0, CUT - 1e-3, CUT + 1e-3, 0.0, math.log(3), OPEN, math.log(11) - 1e-3, math.log(11) + 1e-3, 9]
    )
    m = gate(S, True)
    assert m.tolist() == pytest.approx([0, 0, 0, 0.5, 0.8, 0.98, 1, 1, 1], abs=2e-4)
    assert m[1] == 0 < m[2] and m[6] < 1 == m[7]
    assert math.isclose(CUT, -math.log(11)) and OPEN == 2.197
    assert torch.equal(m, gate(S, True)) and not torch.equal(gate(S, False), gate(S, False))


def test_the_gradient_of_a_sampled_gate_by_formula():
    """∂L/∂S = ∂L/∂W′ ⊙ W ⊙ ∂m/∂S on the 4x5 matrix, 0 where the gate is 0 or 1; ∂L/∂W = c xᵀ ⊙ m."""
    net = Bare()
    phase, S = first_phase(l0, net, **L0)
    S0 = torch.linspace(-4, 4, 20).view(4, 5)
    set_scores(S, S0)
    S["w"].requires_grad_(True)
    u = draw_uniform((4, 5), 2)
    torch.manual_seed(2)
    M = phase.masks(0.05, False)
    (net(None, "head", M).logits * c).sum().backward()
    m, slope = hard_concrete(S0.double().numpy(), u)
    assert 3 < (slope > 0).sum() < 18
    assert np.allclose(S["w"].grad.numpy(), np.array(SLOPE) * slope, atol=1e-5)
    assert np.allclose(net.W.grad.numpy(), np.outer(c.numpy(), x.numpy()) * m, atol=1e-5)


# --- λ and the count --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.0, 0.05, 0.5, 0.9, 1.0])
def test_without_control_lambda_is_constant(t):
    net = Bare()
    phase, S = first_phase(l0, net, **L0 | {"control": "none"})
    assert (S["w"] == OPEN).all()
    assert "sparsity" not in phase.loss(net(None, "head", phase.masks(t, True)), None, t)
    assert phase.penalty(t)["sparsity"].item() == pytest.approx(125 * expit(2.197 + (2 / 3) * math.log(11)), rel=1e-5)
    assert phase.masks(1.0, True)["w"].flatten().tolist() == pytest.approx([0.98] * 20, abs=1e-3)  # nothing is removed


def test_after_the_schedules_end_the_scores_are_shifted_to_the_cut():
    phase, S = first_phase(l0, Bare((10,)), **L0 | {"sparsity": 0.4})
    values = torch.linspace(3, 6, 30)[torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    set_scores(S, values[:20].view(4, 5))
    S["w0"].copy_(values[20:])
    largest = values.sort().values[11]  # of the 12 of 30 that are removed
    before = {n: s.clone() for n, s in S.items()}
    hard_masks = phase.masks(0.95, True)
    assert all(torch.equal(S[n], before[n]) for n in S)  # an evaluation changes nothing
    torch.manual_seed(0)
    M = phase.masks(0.95, False)
    for n, s in S.items():
        torch.testing.assert_close(s, before[n] - largest + CUT)
        assert torch.equal(hard_masks[n] > 0, before[n] > largest)
        torch.testing.assert_close(hard_masks[n], (1.2 * s.sigmoid() - 0.1).clamp(1e-6, 1) * (before[n] > largest))
        assert not M[n][before[n] <= largest].any()
    assert quantile(S, 0.4) == pytest.approx(CUT) and count_kept(hard_masks) == 18
    u = draw_uniform(20, 0).reshape(4, 5)
    expected = hard_concrete(S["w"].double().numpy(), u)[0] * (before["w"] > largest).numpy()
    assert np.allclose(M["w"].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("s", [0.0, 0.3, 0.5, 0.9, 0.97])
def test_the_requested_sparsity_and_the_folded_network_bit_for_bit(net, task, impl, s):
    """Before the method ends the masks are gates. Afterwards they are bool, and every logit is equal."""
    before, masks_by_step, lines = net.snapshot(net.add_head(task.form(), "linear")), [], []
    programme = l0(net, task, **L0 | {"sparsity": s, "schedule": Cubic(1.0, 0.1, 0.6), "score_lr": 0.5})
    phase = next(programme)

    def score():
        masks_by_step.append(net.masks)
        return 0.0

    train(net, phase, seed=0, impl=impl, record=lines.append, score=score)
    batches = list(task.eval_batches("validation", 16))
    gates, theta = dict(net.masks), net.snapshot("toy_linear")
    with net.evaluation_mode():
        expected = [net(batch, "toy_linear", gates).logits for batch in batches]
        plain = net(batches[0], "toy_linear", {n: m > 0 for n, m in gates.items()}).logits
    assert next(programme, None) is None
    with net.evaluation_mode():
        logits = [net(batch, "toy_linear", net.masks).logits for batch in batches]
    assert len(logits) == 3 and all(torch.equal(a, b) for a, b in zip(logits, expected, strict=True))
    assert not torch.allclose(plain, expected[0], atol=1e-5)  # the gates make a difference of at least 2e-4
    assert exact(net, s) and all(m.dtype == torch.bool for m in net.masks.values())
    total = sum(m.numel() for m in net.masks.values())
    assert [count_kept(m) for m in masks_by_step[2:]] == [total - round(total * s)] * 2 and phase.settled == 0.6
    for n, W in net.prunable().items():
        assert torch.equal(W, torch.where(gates[n] > 0, theta[n] * gates[n], theta[n]))
    unchanged = {n for n, p in net.snapshot("toy_linear").items() if torch.equal(before[n], p)}
    assert unchanged == {n for n in before if n.startswith("bert.embeddings")}


def test_the_best_steps_masks_are_restored(net, task, impl):
    fit = Fit(epochs=1, steps=6, batch_size=4, lr=1e-3, head_lr=1e-3, eval_every=1, keep="best")
    phase = next(l0(net, task, **L0 | {"fit": fit, "schedule": Cubic(1.0, 0.0, 0.5), "score_lr": 0.5}))
    scores, masks_by_step = iter([9.0, 9, 1, 3, 2, 0]), []

    def score():
        masks_by_step.append(net.masks)
        return next(scores)

    trained = train(net, phase, seed=0, impl=impl, record=lambda line: None, score=score)
    assert trained.selected_step == 4
    for n, m in net.masks.items():
        torch.testing.assert_close(m, masks_by_step[3][n])
        assert torch.equal(m > 0, masks_by_step[3][n] > 0)
    assert not all(torch.equal(m, masks_by_step[4][n]) for n, m in net.masks.items())


def test_without_control_lambda_determines_the_sparsity(net, task, impl, caplog):
    caplog.set_level(logging.INFO)
    fit = Fit(epochs=1, steps=8, batch_size=4, lr=1e-3, head_lr=1e-3)
    settings = L0 | {"fit": fit, "control": "none", "penalty": 0.1, "score_lr": 1.3, "schedule": Cubic(1.0, 0, 0.5)}
    programme = l0(net, task, **settings)
    phase = next(programme)
    train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    assert next(programme, None) is None
    S = phase.train[-1].tensors
    for n, m in net.masks.items():
        clear = (S[n] + math.log(11)).abs() > 1e-5
        assert torch.equal(m[clear], (S[n] > -math.log(11))[clear])
    assert 0.02 < sparsity(net.masks) < 0.98
    assert f"λ_f = 0.1 reached sparsity {sparsity(net.masks):.4f}; sparsity=0.5 is no target" in caplog.text


def test_a_runs_files_reproduce_its_predictions_bit_for_bit(cli, toy, tmp_path, model_folder):
    assert cli(*toy, "method=l0", "sparsity=0.6", "fit.lr=1e-3", "method.score_lr=2")[0] == 0
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert abs(row["sparsity_encoder"] - 0.6) * 16384 <= 1 and list(row["phases"]) == ["prune"]
    model = models.load(str(model_folder))
    task = toy_task(toy, model)
    net = SubNetwork(model)
    key = net.add_head(task.form(), "linear")
    theta = weights.load_weights(tmp_path / "run", net, task, key)
    masks = maskfile.read(tmp_path / "run/masks.safetensors").masks
    assert all(((theta[n] != 0) == m).all() for n, m in masks.items()) and len(masks) == 12
    written = np.stack(pd.read_parquet(tmp_path / "run/predictions.parquet").scores)
    (batch,) = task.eval_batches("validation", 128)
    with net.evaluation_mode():
        assert np.array_equal(net(batch, key, theta=theta).logits.numpy(), written[batch.rows.numpy()])
        assert not np.allclose(net(batch, key).logits.numpy(), written[batch.rows.numpy()])
