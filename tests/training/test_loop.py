"""The loop: only listed tensors train, terms are summed, the seed decides, the best step has the final sparsity."""

from dataclasses import replace
from itertools import repeat
from types import SimpleNamespace

import pytest
import torch

from prunebert.errors import Diverged
from prunebert.fit import Fit
from prunebert.masks.top_v import keep_top
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.training import loop
from prunebert.training.loop import train
from prunebert.training.phase import Group, Phase, finetune
from tests.training.test_step_by_hand import BATCH, Still, sgd

FIT = Fit(epochs=1, steps=8, batch_size=8, lr=1e-3, head_lr=1e-3)


def phase_of(net, task, fit=FIT, groups=None, loss=None, masks=None, settled=0.0):
    head = net.add_head(task.form(), "linear")
    default = [Group(name="head", tensors=net.head_parameters(head), lr=1e-2)]
    return Phase(
        name="x",
        task=task,
        head=head,
        fit=fit,
        train=groups or default,
        masks=masks or (lambda t, hard: {}),
        loss=loss or (lambda out, batch, t: task.loss(out, batch)),
        settled=settled,
    )


def train_phase(net, phase, impl, seed=0, score=lambda: 0.0):
    lines = []
    return train(net, phase, seed=seed, impl=impl, record=lines.append, score=score), lines


def test_an_earlier_end_counts_only_within_the_budget(net, task):
    phase = phase_of(net, task)  # 8 steps
    ends = {until: replace(phase, until=until).planned for until in (None, 3, 8, 100)}
    assert ends == {None: 8, 3: 3, 8: 8, 100: 8}


def test_only_listed_groups_train(net, task, impl):
    phase = phase_of(net, task)
    before = net.snapshot(phase.head)
    trained, _ = train_phase(net, phase, impl)
    changed = {n for n, x in net.snapshot(phase.head).items() if not torch.equal(x, before[n])}
    assert changed == {
        "head.classifier.weight",
        "head.classifier.bias",
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
    }
    assert trained.parameters == 32 * 2 + 2 + 32 * 32 + 32 and trained.steps == 8
    assert not any(p.requires_grad for p in net.parameters()) and all(p.grad is None for p in net.parameters())


def test_terms_are_summed_and_named(net, task, impl):
    """Two terms whose gradients cancel leave the tensor unchanged. Both are logged."""
    x = torch.zeros(3)
    groups = [Group(name="x", tensors={"x": x}, lr=1.0)]
    _, lines = train_phase(
        net, phase_of(net, task, groups=groups, loss=lambda o, b, t: {"up": x.sum() + 1, "down": -x.sum()}), impl
    )
    assert torch.equal(x, torch.zeros(3)) and lines[-1]["loss_up"] == 1 and lines[-1]["loss_down"] == 0


def test_one_adamw_step_by_hand(net, task, impl):
    """AdamW's first step is -lr · sign(gradient) (ε aside), at the rate of a linear decay over 2 steps: 1, then 1/2."""
    x = torch.tensor([5.0, -2.0, 1.0])
    slope = torch.tensor([3.0, -4.0, 0.0])
    fit = Fit(epochs=1, steps=2, batch_size=4, lr=0, head_lr=0, clip=1e9)
    phase = phase_of(
        net, task, fit, [Group(name="x", tensors={"x": x}, lr=0.1)], lambda o, b, t: {"l": (x * slope).sum()}
    )
    train_phase(net, phase, impl)
    assert torch.allclose(x, torch.tensor([5.0 - 0.15, -2.0 + 0.15, 1.0]), atol=1e-6)


def test_a_seed_decides_everything(model_folder, task, impl):
    def weights(seed, draws):
        net = SubNetwork(models.load(str(model_folder)))
        torch.rand(draws)
        phase = next(finetune(net, task, net.add_head(task.form(), "linear"), FIT))
        train_phase(net, phase, impl, seed)
        return net.snapshot(phase.head)

    a, b, c = weights(0, 0), weights(0, 9), weights(1, 0)
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert not torch.equal(a["head.classifier.weight"], c["head.classifier.weight"])


def test_progress_runs_from_the_first_step_to_one_and_masks_end_hard(net, task, impl):
    calls = []
    S = net.new_scores("encoder")
    schedule = Cubic(0.8)

    def masks(t, hard):
        calls.append((t, hard))
        return keep_top(S, schedule(t))

    _, lines = train_phase(net, phase_of(net, task, masks=masks), impl)
    assert [t for t, hard in calls if not hard] == [i / 8 for i in range(1, 9)]
    assert calls[-1] == (1.0, True)
    assert [line["sparsity"] for line in lines] == pytest.approx([schedule(i / 8) for i in range(1, 9)], abs=1e-4)


@pytest.mark.parametrize(
    ("scores", "expected"), [([9, 8, 1, 2, 5, 3, 4], 5), ([9, 9, 9, 1, 1, 1, 1], 5), ([1, 1, 1, 1, 1, 1, 0], 5)]
)
def test_best_is_chosen_among_steps_at_the_final_sparsity_only(net, task, impl, scores, expected):
    """The schedule ends at step 5 of 8. Better scores before it do not count; of equal scores the earliest counts."""
    fit = Fit(epochs=1, steps=8, batch_size=4, lr=1e-3, head_lr=1e-3, eval_every=1, keep="best")
    S, schedule, states = net.new_scores("encoder"), Cubic(0.8, end=5 / 8), {}
    phase = phase_of(net, task, fit, masks=lambda t, hard: keep_top(S, schedule(t)), settled=schedule.end)
    next_scores = iter([*scores, 0])

    def score():
        states[len(states) + 1] = net.heads[phase.head].state_dict()["classifier.weight"].clone()
        return next(next_scores)

    trained, lines = train_phase(net, phase, impl, score=score)
    assert trained.selected_step == expected
    kept = {"selected_step": expected, "score": ([*scores, 0])[expected - 1], "sparsity": pytest.approx(0.8, abs=1e-4)}
    assert lines[-1] == {"phase": phase.name, "step": 8, "t": 1.0} | kept
    assert torch.equal(net.heads[phase.head].state_dict()["classifier.weight"], states[expected])


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_names_step_and_terms(net, task, impl, value):
    def loss(out, batch, t):
        extra = out.logits.sum() * 0 + float(value) if t > 0.5 else out.logits.sum() * 0
        return task.loss(out, batch) | {"extra": extra}

    with pytest.raises(Diverged, match=rf"not finite at step 5 of 8 of phase x .*extra={value}"):
        train_phase(net, phase_of(net, task, loss=loss), impl)


def test_the_progress_line_shows_the_sum_of_the_terms_and_the_sparsity(net, task, impl, monkeypatch):
    shown = []
    monkeypatch.setattr(loop.Progress, "show", lambda self, *facts: shown.append(facts))
    masks = {name: torch.zeros_like(w).index_fill_(0, torch.tensor([0]), 1) for name, w in net.prunable().items()}

    def loss(out, batch, t):
        return task.loss(out, batch) | {"kd": out.logits.sum() * 0 + 2, "penalty": out.logits.sum() * 0 + 3}

    _, lines = train_phase(net, phase_of(net, task, loss=loss, masks=lambda t, hard: masks), impl)
    logged = [line for line in lines if "lr" in line]
    assert [step for step, _, _ in shown] == [line["step"] for line in logged] and len(shown) > 2
    for (_, total, sparsity), line in zip(shown, logged, strict=True):
        assert total == pytest.approx(line["loss_task"] + 5) and sparsity == line["sparsity"] > 0.9


def test_a_gradient_that_is_nan_under_a_finite_loss_names_the_step(net, task, impl):
    """√0 is 0, but its gradient times 0 is NaN. The scores would become NaN under a finite loss."""

    def loss(out, batch, t):
        return task.loss(out, batch) | {"extra": (out.logits.abs() * (0.0 if t > 0.5 else 1.0)).sqrt().sum()}

    with pytest.raises(Diverged, match=r"gradient became NaN at step 5 of 8 of phase x; lower fit.lr"):
        train_phase(net, phase_of(net, task, loss=loss), impl)


def test_a_penalty_that_carries_its_gradient_is_trained_too(net, task, impl):
    """Scores that no loss reads: only the penalty, 3 · their sum, changes them, each by -0.5 · 3 in plain descent."""
    S = {"a": torch.ones(2, 3)}
    scores = Group(name="scores", tensors=S, lr=0.5, optimizer="sgd")
    fit = Fit(epochs=1, steps=1, batch_size=4, lr=1e-3, head_lr=1e-3, warmup=0.0, decay="constant", clip=1e9)
    phase = replace(phase_of(net, task, fit), penalty=lambda t: {"sum": 3 * S["a"].sum()})
    train_phase(net, replace(phase, train=[*phase.train, scores]), impl)
    assert torch.allclose(S["a"], torch.full((2, 3), -0.5))


def test_bf16_autocast_keeps_weights_in_float32(net, task, impl):
    phase = phase_of(net, task)
    train_phase(net, phase, replace(impl, precision="bf16"))
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_a_long_phase_logs_some_steps_and_its_last(impl):
    """0.5 % of 400 steps are 2, so it logs every second step. The rate is that of the first group, 1 at first."""
    fit = replace(FIT, steps=400, lr=0.25, eval_every=150)
    x, task = sgd("x", 0.0), SimpleNamespace(train_rows=4, batches=lambda size, seed: repeat(BATCH))
    phase = Phase(
        name="x",
        task=task,
        head="h",
        fit=fit,
        train=[x],
        masks=lambda t, hard: {},
        loss=lambda out, batch, t: {"sum": x.tensors["x"].sum()},
    )
    _, lines = train_phase(Still(), phase, impl, score=lambda: 0.5)
    rates = {line["step"]: line["lr"] for line in lines if "lr" in line}
    assert rates == pytest.approx({step: (401 - step) / 400 for step in (*range(1, 400, 2), 400)})
    assert [(line["step"], line["score"]) for line in lines if "score" in line] == [(150, 0.5), (300, 0.5)]


def test_a_logged_line_has_the_changes_of_side_so_far(net, task, impl):
    """The first weights of a matrix are removed, so many as each step says. The sums of the steps are by hand."""
    removed = [2, 2, 5, 1, 1, 0, 0, 3]
    name, matrix = next(iter(net.prunable().items()))

    def masks(t, hard):
        kept = torch.arange(matrix.numel()) >= removed[round(t * 8) - 1]
        return {name: kept.view(matrix.shape)}

    _, lines = train_phase(net, phase_of(net, task, masks=masks), impl)
    assert [line["flips"] for line in lines] == [2, 2, 5, 9, 9, 10, 10, 13]
    assert not any(line["flips"] for line in train_phase(net, phase_of(net, task), impl)[1])  # without masks


def test_the_last_line_states_the_masks_after_the_last_update(net, task, impl):
    """A step removes what `after` the step before decided. The last decision is in the last line, and in no step."""
    name, matrix = next(iter(net.prunable().items()))
    removed = {"count": 0}

    def after(t):
        removed["count"] += 10

    def masks(t, hard):
        return {name: (torch.arange(matrix.numel()) >= removed["count"]).view(matrix.shape)}

    trained, lines = train_phase(net, replace(phase_of(net, task, masks=masks), after=after), impl)
    assert [line["flips"] for line in lines] == [0, 10, 20, 30, 40, 50, 60, 80]
    assert lines[-1]["sparsity"] == pytest.approx(80 / matrix.numel()) and int((~net.masks[name]).sum()) == 80
    assert (trained.history["flips"], trained.history["at_end"]) == (80, 10)


@pytest.mark.parametrize("dropout", [True, False])
def test_a_phase_says_whether_it_trains_with_dropout(net, task, impl, dropout):
    seen = []
    phase = replace(phase_of(net, task), dropout=dropout, after=lambda t: seen.append(net.training))
    train_phase(net, phase, impl)
    assert seen == [dropout] * 8


def test_freed_memory_is_returned_once_when_the_moments_have_their_place(net, task, impl, monkeypatch):
    returns = []
    monkeypatch.setattr("prunebert.training.step.return_freed_memory", lambda: returns.append(True))
    fit = Fit(epochs=1, steps=4, batch_size=4, lr=1e-3, head_lr=1e-3)
    (phase,) = finetune(net, task, net.add_head(task.form(), "linear"), fit)
    train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    assert returns == [True]
