"""Test masking: numbers by hand, numpy's draw and sort, and runs on the toy model."""

import logging
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from prunebert import distill
from prunebert.fit import Fit
from prunebert.masks.top_v import sparsity
from prunebert.methods.masking import apart, drawn, masking
from prunebert.training.loop import train
from tests.methods.test_soft_movement import SLOPE, Bare, first_phase, set_scores
from tests.methods.test_trained_magnitude import exact, play

MASKING = {
    "fit": Fit(epochs=1, steps=3, batch_size=4, lr=0.0, head_lr=1e-3),
    "sparsity": 0.5,
    "control": "sparsity",
    "tau": 0.01,
    "init": "uniform",
    "init_scale": 0.02,
    "score_lr": 0.1,
    "allocation": "uniform",
    "prunable": "encoder",
    "head": "linear",
    "distill": distill.none,
}
FREE = MASKING | {"control": "none"}


class Frozen(Bare):
    """`Bare` with a new head and a generator of random numbers."""

    def __init__(self):
        super().__init__()
        self.heads = {"head": SimpleNamespace(pretrained=False)}

    def generator(self, purpose):
        return torch.Generator().manual_seed(0)


def removed_shares(masks):
    return {n: 1 - m.numpy().mean() for n, m in masks.items()}


def test_a_weight_stays_where_its_score_is_above_tau_and_all_scores_follow_minus_gradient_times_weight(impl):
    """One step by hand. Adam's first is lr · sign(gradient), and the gradient SLOPE = ∂L/∂W′ ⊙ W has four zeros."""
    net = Frozen()
    W, fit = net.W.detach().clone(), Fit(epochs=1, steps=1, batch_size=4, lr=9.0, head_lr=9.0, clip=1e9)
    phase, S = first_phase(masking, net, **FREE | {"fit": fit, "tau": 0.5, "score_lr": 0.25})
    S0 = torch.arange(20.0).view(4, 5) / 4
    set_scores(S, S0)
    assert phase.masks(1.0, True)["w"].flatten().tolist() == [False] * 3 + [True] * 17  # 0, 0.25 and τ itself go
    assert torch.equal(phase.masks(1.0, False)["w"], phase.masks(1.0, True)["w"].float())
    train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    torch.testing.assert_close(S["w"].detach(), S0 - 0.25 * torch.tensor(SLOPE).sign())
    assert torch.equal(net.W, W)


def test_the_cut_moves_with_the_scores_where_the_sparsity_is_kept():
    phase, S = first_phase(masking, Frozen(), **MASKING | {"sparsity": 0.35})
    set_scores(S, torch.arange(20.0).view(4, 5) - 100)  # all far below τ
    assert phase.masks(1.0, True)["w"].flatten().tolist() == [False] * 7 + [True] * 13


@pytest.mark.parametrize("s", [0.05, 0.5, 0.9])
def test_the_draw_is_uniform_with_the_fraction_s_below_tau(net, s):
    """In numbers: from -0.02 to 0.58, 0.04 and 0.0133; the cut 0.01 is at a share of s of that interval."""
    high = {0.05: 0.58, 0.5: 0.04, 0.9: 0.04 / 3}[s]
    values = np.concatenate([x.numpy().ravel() for x in drawn(net, "encoder", s, 0.01, 0.02).values()])
    assert len(values) == 16_384 and scipy.stats.kstest(values, "uniform", (-0.02, high + 0.02)).pvalue > 0.01
    assert (values <= 0.01).mean() == pytest.approx(s, abs=4 * (s * (1 - s) / len(values)) ** 0.5)


def test_the_draw_of_a_sparse_checkpoint_is_that_of_what_it_has_left(net):
    """Half is gone, so 0.75 of all are half of the others: their scores are U(-0.02, 0.04), half of them below τ."""
    net.given = {n: torch.arange(W.numel()).view_as(W) % 2 == 0 for n, W in net.prunable().items()}
    values = np.concatenate([x.numpy().ravel() for x in drawn(net, "encoder", 0.75, 0.01, 0.02).values()])
    assert scipy.stats.kstest(values, "uniform", (-0.02, 0.06)).pvalue > 0.01


@pytest.mark.parametrize("s", [0.0, 0.05, 0.9])
def test_without_control_every_matrix_starts_at_exactly_the_sparsity(net, task, s):
    """Few scores of the draw are moved, and only to τ: so many as the draw misses s by."""
    phase = next(masking(net, task, **FREE | {"sparsity": s}))
    S, before = phase.train[0].tensors, drawn(net, "encoder", s, 0.01, 0.02)
    for n, share in removed_shares(phase.masks(0.1, True)).items():
        assert abs(share * S[n].numel() - s * S[n].numel()) < 1, n
        moved = S[n] != before[n]
        missed = abs(int((before[n] <= 0.01).sum()) - round(s * S[n].numel()))
        assert abs(int(moved.sum()) - missed) <= 1 and torch.allclose(S[n][moved], torch.tensor(0.01))
    assert exact(SimpleNamespace(masks=phase.masks(0.1, True)), s)


def test_scores_at_the_cut_are_moved_to_their_side():
    """Float32 has no number between 0.01 and the next one, which is 0.01 + 2⁻³⁰."""
    S, M = torch.tensor([-1.0, 0.01, 0.3, 0.01, -1.0]), torch.tensor([False, False, False, True, True])
    found = apart({"a": S}, {"a": M}, 0.01)["a"]
    tau = np.float32(0.01)
    assert found.tolist() == [-1.0, tau, tau, tau + np.float32(2**-30), tau + np.float32(2**-30)]


@pytest.mark.parametrize("control", ["sparsity", "none"])
def test_magnitude_starts_with_two_tau_on_the_largest_weights(net, task, control):
    phase = next(masking(net, task, **MASKING | {"init": "magnitude", "control": control, "sparsity": 0.75}))
    masks = phase.masks(0.1, True)
    for n, W in net.prunable().items():
        magnitudes = W.detach().abs().numpy().ravel()
        expected = magnitudes >= np.sort(magnitudes)[-len(magnitudes) // 4]  # a quarter stays; no ties
        assert np.array_equal(masks[n].numpy().ravel(), expected)
        assert np.array_equal(phase.train[0].tensors[n].numpy().ravel(), np.where(expected, np.float32(0.02), 0))


@pytest.mark.parametrize(("s", "head"), [(0.0, "linear"), (0.3, "linear"), (0.97, "label_words")])
def test_weights_stay_bit_for_bit_and_the_sparsity_is_exact_at_every_step(net, task, impl, s, head):
    before, counts = net.snapshot(net.add_head(task.form(), head)), []
    (phase,), lines = play(masking(net, task, **MASKING | {"sparsity": s, "head": head}), net, impl)
    total = sum(m.numel() for m in net.masks.values())
    counts = [line["sparsity"] for line in lines if "sparsity" in line]
    assert exact(net, s) and counts == pytest.approx([s] * len(counts), abs=1 / total) and counts
    after = net.snapshot(phase.head)
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    new_head = {"head.classifier.weight", "head.classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert changed == (new_head if head == "linear" else set())  # the toy checkpoint has no pooler
    assert any(not torch.equal(x, y) for x, y in zip(phase.train[0].tensors.values(), start(net, s), strict=True))


def start(net, s):
    """Return the scores at the start, from torch's generator and numpy's product."""
    generator = torch.Generator().manual_seed(zlib.crc32(b"scores") + net.seed)
    low, width = (-0.02, 0.03 / s) if s else (0.01, 1.0)
    for W in net.prunable().values():
        yield torch.from_numpy(torch.rand(W.shape, generator=generator).numpy() * np.float32(width) + np.float32(low))


def test_the_draw_is_that_of_the_runs_seed(net):
    for s in (0.0, 0.3):
        found = drawn(net, "encoder", s, 0.01, 0.02).values()
        assert all(torch.allclose(x, y, atol=1e-8) for x, y in zip(found, start(net, s), strict=True))


def test_without_control_the_sparsity_drifts_and_the_run_says_where_to(net, task, impl, caplog):
    caplog.set_level(logging.INFO)
    (phase,), _ = play(masking(net, task, **FREE | {"sparsity": 0.2}), net, impl)
    for n, S in phase.train[0].tensors.items():
        assert np.array_equal(net.masks[n].numpy(), S.detach().numpy() > np.float32(0.01)), n
    reached = sparsity(net.masks)
    assert 0.22 < reached < 0.8  # three steps of 0.1 carry scores of at most 0.13 across τ, from either side
    assert f"τ = 0.01; the sparsity started at 0.2 and ended at {reached:.4f}" in caplog.text


@pytest.mark.parametrize("control", ["sparsity", "none"])
def test_what_a_sparse_checkpoint_has_removed_stays_removed(net, task, impl, control):
    """model.masks=zeros. Half of two matrices is gone. Scores of it that rise above τ bring nothing back."""
    for n in list(net.prunable())[:2]:
        W = net.prunable()[n].detach().abs()
        net.given[n] = torch.from_numpy(W.numpy() > np.median(W.numpy()))
    phase = next(masking(net, task, **MASKING | {"control": control, "sparsity": 0.6}))
    assert exact(SimpleNamespace(masks=phase.masks(0.1, True)), 0.6)
    for s in phase.train[0].tensors.values():
        s.data += 5.0
    train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    assert not any((net.masks[n] & ~given).any() for n, given in net.given.items()) and len(net.given) == 2
    others = [m for n, m in net.masks.items() if n not in net.given]
    assert all(m.all() for m in others) == (control == "none")  # the scores there are far above τ
