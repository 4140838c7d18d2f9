"""Test gmp, imp and movement: what shrinks, what may return, what is rewound, and that the sparsity is exact."""

from itertools import pairwise

import pytest
import torch

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.top_v import count_kept
from prunebert.methods.gradual import gmp
from prunebert.methods.imp import imp
from prunebert.methods.movement import hard
from prunebert.schedules import Cubic
from prunebert.settings import signature
from prunebert.training.loop import train

FIT = Fit(epochs=1, steps=8, batch_size=16, lr=1e-3, head_lr=1e-3)
BASE = {"fit": FIT, "allocation": "uniform", "prunable": "encoder", "head": "linear", "distill": distill.none}
GMP = BASE | {"updates": 100, "keep_pretrained": False}
IMP = BASE | {"keep_pretrained": False}
MOVEMENT = BASE | {"score_lr": 0.5}


def play(programme, net, impl, watch=lambda phase, masks: None):
    """Train every phase; `watch` gets the hard masks of each evaluation. Return the phases and the recorded lines."""
    phases, lines = [], []
    for i, phase in enumerate(programme):

        def score(phase=phase):
            watch(phase, net.masks)
            return 0.0

        train(net, phase, seed=i, impl=impl, record=lines.append, score=score)
        phases.append(phase)
    return phases, lines


def exact(net, s):
    """Return whether the masks have exactly the sparsity s."""
    total = sum(m.numel() for m in net.masks.values())
    return count_kept(net.masks) == total - round(total * s) if net.masks else s == 0


@pytest.mark.parametrize("s", [0.0, 0.3, 0.5, 0.9, 0.97])
def test_the_requested_sparsity_is_measured(net, task, impl, s):
    before = net.snapshot(net.add_head(task.form(), "linear"))
    short = {"fit": Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3)}
    for method, settings in (
        (gmp, GMP | short | {"schedule": Cubic(s)}),
        (hard, MOVEMENT | short | {"schedule": Cubic(s, 0.1, 0.8)}),
        (imp, IMP | short | {"sparsity": s, "step": 0.25, "allocation": "global", "prunable": "encoder_pooler"}),
    ):
        net.masks = {}
        net.rewind(before, "toy_linear")
        play(method(net, task, **settings), net, impl)
        assert exact(net, s), method


def test_gmp_masks_only_shrink_and_follow_the_schedule_in_steps(net, task, impl):
    fit = Fit(
        epochs=1, steps=8, batch_size=16, lr=5e-2, head_lr=1e-3, eval_every=1
    )  # a rate that changes the order of magnitudes
    masks_by_step = []
    settings = GMP | {"fit": fit, "updates": 4, "schedule": Cubic(0.8)}
    programme = gmp(net, task, **settings)
    start = net.prunable()
    play(programme, net, impl, lambda _, masks: masks_by_step.append({n: m.clone() for n, m in masks.items()}))
    masks_by_step.append(net.masks)
    assert all((late[n] <= early[n]).all() for early, late in pairwise(masks_by_step) for n in start)
    total = sum(m.numel() for m in net.masks.values())
    expected = [0.8 * (1 - (1 - u) ** 3) for u in (0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1)]
    assert [1 - count_kept(m) / total for m in masks_by_step] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("end", "settled"), [(0.29, 30), (0.5, 50), (0.57, 58), (0.58, 59), (0.605, 61), (1.0, 100)])
def test_gmp_is_settled_from_the_step_of_its_last_mask_on(net, task, end, settled):
    """0.29 · 100, 0.57 · 100 and 0.58 · 100 are floats just below an integer, so their last mask is a step later."""
    phase = next(gmp(net, task, **GMP | {"schedule": Cubic(0.9, 0.0, end)}))
    final = [k for k in range(1, 101) if phase.masks(k / 100, True) and phase.memory["sparsity"] == 0.9]
    assert final == [k for k in range(1, 101) if k / 100 >= phase.settled] == [*range(settled, 101)]


def test_gmp_by_hand(net, task):
    """The second cut ranks the current |W| of the weights that the first cut left."""
    phase = next(gmp(net, task, **GMP | {"schedule": Cubic(0.75), "updates": 2}))
    name = next(iter(net.prunable()))
    first_mask = phase.masks(0.5, False)[name].clone()
    W = net.prunable()[name]
    with torch.no_grad():
        W[~first_mask] = 100.0  # removed weights never return, however large
        W[first_mask] = torch.arange(1.0, int(first_mask.sum()) + 1)
    last_mask = phase.masks(1.0, True)[name]
    count = int(last_mask.sum())
    assert abs(count - 0.25 * W.numel()) < 1
    assert torch.equal(last_mask, first_mask & W.gt(int(first_mask.sum()) - count))


def test_movement_lets_weights_return_and_freezes_the_embeddings(net, task, impl):
    fit = Fit(epochs=1, steps=12, batch_size=16, lr=1e-3, head_lr=1e-3, eval_every=1)
    masks_by_step = []
    before = net.snapshot(net.add_head(task.form(), "linear"))
    programme = hard(net, task, **MOVEMENT | {"fit": fit, "schedule": Cubic(0.5, 0.0, 0.3)})
    phases, _ = play(
        programme, net, impl, lambda _, masks: masks_by_step.append({n: m.clone() for n, m in masks.items()})
    )
    returned = sum(int((~early[n] & late[n]).sum()) for early, late in pairwise(masks_by_step) for n in early)
    assert returned > 0
    after = net.snapshot("toy_linear")
    unchanged = {n for n in before if torch.equal(before[n], after[n])}
    assert unchanged == {n for n in before if n.startswith("bert.embeddings")} and len(unchanged) == 5
    assert {g.name for g in phases[0].train} == {"weights", "biases", "head", "scores"}
    assert phases[0].settled == 0.3


def test_movement_is_dense_until_its_warm_up_ends(net, task):
    phase = next(hard(net, task, **MOVEMENT | {"schedule": Cubic(0.9, 0.25, 0.75)}))
    total = sum(w.numel() for w in net.prunable().values())
    for t, s in ((0.25, 0.0), (0.5, 0.9 * (1 - 0.5**3)), (0.75, 0.9), (1.0, 0.9)):
        assert count_kept(phase.masks(t, True)) == pytest.approx(total * (1 - s), abs=1)


def test_imp_trains_prunes_and_rewinds(net, task, impl):
    key = net.add_head(task.form(), "linear")
    theta = {n: x for n, x in net.snapshot(key).items() if not n.startswith("head.")}
    starts, ends, masks = [], [], []
    programme = imp(net, task, **IMP | {"sparsity": 0.55, "step": 0.2})
    for i, phase in enumerate(programme):
        starts.append({n: p.detach().clone() for n, p in net.parameters_of().items()})
        masks.append(phase.masks(0.0, True))
        train(net, phase, seed=i, impl=impl, record=lambda line: None, score=lambda: 0.0)
        ends.append((phase.name, {n: p.detach().clone() for n, p in net.parameters_of().items()}))
    assert [name for name, _ in ends] == ["round-1", "round-2", "round-3", "finetune"]
    assert all(torch.equal(state[n], theta[n]) for state in starts for n in theta)  # every round starts from θ₀
    total = sum(w.numel() for w in net.prunable().values())
    assert [total - count_kept(m) if m else 0 for m in masks] == [round(total * s) for s in (0, 0.2, 0.4, 0.55)]
    for k in range(3):  # each mask has the largest trained weights of the previous round, among the remaining ones
        for n, m in masks[k + 1].items():
            rank = (ends[k][1][n].abs() * (masks[k][n] if masks[k] else 1)).flatten()
            smallest_remaining, largest_removed = rank[m.flatten()].min(), rank[~m.flatten()].max()
            assert smallest_remaining >= largest_removed and (not masks[k] or (m <= masks[k][n]).all())
    with pytest.raises(BadInput, match=r"method\.step=0: must be a number, above 0 and at most 1"):
        signature.check({"_target_": "prunebert.methods.imp.imp", "_partial_": True, "step": 0}, "method")


def test_imp_keeps_the_trained_head_over_the_rounds(net, task, impl):
    """Chen's code rewinds the encoder alone. With keep_pretrained the last training starts from a new head."""
    fit = Fit(epochs=1, steps=1, batch_size=4, lr=1e-3, head_lr=1e-2)
    for kept in (False, True):
        new_head = net.heads[net.add_head(task.form(), "linear")].classifier.weight.detach().clone()
        theta, ends = net.snapshot("toy_linear"), []
        programme = imp(net, task, **IMP | {"fit": fit, "sparsity": 0.4, "step": 0.2, "keep_pretrained": kept})
        for i, phase in enumerate(programme):
            W = net.heads[phase.head].classifier.weight
            is_new = i == 0 or (kept and phase.name == "head")
            assert torch.equal(W, new_head if is_new else ends[-1])
            train(net, phase, seed=i, impl=impl, record=lambda line: None, score=lambda: 0.0)
            ends.append(W.detach().clone())
        assert len(ends) == 3 and not torch.equal(ends[0], new_head)
        net.masks = {}
        net.rewind(theta, "toy_linear")


def test_gmps_survivors_return_to_their_pretrained_values(net, task, impl):
    """keep_pretrained: the second phase starts from θ₀ under the final mask, with a new head."""
    before = net.snapshot(net.add_head(task.form(), "linear"))
    programme = gmp(net, task, **GMP | {"schedule": Cubic(0.5), "keep_pretrained": True})
    prune = next(programme)
    train(net, prune, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    masks = {n: m.clone() for n, m in net.masks.items()}
    assert not torch.equal(net.snapshot(prune.head)["head.classifier.weight"], before["head.classifier.weight"])
    head = next(programme)
    assert all(torch.equal(x, before[n]) for n, x in net.snapshot(head.head).items())
    assert all(torch.equal(m, masks[n]) for n, m in head.masks(1.0, False).items()) and len(masks) == 12
