"""Test AbP with the paper's γ (control=paper), and its literal update of θ."""

import logging
from dataclasses import replace

import pytest
import torch

from prunebert.errors import BadInput
from prunebert.masks.top_v import count_kept, quantile
from prunebert.methods.abp import abp, initial
from prunebert.schedules import Cubic
from tests.methods.test_abp import ABP, FIT, FLAT, ROWS, WIDE, OneMatrix, W, play, size_of, steep


def test_gamma_of_the_paper_decays_with_the_rate(net, task, impl):
    """With α = 0, θ changes by γ alone, before each gradient: at step k by γ · Σ of k rates, 1 + 5/6 + …"""
    start = initial(net, WIDE, 0.01, 0.001)
    settings = ABP | {"control": "paper", "gamma": 1e-3, "score_lr": 0.0, "schedule": Cubic(0.999)}
    mean_decreases = []

    def watch(phase, t, M):
        theta = phase.train[0].tensors
        decrease = torch.cat([(start[n] - theta[n].detach()).flatten() for n in theta])
        assert decrease.max() - decrease.min() < 1e-7  # equal for all
        assert all(torch.equal(M[n] != 0, theta[n] > 0) for n in theta)
        mean_decreases.append(float(decrease.mean()))

    play(abp(net, task, **settings), net, impl, watch)
    assert mean_decreases == pytest.approx([1e-3 * sum((6 - i) / 6 for i in range(k)) for k in range(1, 7)], abs=1e-7)


def test_the_last_steps_gamma_is_applied(net, task, impl):
    """Alg. 1: θ ← θ - α∇ - γ1 is one step. After one step with γ above all of θ₀, nothing remains."""
    settings = {
        "control": "paper",
        "gamma": 1.0,
        "score_lr": 0.0,
        "schedule": Cubic(0.999),
        "fit": replace(FIT, steps=1),
    }
    play(abp(net, task, **ABP | settings), net, impl)
    assert count_kept(net.masks) == 0


def test_control_paper_has_no_end_at_sparsity_0(net, task):
    with pytest.raises(BadInput, match=r"^sparsity=0: method\.control=paper"):
        next(abp(net, task, **ABP | {"control": "paper", "schedule": Cubic(0.0)}))


def test_control_paper_ends_when_the_target_is_met(net, task, impl, caplog):
    """It ends at that step, without a warning."""
    sparsities = []
    settings = ABP | {"control": "paper", "gamma": 2.5e-3, "score_lr": 1e-5, "schedule": Cubic(0.6)}
    settings |= {"fit": replace(FIT, steps=12, decay="constant")}
    with caplog.at_level(logging.WARNING):
        ((phase, trained),) = play(
            abp(net, task, **settings), net, impl, lambda _, t, M: sparsities.append(1 - count_kept(M) / size_of(M))
        )
    assert trained.steps == len(sparsities) < 12 and phase.steps == 12
    assert 1 - count_kept(net.masks) / size_of(net.masks) >= 0.6 and all(s < 0.6 for s in sparsities[:-1])
    assert not caplog.records


def test_control_paper_warns_when_it_falls_short(net, task, impl, caplog):
    settings = ABP | {"control": "paper", "gamma": 1e-4, "score_lr": 1e-5, "schedule": Cubic(0.6)}
    with caplog.at_level(logging.WARNING):
        ((_, trained),) = play(abp(net, task, **settings), net, impl)
    assert trained.steps == 6 and "γ = 0.0001 reached sparsity 0.0000, below the target 0.6" in caplog.text
    assert count_kept(net.masks) > 0.9 * size_of(net.masks)


def test_the_target_itself_ends_the_phase_without_a_warning(caplog):
    """5 of 20 θ at or below 0 are the requested quarter. 4 are too few."""
    net = OneMatrix(W)
    programme = abp(net, ROWS, **ABP | {"control": "paper", "schedule": Cubic(0.25)})
    phase = next(programme)
    theta = phase.train[0].tensors["w"].copy_(torch.arange(-3.0, 17.0).view(4, 5))
    assert not phase.stop(0.5)
    theta.sub_(1)
    assert phase.stop(0.5)
    net.masks = phase.masks(1.0, True)
    with caplog.at_level(logging.WARNING):
        assert next(programme, None) is None and not caplog.records


@pytest.mark.parametrize(("smallest", "rise"), [(1.0, 0.0), (-2.0, 2.0)])
def test_gamma_raises_scores_where_none_is_removed_and_lowers_none(smallest, rise):
    """θ at or below 0 would be removed, so all rise together until the smallest is just above 0."""
    start = torch.arange(smallest, smallest + 20).view(4, 5)
    phase = next(abp(OneMatrix(W), ROWS, **ABP | {"schedule": Cubic(0.0)}))
    theta = phase.train[0].tensors["w"].copy_(start)
    assert phase.masks(0.5, False)["w"].all() and (theta > 0).all()
    torch.testing.assert_close(theta, start + rise, atol=1e-5, rtol=0)


def test_sgd_is_the_literal_update(net, task, impl):
    """θ - α∇, where ∇ = ∂L/∂W' ⊙ W ⊙ σ(θ)(1 - σ(θ)) is computed from the gradient of the weights."""
    key, alpha = steep(net, task), 50.0
    settings = {"fit": replace(FLAT, steps=1), "optimizer": "sgd", "score_lr": alpha, "schedule": Cubic(0.4, 0, 1)}
    start = initial(net, WIDE, 0.01, 0.001)
    flat = torch.cat([x.flatten() for x in start.values()]).sort().values
    theta = {n: x - flat[round(0.4 * flat.numel()) - 1] for n, x in start.items()}
    W = net.prunable(WIDE)
    masked = {n: (W[n] * (theta[n] > 0)).detach().requires_grad_(True) for n in theta}
    batch = next(task.batches(16, 0))
    task.loss(net(batch, key, theta=masked), batch)["task"].backward()
    ((phase, _),) = play(abp(net, task, **ABP | settings), net, impl)
    for n, x in phase.train[0].tensors.items():
        slope = masked[n].grad * W[n].detach() * theta[n].sigmoid() * (1 - theta[n].sigmoid())
        assert slope.abs().max() > 1e-6
        assert torch.allclose(x, theta[n] - alpha * slope, rtol=1e-4, atol=1e-6)


def test_adam_moves_every_score_with_a_gradient_by_alpha(net, task, impl):
    """Adam's first step is ±α, apart from ε. A score without a gradient follows γ alone."""
    steep(net, task)
    settings = {"fit": replace(FLAT, steps=1), "score_lr": 1e-3, "schedule": Cubic(0.4, 0, 1)}
    start = initial(net, WIDE, 0.01, 0.001)
    ((phase, _),) = play(abp(net, task, **ABP | settings), net, impl)
    moves = {n: x.detach() - start[n] + quantile(start, 0.4) for n, x in phase.train[0].tensors.items()}
    words = moves.pop("bert.embeddings.word_embeddings.weight")
    full = torch.cat([x.flatten() for x in moves.values()])
    assert (full.abs() < 1.001e-3).all() and ((full.abs() - 1e-3).abs() < 2e-5).float().mean() > 0.5
    seen_words = next(task.batches(16, 0)).inputs["input_ids"].unique()
    unseen = torch.ones(len(words), dtype=torch.bool).index_fill(0, seen_words, False)
    assert words[unseen].abs().max() < 1e-7 and (words[~unseen].abs() > 9e-4).float().mean() > 0.5
    assert 0 < unseen.sum() < len(words)
