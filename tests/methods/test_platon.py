"""PLATON: averages and masks against plain loops over numbers, weights that come back, resume, and the best step."""

import random
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from prunebert import distill
from prunebert.fit import Fit
from prunebert.methods.platon import paper_beta2, platon
from prunebert.schedules import Cubic
from prunebert.training.checkpoints import NoCheckpoints
from prunebert.training.loop import train
from tests import merged

SETTINGS = {"beta1": 0.85, "beta2": 0.6, "allocation": "global", "prunable": "encoder", "head": "linear"}
SETTINGS |= {"distill": distill.none}


def fit(steps, **more):
    return Fit(**{"epochs": 1, "steps": steps, "batch_size": 4, "lr": 2e-3, "head_lr": 1e-3} | more)


# --- the equations ----------------------------------------------------------------------------------------------------


class Two(nn.Module):
    """What PLATON asks of a network, with two matrices."""

    prefix = ""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.masks, self.given = (
            nn.Parameter(torch.zeros(4, 5)),
            nn.Parameter(torch.zeros(3, 4)),
            {},
            {},
        )

    def prunable(self, which="encoder"):
        return {"a": self.a, "b": self.b}

    def parameters_of(self, kind="pretrained"):
        return self.prunable()

    def add_head(self, form, head):
        return "h"

    def head_parameters(self, key):
        return {}

    def place(self, name):
        return 0, name


def plain(values, slopes, steps, interval, schedule, beta1, beta2):
    """Yield (W, mask, Ī, Ū) after each step: lists of all weights in a row. `values` move the weights at every step."""
    size = len(values[0])
    w, mean, spread, window, stays = [0.0] * size, [0.0] * size, [0.0] * size, [], [True] * size
    updated = False
    for step in range(1, steps + 1):
        w = [x + d for x, d in zip(w, values[step - 1], strict=True)]
        window.append([abs(x * g) for x, g in zip(w, slopes[step - 1], strict=True)])
        last_part = step / steps >= schedule.end
        if len(window) == interval or (last_part and not updated):
            now = [sum(column) / len(window) for column in zip(*window, strict=True)]
            for i in range(size):
                mean[i] = beta1 * mean[i] + (1 - beta1) * now[i]
                spread[i] = beta2 * spread[i] + (1 - beta2) * abs(now[i] - mean[i])
            window, updated, ranks = [], True, True
        else:
            ranks = last_part
        if ranks:
            order = sorted(range(size), key=lambda i: mean[i] * spread[i])
            removed = set(order[: size - round(size - size * schedule(step / steps))])
            stays = [i not in removed for i in range(size)]
            w = [x if stay else 0.0 for x, stay in zip(w, stays, strict=True)]
        yield w, stays, mean, spread


def row(tensors):
    return torch.cat([tensors[n].detach().flatten() for n in "ab"]).tolist()


@pytest.mark.parametrize(("steps", "interval"), [(40, 10), (40, 3), (3, 10), (1, 10)])
def test_averages_masks_and_weights_against_plain_loops(steps, interval):
    net, drawn, schedule = Two(), random.Random(4), Cubic(0.5, 0.1, 0.8)
    values, slopes = ([[drawn.gauss(0, 0.3) for _ in range(32)] for _ in range(steps)] for _ in range(2))
    task = SimpleNamespace(form=lambda: None, train_rows=4)
    (phase,) = platon(net, task, fit=fit(steps), schedule=schedule, interval=interval, **SETTINGS)
    assert all(group.optimizer == "adamax" for group in phase.train) and phase.settled == 0.8
    came_back, was_removed = 0, set()
    for step, expected in enumerate(plain(values, slopes, steps, interval, schedule, 0.85, 0.6), 1):
        moves, gradients = (torch.tensor(x[step - 1]) for x in (values, slopes))
        with torch.no_grad():
            for n, part, gradient in zip("ab", moves.split([20, 12]), gradients.split([20, 12]), strict=True):
                W = net.prunable()[n]
                W.add_(part.view_as(W))
                W.grad = gradient.view_as(W)
            assert phase.masks(step / steps, False) == {}
            phase.after(step / steps)
        w, stays, mean, spread = expected
        assert row(phase.masks(step / steps, True)) == stays, step
        assert row(net.prunable()) == pytest.approx(w, abs=1e-5)
        for name, averages in (("sensitivity", mean), ("uncertainty", spread)):
            found = row({n: phase.memory[f"{name}.{n}"] for n in "ab"})
            assert found == pytest.approx(averages, abs=1e-6), (step, name)
        came_back += sum(stays[i] for i in was_removed)
        was_removed = {i for i, stay in enumerate(stays) if not stay}
    assert len(was_removed) == 16 and all(x == 0 for x, stay in zip(w, stays, strict=True) if not stay)
    assert came_back > 0 or steps < 40


def test_a_weight_without_a_gradient_is_the_least_important():
    """As a pooler has none whose head does not read it."""
    net = Two()
    task = SimpleNamespace(form=lambda: None, train_rows=4)
    (phase,) = platon(net, task, fit=fit(1), schedule=Cubic(0.375), interval=10, **SETTINGS)
    with torch.no_grad():
        for W in net.prunable().values():
            W.fill_(1.0)
    net.a.grad = torch.arange(1.0, 21.0).view(4, 5)
    with torch.no_grad():
        phase.after(1.0)
    assert not net.masks["b"].any() and net.masks["a"].all()  # 12 of 32


# --- in the loop ------------------------------------------------------------------------------------------------------


class Moments(NoCheckpoints):
    """Keeps the state after one step, and starts from it."""

    def __init__(self, step, state=None):
        self.step, self.state = step, state

    def resume(self, moment):
        if self.state is None:
            return 0, 0.0
        moment.restore(*self.state)
        return self.step, 0.0

    def save_if_due(self, step, moment, seconds):
        if step == self.step and self.state is None:
            self.state = moment.tensors(), moment.values()


def run(net, task, impl, sparsity, steps=12, score=lambda: 0.0, checkpoints=None, **more):
    """Train on the toy; return the lines of its metrics."""
    lines = []
    settings = {"fit": fit(steps, **more), "schedule": Cubic(sparsity, 0.1, 0.7), "interval": 3, **SETTINGS}
    (phase,) = platon(net, task, **settings)
    train(net, phase, seed=0, impl=impl, record=lines.append, score=score, checkpoints=checkpoints)
    return lines


def removed(net):
    """Return how many weights the masks remove. They are 0."""
    W = net.prunable()
    assert all(not W[n][~m].any() for n, m in net.masks.items()) and net.masks.keys() == W.keys()
    return sum(int((~m).sum()) for m in net.masks.values())


@pytest.mark.parametrize("sparsity", [0.0, 0.97])
def test_the_sparsity_is_exact_and_what_is_removed_is_0(net, task, impl, sparsity):
    lines = run(net, task, impl, sparsity)
    assert abs(removed(net) - sparsity * 16_384) <= 0.5
    assert lines[-1]["sparsity"] == pytest.approx(sparsity, abs=1e-4)


def test_a_resumed_run_ends_the_same_within_an_average_and_with_the_best_step(net, task, impl):
    """The state is that of step 10, one step after an average, with removed weights that were trained on."""
    start = {n: p.detach().clone() for n, p in net.named_parameters()}
    more = {"eval_every": 1, "keep": "best"}
    whole = Moments(10)

    def score():
        return float(next(iter(net.prunable().values())).detach().sum())

    run(net, task, impl, 0.6, checkpoints=whole, score=score, **more)
    expected = {n: p.detach().clone() for n, p in net.named_parameters()}
    masks = dict(net.masks)
    for n, p in net.named_parameters():
        p.data.copy_(start.get(n, expected[n]))
    net.masks = {}
    run(net, task, impl, 0.6, checkpoints=Moments(10, whole.state), score=score, **more)
    assert all(torch.equal(p, expected[n]) for n, p in net.named_parameters())
    assert all(torch.equal(m, masks[n]) for n, m in net.masks.items()) and removed(net) == round(0.6 * 16_384)


def test_the_best_step_keeps_its_own_masks(net, task, impl):
    """Masks change after the sparsity is final, so the last step's masks are not the best step's."""
    seen = []

    def score():
        seen.append({n: m.clone() for n, m in net.masks.items()})
        return 1.0 if len(seen) == 9 else 0.0  # step 9 of 12 is the first with the final sparsity

    run(net, task, impl, 0.6, score=score, eval_every=1, keep="best")
    assert any(not torch.equal(m, seen[-1][n]) for n, m in seen[8].items())
    assert all(torch.equal(m, net.masks[n]) for n, m in seen[8].items())
    assert removed(net) == round(0.6 * 16_384)


# --- the configuration ------------------------------------------------------------------------------------------------


def test_beta2_of_the_scripts():
    assert [paper_beta2(s) for s in (0.5, 0.8, 0.85, 0.9, 0.97)] == [0.95, 0.95, 0.9, 0.85, 0.85]

    def of_task(task, sparsity):
        return merged.config(method="platon", task=task, sparsity=sparsity)["method"]["beta2"]

    assert [of_task("rte", s) for s in (0.8, 0.85, 0.9)] == [0.95, 0.65, 0.95]
    assert (of_task("mnli", 0.9), of_task("wnli", 0.9), of_task("qnli", 0.8)) == ("paper", "paper", 0.9)
