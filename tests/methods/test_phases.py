"""Train the phases of the methods: their names, their sparsity, what changes and what does not."""

import json

import pytest
import torch
from torch.nn import functional as F

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.penalty import mean_sigmas
from prunebert.masks.top_v import count_kept, sparsity, top
from prunebert.methods.dense import dense
from prunebert.methods.magnitude import one_shot
from prunebert.methods.random import random
from prunebert.methods.smp import initial_scores, smp
from prunebert.network import models
from prunebert.network.models import hash_of
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.reuse import ranking
from prunebert.schedules import Cubic
from prunebert.training.loop import train
from tests.test_conf import composed

FIT = Fit(epochs=1, steps=6, batch_size=16, lr=1e-3, head_lr=1e-3)
SMP = {
    "fit": FIT,
    "allocation": "score",
    "temperature": "paper",
    "score_lr": 2e-2,
    "score_init": "zero",
    "penalty": 400.0,
    "penalty_ramp": "run",
    "prune_steps": "paper",
    "prunable": "encoder",
    "head": "label_words",
    "distill": distill.none,
}
FIXED = {
    "fit": FIT,
    "allocation": "uniform",
    "prunable": "encoder",
    "head": "linear",
    "distill": distill.none,
    "masks": None,
    "keep_pretrained": False,
}
RANDOM = {"seed": 4, "allocation_by": "matrix"}


def run(method, net, task, impl, **settings):
    """Train all phases. Return their names, the recorded lines, and the phases."""
    names, lines, phases = [], [], []
    for i, phase in enumerate(method(net, task, **settings)):
        train(net, phase, seed=i, impl=impl, record=lines.append, score=lambda: 0.0)
        names.append(phase.name)
        phases.append(phase)
    return names, lines, phases


@pytest.mark.parametrize("s", [0.0, 0.3, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("allocation", ["uniform", "score", "global"])
def test_smp_freezes_every_weight_and_meets_its_sparsity(net, task, impl, s, allocation):
    before = net.snapshot(net.add_head(task.form(), "label_words"))
    settings = SMP | {"allocation": allocation, "schedule": Cubic(s)}
    names, lines, phases = run(smp, net, task, impl, **settings)
    assert names == ["prune"]
    after = net.snapshot(phases[0].head)
    assert before.keys() == after.keys() and all(torch.equal(before[n], after[n]) for n in before)
    assert (
        hash_of(dict(net.encoder.named_parameters() if not net.model.fresh else _pretrained(net)))
        == net.model.weights_hash
    )
    total = sum(m.numel() for m in net.masks.values())
    assert count_kept(net.masks) == total - round(total * s)
    assert all(m.dtype == torch.bool for m in net.masks.values())
    assert {g.name for g in phases[0].train} == {"scores"}
    assert any(S.any() for S in phases[0].train[0].tensors.values())  # the scores changed
    assert lines[-1]["sparsity"] == pytest.approx(s, abs=1e-4)


def _pretrained(net):
    return ((n.removeprefix(net.prefix), p) for n, p in net.parameters_of("pretrained").items())


def test_smp_scores_follow_minus_gradient_times_weight():
    """∂L/∂S = ∂L/∂W′ ⊙ W on a 4x5 matrix, by hand: L = Σ (W′ x) c, so ∂L/∂W′ = c xᵀ."""
    W = torch.tensor([[1.0, -2, 3, 0.5, -1], [0, 1, 1, -1, 2], [2, 2, -2, 1, 0], [1, 0, 0, 3, -3]])
    x, c = torch.tensor([1.0, 2, 0, -1, 3]), torch.tensor([1.0, -1, 2, 0.5])
    S = torch.arange(20.0).reshape(4, 5).requires_grad_(True)
    M = top(S, 8)
    ((W * straight_through({"w": M}, {"w": S})["w"]) @ x * c).sum().backward()
    expected = torch.tensor([[1.0, -4, 0, -0.5, -3], [0, -2, 0, -1, -6], [4, 8, 0, -2, 0], [0.5, 0, 0, -1.5, -4.5]])
    assert torch.equal(S.grad, expected)  # also where M = 0: the scores of removed weights still learn


def test_smp_penalty_rises_with_the_sparsity(net, task):
    """λ(t) of Eq. 6, 400 s(t)/s_f; both ramps by hand: test_smp_equations.py."""
    phase = next(smp(net, task, **SMP | {"schedule": Cubic(0.9), "penalty_ramp": "sparsity", "prune_steps": 3}))
    terms = phase.penalty(0.25)
    assert terms["sparsity"].item() == pytest.approx(200 * (1 - 0.5**3), rel=1e-5)  # u = 0.25 / (3/6)


def test_smp_score_allocation_gives_more_to_layers_with_higher_scores(net):
    S = initial_scores(net, "encoder", "zero")
    query = [n for n in S if net.place(n)[1] == "query"]
    S[query[0]] += 2.0
    M = ranking(net, "encoder", "score", "none", 0.9, strength=mean_sigmas)(S, 0.9)
    a, b = torch.tensor(2.0).sigmoid().item(), 0.5
    assert M[query[0]].float().mean().item() == pytest.approx(2 * 0.1 * a / (a + b), abs=1e-3)
    assert M[query[1]].float().mean().item() == pytest.approx(2 * 0.1 * b / (a + b), abs=1e-3)
    local = ranking(net, "encoder", "uniform", "none", 0.9)(S, 0.9)
    assert local[query[0]].float().mean().item() == pytest.approx(0.1, abs=1e-3)
    assert ranking(net, "encoder", "global", "none", 0.9)(S, 0.9)[query[0]].all()


def test_smp_with_a_new_head_trains_only_the_head_and_the_scores(net, task, impl):
    key = net.add_head(task.form(), "linear")
    before = net.snapshot(key)
    run(smp, net, task, impl, **SMP | {"schedule": Cubic(0.5), "head": "linear"})
    changed = {n for n, x in net.snapshot(key).items() if not torch.equal(x, before[n])}
    assert changed == {
        "head.classifier.weight",
        "head.classifier.bias",
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
    }


def test_smp_with_a_teacher_trains_it_first_and_returns_to_the_pretrained_weights(net, task, impl):
    before = net.snapshot(net.add_head(task.form(), "linear"))
    from functools import partial

    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    names, lines, _ = run(smp, net, task, impl, **SMP | {"schedule": Cubic(0.5), "distill": kd})
    assert names == ["teacher", "prune"]
    after = net.snapshot("toy_linear")
    assert all(torch.equal(before[n], after[n]) for n in before)
    assert lines[-1]["loss_kd_logits"] > 0


@pytest.mark.parametrize(
    ("method", "scope"), [(one_shot, "uniform"), (one_shot, "global"), (random, "uniform"), (random, "global")]
)
def test_one_shot_methods_fine_tune_under_a_fixed_mask(net, task, impl, method, scope):
    weights = {n: w.detach().clone() for n, w in net.prunable().items()}
    extra = RANDOM if method is random else {}
    names, _, _ = run(method, net, task, impl, sparsity=0.7, **FIXED | {"allocation": scope}, **extra)
    assert names == ["finetune"] and sparsity(net.masks) == pytest.approx(0.7, abs=1e-4)
    assert all(not torch.equal(w, weights[n]) for n, w in net.prunable().items())
    if method is one_shot:
        flat = torch.cat([w.abs().flatten() for w in weights.values()]).sort(descending=True).values
        for n, w in weights.items():
            magnitudes = flat if scope == "global" else w.abs().flatten().sort(descending=True).values
            count = round(0.3 * flat.numel()) if scope == "global" else int(net.masks[n].sum())
            assert scope == "global" or abs(count - 0.3 * w.numel()) < 1
            assert torch.equal(net.masks[n], w.abs() >= magnitudes[count - 1])  # no ties among these weights


def test_random_masks_depend_only_on_the_seed(model_folder, task, impl):
    def masks(seed):
        net = SubNetwork(models.load(str(model_folder)))
        return next(random(net, task, sparsity=0.5, **FIXED | RANDOM | {"seed": seed})).masks(1.0, True)

    a, b, c = masks(0), masks(0), masks(1)
    assert all(torch.equal(a[n], b[n]) for n in a) and not any(torch.equal(a[n], c[n]) for n in a)


def test_the_seed_of_a_run_is_that_of_its_random_masks():
    assert composed("method=random", "seed=5")["method"]["seed"] == 5


def test_a_pruned_weight_never_reaches_the_output(net, task, impl):
    """The values of removed weights, which fine-tuning changes, have no effect on the output."""
    _, _, phases = run(one_shot, net, task, impl, sparsity=0.7, **FIXED)
    batch = next(task.eval_batches("validation", 8))
    net.eval()
    expected = net(batch, phases[0].head, net.masks).logits
    with torch.no_grad():
        for n, w in net.prunable().items():
            w[~net.masks[n]] = 1e3
    assert torch.equal(net(batch, phases[0].head, net.masks).logits, expected)


def test_dense_learns_the_toy_task(net, task, impl):
    """One word determines the label, so nearly every prediction must be right."""
    from prunebert.training.evaluate import evaluate

    fit = Fit(epochs=1, steps=120, batch_size=16, lr=2e-3, head_lr=2e-3)
    _, lines, phases = run(dense, net, task, impl, fit=fit, head="linear")
    assert evaluate(net, task, phases[0].head, impl).score > 0.95
    assert lines[0]["loss_task"] > 4 * lines[-1]["loss_task"]
    assert net.masks == {} and json.dumps(lines)


def test_a_bad_number_of_pruning_steps_is_refused(net, task):
    with pytest.raises(BadInput, match="between 1 and 6"):
        next(smp(net, task, **SMP | {"schedule": Cubic(0.5), "prune_steps": 7}))


def test_logits_distillation_by_hand(net, task):
    """(1-w) CE + w T² KL(teacher ‖ student) against torch's distributions; zero if both agree."""
    from types import SimpleNamespace

    key = net.add_head(task.form(), "linear")
    phases = distill.logits(net, task, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    next(phases)
    with pytest.raises(StopIteration) as stop:
        next(phases)
    distillation_loss = stop.value.value
    batch = next(task.batches(4, 0))
    with net.evaluation_mode():
        teacher = net(batch, key).logits
    equal_terms = distillation_loss(SimpleNamespace(logits=teacher), batch, {"task": torch.tensor(3.0)})
    assert equal_terms["task"].item() == 1.5 and equal_terms["kd_logits"].item() == pytest.approx(0, abs=1e-6)
    student = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    kd = distillation_loss(SimpleNamespace(logits=student), batch, {"task": torch.tensor(3.0)})["kd_logits"]
    p, q = (torch.distributions.Categorical(logits=x / 2) for x in (teacher, student))
    assert kd.item() == pytest.approx(0.5 * 4 * torch.distributions.kl_divergence(p, q).mean().item(), rel=1e-5)
    kd.backward()
    assert student.grad.abs().sum() > 0 and all(x.grad is None for x in net.parameters())
    assert F.softmax(teacher, -1).shape == (4, 2)
