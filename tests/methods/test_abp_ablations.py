"""Test AbP's ablations: shuffled masks and noisy weights."""

import pytest
import torch

from prunebert.masks.top_v import keep_top
from prunebert.methods.abp import abp, initial
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from tests.methods.test_abp import ABP, WIDE, play


@pytest.fixture
def plain(model_folder, task, impl):
    """Return the masks of a run without ablation."""
    net = SubNetwork(models.load(str(model_folder)))
    play(abp(net, task, **ABP), net, impl)
    return net.masks


def ablated(net, task, impl, kind):
    """Run an ablation, and return all values before it and after it."""
    before, starts = net.snapshot(net.add_head(task.form(), "layer_mix")), []

    def watch(phase, t, M):
        if phase.name == "head" and not starts:
            starts.append((net.snapshot(phase.head), M))

    results = play(abp(net, task, **ABP | {"ablation": kind}), net, impl, watch)
    assert [phase.name for phase, _ in results] == ["prune", "head"]
    assert {g.name for g in results[1][0].train} == {"head"}
    start, M = starts[0]
    head = [n for n in before if n.startswith("head.")]
    assert len(head) == 5 and all(torch.equal(start[n], before[n]) for n in head)  # a new head
    after = net.snapshot(results[1][0].head)
    assert all(not torch.equal(after[n], before[n]) for n in head)
    assert all(torch.equal(after[n], start[n]) for n in after if not n.startswith("head."))
    assert all(torch.equal(M[n], net.masks[n]) for n in net.masks) and M.keys() == net.masks.keys()
    return before, after


def test_shuffle_preserves_only_the_count_of_every_matrix(net, task, impl, plain):
    before, after = ablated(net, task, impl, "shuffle")
    assert all(torch.equal(after[n], x) for n, x in before.items() if not n.startswith("head."))
    assert net.masks.keys() == plain.keys() and len(plain) == 13
    for n, m in net.masks.items():
        assert m.dtype == torch.bool and m.sum() == plain[n].sum()
        density = float(plain[n].float().mean())
        agreement = float((m == plain[n]).float().mean())  # by chance p² + (1-p)²
        assert agreement == pytest.approx(density**2 + (1 - density) ** 2, abs=0.06)


def test_reinit_multiplies_every_weight_by_about_one(net, task, impl, plain):
    before, after = ablated(net, task, impl, "reinit")
    assert all(torch.equal(m, plain[n]) for n, m in net.masks.items())
    pretrained = net.parameters_of("pretrained")
    assert len(pretrained) == 37
    ratio = torch.cat([(after[n] / before[n])[before[n] != 0].flatten() for n in pretrained])
    assert ratio.numel() > 15_000
    assert float(ratio.mean()) == pytest.approx(1, abs=1e-3) and float(ratio.std()) == pytest.approx(0.01, rel=0.05)
    assert all(not torch.equal(after[n], before[n]) for n in pretrained)
    assert all(torch.equal(after[n], before[n]) for n in net.parameters_of("fresh"))  # a pooler that nothing reads
    word = "bert.embeddings.word_embeddings.weight"  # both draws begin with this matrix
    noise = torch.stack([after[word] / before[word], initial(net, WIDE, 0.01, 0.001)[word]])
    noise = noise[:, before[word] != 0]
    assert abs(float(torch.corrcoef(noise)[0, 1])) < 0.1  # it is not that of θ₀
    query, key = (after[n] / before[n] for n in pretrained if n.endswith(("query.weight", "key.weight")) and "r.0" in n)
    assert not torch.allclose(query, key, atol=1e-3)


@pytest.mark.parametrize("kind", ["shuffle", "reinit"])
def test_an_ablation_is_drawn_by_the_runs_seed(model_folder, task, kind):
    """Without training: the masks, and the weights, with which the last phase starts."""

    def start(seed):
        net = SubNetwork(models.load(str(model_folder)), seed)
        programme = abp(net, task, **ABP | {"ablation": kind})
        next(programme)
        net.masks = keep_top({n: w.abs() for n, w in net.prunable().items()}, 0.5)  # the same for every seed
        torch.rand(seed + 1)
        last = next(programme)
        return (
            last.masks(1.0, True) if kind == "shuffle" else {n: w.detach().clone() for n, w in net.prunable().items()}
        )

    a, b, c = start(0), start(0), start(1)
    assert len(a) == 12 and all(torch.equal(a[n], b[n]) for n in a) and not any(torch.equal(a[n], c[n]) for n in a)
