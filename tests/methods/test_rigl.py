"""RigL: one update against plain loops, and a toy run whose masks move while every count stays."""

from dataclasses import replace
from itertools import islice, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.pattern import parse
from prunebert.masks.ranking import UNIFORM, Ranking
from prunebert.masks.top_v import count_kept
from prunebert.methods.rigl import dropped_share, rigl, updated
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.system.signals import Request
from prunebert.training.checkpoints import Checkpoints, Every
from prunebert.training.loop import train
from prunebert.training.step import Stepper
from tests.toys import watched

RIGL = {
    "fit": Fit(epochs=1, steps=8, batch_size=4, lr=3e-3, head_lr=1e-3),
    "sparsity": 0.8,
    "start": "magnitude",
    "interval": 2,
    "stop": 0.75,  # of 8 steps: T_end = 6, so the updates are steps 2 and 4
    "drop_fraction": 0.3,
    "allocation": "uniform",
    "prunable": "encoder",
    "head": "linear",
    "distill": distill.none,
}
PLAIN = Ranking(UNIFORM)


@pytest.mark.parametrize(("u", "share"), [(0.0, 0.3), (1 / 3, 0.225), (0.5, 0.15), (2 / 3, 0.075), (1.0, 0.0)], ids=str)
def test_the_dropped_share_falls_along_a_cosine(u, share):
    """0.15 (1 + cos πu), with cos = 1, ½, 0, -½ and -1."""
    assert dropped_share(u, 0.3) == pytest.approx(share, abs=1e-15)


def looped(M, W, G, share):
    """Update one mask as Algorithm 1 writes it, place by place. Of equal values the earlier place stays or grows."""
    places = [(i, j) for i in range(M.shape[0]) for j in range(M.shape[1])]
    active = [p for p in places if M[p]]
    count = int(share * len(active))
    left = sorted(active, key=lambda p: -abs(W[p]))[: len(active) - count]
    candidates = [p for p in places if p not in left]  # those just dropped too
    grown = sorted(candidates, key=lambda p: -abs(G[p]))[:count]
    new = np.zeros(M.shape, bool)
    for p in (*left, *grown):
        new[p] = True
    return new


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.99])
def test_an_update_is_that_of_plain_loops(share):
    """On 3 × 4 matrices of small whole numbers, which have ties, zeros among the remaining weights, and full masks."""
    numbers = np.random.default_rng(5)
    moved = 0
    for kept in [0, 1, 5, 8, 12] * 4:
        M = numbers.permutation(np.arange(12) < kept).reshape(3, 4)
        W, G = numbers.integers(-3, 4, (2, 3, 4)).astype(float)
        other = ~M  # a second matrix, whose count is another
        tensors = [{"a": torch.tensor(a), "b": torch.tensor(b)} for a, b in ((M, other), (W, 2 * G), (G, W))]
        new = updated(PLAIN, *tensors, {"a": kept, "b": 12 - kept}, share)
        assert np.array_equal(new["a"], looped(M, W, G, share))
        assert np.array_equal(new["b"], looped(other, 2 * G, W, share))
        moved += int((new["a"].numpy() != M).sum())
    assert bool(moved) == (share > 0)


def test_an_update_by_hand():
    """Two of four go, |0.1| and |-0.2|. The largest gradients elsewhere are -9 (removed) and 5 (just dropped)."""
    M = torch.tensor([[1, 1, 1, 1, 0, 0]]).bool()
    W = torch.tensor([[0.1, 3.0, -0.2, -1.0, 0.0, 0.0]])
    G = torch.tensor([[5.0, 99.0, 1.0, 99.0, -9.0, 4.0]])
    assert updated(PLAIN, {"x": M}, {"x": W}, {"x": G}, {"x": 4}, 0.5)["x"].tolist() == [[1, 1, 0, 1, 1, 0]]


def test_blocks_move_by_the_sums_of_their_magnitudes():
    """2 × 2 blocks. Those of sums 4 and 3 remain, so the second goes. Four gradients of -1 beat a single 3."""
    ones, single = torch.ones(2, 2), torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    M = torch.cat([ones, ones, 0 * ones, 0 * ones], 1).bool()
    W, G = torch.cat([ones, single, 0 * ones, 0 * ones], 1), torch.cat([9 * ones, 0 * ones, single, -ones], 1)
    new = updated(Ranking(UNIFORM, parse("2x2")), {"x": M}, {"x": W}, {"x": G}, {"x": 2}, 0.5)["x"]
    assert new.tolist() == [[1, 1, 0, 0, 0, 0, 1, 1]] * 2


def test_nothing_grows_outside_of_given_masks():
    """The largest gradient is where a given mask is 0."""
    given = {"x": torch.tensor([[1, 1, 0, 1]]).bool()}
    M, W, G = (torch.tensor([row]) for row in ([1.0, 1, 0, 0], [2.0, 1, 0, 0], [0.0, 0, 9, 5]))
    new = updated(Ranking(UNIFORM, given=given), {"x": M.bool()}, {"x": W}, {"x": G}, {"x": 2}, 0.5)["x"]
    assert new.tolist() == [[1, 0, 0, 1]]


def test_the_density_of_a_matrix_follows_its_shape(net, task):
    """ERK: a matrix of 32 × 32 keeps ε · 64 weights, and one of 32 × 64 keeps ε · 96.

    The eight small and four large ones keep 3,276.8 of 16,384, so ε = 3,276.8 / 896, and the counts are 234.06 and
    351.09.
    """
    next(rigl(net, task, **RIGL | {"allocation": "erk"}))
    kept = {n: int(m.sum()) for n, m in net.masks.items()}
    assert sum(kept.values()) == 3277
    assert all(abs(count - {1024: 234.06, 2048: 351.09}[net.masks[n].numel()]) < 1 for n, count in kept.items())


def test_a_run_in_blocks_keeps_whole_blocks(model_folder, task, impl):
    net, _, seen = trained(model_folder, task, impl, pattern="4x4")
    sizes = [count_kept(masks) for masks in seen]
    assert (
        len({*sizes}) == 1
        and abs(sizes[0] - 0.2 * 16_384) <= 8
        and any(not torch.equal(m, seen[0][n]) for n, m in net.masks.items())
    )
    for m in net.masks.values():
        blocks = m.numpy().reshape(m.shape[0] // 4, 4, m.shape[1] // 4, 4).sum((1, 3))
        assert {*blocks.ravel()} == {0, 16}


def dense_gradients(net, phase, batch, W):
    """Return ∂L/∂w at w ⊙ M for all weights, from a forward pass that gets w ⊙ M as leaves."""
    leaves = {n: (w.detach() * net.masks[n]).requires_grad_() for n, w in W.items()}
    with torch.enable_grad():
        loss = phase.loss(net(batch, phase.head, None, theta=leaves), batch, 0.0)["task"]
    return dict(zip(leaves, torch.autograd.grad(loss, [*leaves.values()]), strict=True))


def test_only_updates_move_masks_and_they_move_nothing_else(net, task, impl):
    """Each step of a run without dropout: steps 2 and 4 of 8 update, by the gradients of all weights."""
    phase = next(rigl(net, task, **RIGL))
    W = net.prunable()
    step, seen = Stepper(net.eval(), phase, seed=0, impl=impl), []
    pretrained = {n: w.detach().clone() for n, w in W.items()}
    for n, w in pretrained.items():  # each matrix keeps a fifth
        count = int(net.masks[n].sum())
        assert abs(count - 0.2 * w.numel()) < 1 and np.array_equal(net.masks[n], largest(w, count))
    size = sum(w.numel() for w in W.values())
    for k, batch in enumerate(islice(task.batches(4, 0), 8), 1):
        before, old = net.snapshot(phase.head), net.masks
        G = dense_gradients(net, phase, batch, W)
        _, hard_masks = step(k - 1, batch)
        assert all(torch.equal(hard_masks[n], old[n]) for n in old)  # those of the forward pass
        assert count_kept(net.masks) == size - round(0.8 * size)
        after = net.snapshot(phase.head)
        if k not in (2, 4):
            assert net.masks is old and not torch.equal(
                after["head.classifier.weight"], before["head.classifier.weight"]
            )
            continue
        share = 0.15 * (1 + np.cos(np.pi * k / 6))
        for n, w in W.items():
            expected = looped(old[n].numpy(), before[n].numpy(), G[n].numpy(), share)
            assert np.array_equal(net.masks[n], expected) and w.grad is None
            assert torch.equal(after[n], before[n] * old[n])  # removed weights are 0
            grown = net.masks[n] & ~old[n]
            assert grown.any() and not w[grown].any()
            state = step.optimizers[0].state[w]
            never = grown & (state["exp_avg_sq"] == 0)
            assert never.sum() > 0.5 * grown.sum() and not state["exp_avg"][never].any()
        assert all(torch.equal(after[n], x) for n, x in before.items() if n not in W)
        seen.append(k)
    assert seen == [2, 4] and phase.settled == 0.5


def largest(w, count):
    """Return where the largest magnitudes of a matrix are, by numpy."""
    size = np.abs(w.numpy())
    return size >= np.sort(size.ravel())[-count]


def test_random_masks_are_drawn_by_the_seed(model, task):
    def drawn(seed):
        net = SubNetwork(model, seed)
        next(rigl(net, task, **RIGL | {"start": "random"}))
        return torch.cat([m.flatten() for m in net.masks.values()]), net

    M, net = drawn(0)
    assert torch.equal(M, drawn(0)[0]) and not torch.equal(M, drawn(1)[0])
    large = np.concatenate([largest(w.detach(), w.numel() // 5).ravel() for w in net.prunable().values()])
    assert (M.numpy() & large).sum() / M.sum() == pytest.approx(0.2, abs=0.02)  # independent of the magnitudes


def trained(model_folder, task, impl, pattern="none", **settings):
    """Train on a fresh network. Return it, what was trained, and the masks of every step."""
    net, seen = SubNetwork(models.load(str(model_folder))), []
    phase = next(rigl(net, task, **RIGL | {"interval": 1, "pattern": pattern}))
    if "masks" not in settings:
        phase = watched(phase, lambda phase, t, M: seen.append(net.masks))
    settings = {"record": lambda line: None, "score": lambda: 0.0} | settings
    return net, train(net, phase, seed=0, impl=impl, **settings), seen


def test_a_weight_that_was_grown_has_recovered(model_folder, task, impl):
    """The counts of topology.json, from the masks of each step."""
    net, facts, seen = trained(model_folder, task, impl)
    assert len(seen) == 8
    removed = {n: ~seen[0][n] for n in net.masks}
    flips = sum(int(m.sum()) for m in removed.values())
    for last, now in pairwise(seen):
        for n in removed:
            removed[n] = removed[n] | ~now[n]
            flips += int((last[n] != now[n]).sum())
    recovered = sum(int((m & removed[n]).sum()) for n, m in net.masks.items())
    assert facts.history["recovered"] == recovered > 500 and facts.history["flips"] == flips


def test_a_resumed_run_equals_one_that_was_not_stopped(model_folder, task, impl, tmp_path):
    whole, facts, _ = trained(model_folder, task, impl)

    def dies(line):
        if line["step"] == 4:
            raise KeyboardInterrupt

    def store():
        every = Every(seconds=None, steps=1)
        return Checkpoints(tmp_path, "identity", every, Request(), SimpleNamespace(heads_read=None))

    with pytest.raises(KeyboardInterrupt):
        trained(model_folder, task, impl, record=dies, checkpoints=store())
    net, again, seen = trained(model_folder, task, impl, checkpoints=store())
    assert len(seen) == 5 and again.history == facts.history
    assert all(torch.equal(net.masks[n], m) for n, m in whole.masks.items())
    assert all(torch.equal(x, y) for x, y in zip(net.parameters(), whole.parameters(), strict=True))


def test_a_run_too_short_for_an_update_warns(net, task, caplog):
    phase = next(rigl(net, task, **RIGL | {"interval": 100}))
    assert caplog.messages == ["method.interval=100: the run has 8 steps, so its masks never change"]
    assert replace(phase, name="x").settled == 0.0 and phase.masks(0.5, False) is net.masks


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ({"allocation": "score"}, "method.allocation=score: RigL has no scores that train; allowed are uniform, "),
        ({"pattern": "2:4"}, "method.pattern=2:4: RigL drops and grows anywhere in a matrix; allowed are none and RxC"),
    ],
)
def test_what_has_no_meaning_is_refused(net, task, word, message):
    with pytest.raises(BadInput, match=f"^{message}"):
        next(rigl(net, task, **RIGL | word))
