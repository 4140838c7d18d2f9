"""Dropout and the draws of a run: on in training, off in evaluations, decided by the seed, new at every step."""

from dataclasses import replace
from functools import partial
from itertools import chain, combinations, repeat

import pytest
import torch
from torch import nn

from prunebert import run as runs
from prunebert.fit import Fit
from prunebert.methods.dense import dense
from prunebert.methods.l0 import l0
from prunebert.network.interface import Batch
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.artifacts import Artifacts
from prunebert.system import distributed
from prunebert.training.evaluate import evaluate
from prunebert.training.loop import train
from prunebert.training.step import share
from tests.methods.test_l0 import L0
from tests.toys import RESULT, watched

STILL = Fit(epochs=1, steps=3, batch_size=8, lr=0.0, head_lr=0.0, decay="constant")  # trains, and changes nothing


def test_dropout_is_on_at_every_step_and_off_in_every_evaluation(net, task, impl):
    """Dropout at BERT's 0.1 zeroes about a tenth of its input, also at the steps after an evaluation."""
    fit = replace(STILL, steps=4, eval_every=2)
    phase = next(dense(net, task, fit=fit, head="linear"))
    zeroed, where = {"training": [], "evaluation": []}, ["training"]

    def count(module, inputs, output):
        old = inputs[0] != 0
        zeroed[where[0]].append(float((output[old] == 0).float().mean()))

    def score():
        where[0] = "evaluation"
        result = evaluate(net, task, phase.head, impl).score
        where[0] = "training"
        return result

    layers = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Dropout)]
    train(net, phase, seed=0, impl=impl, record=lambda line: None, score=score)
    per_step = len(zeroed["training"]) // 4  # attention's own dropout is inside a fused function
    assert per_step >= 6 and len(layers) >= per_step and len(zeroed["evaluation"]) >= per_step
    by_step = [zeroed["training"][k * per_step : (k + 1) * per_step] for k in range(4)]
    assert all(sum(shares) / per_step == pytest.approx(0.1, abs=0.02) for shares in by_step)
    assert not any(zeroed["evaluation"])


def logits_by_step(net, task, impl, seed):
    """Return the logits of every step of a phase that sees one batch again and again and learns nothing."""
    phase, seen = next(dense(net, task, fit=STILL, head="linear")), []
    batch = next(task.batches(8, 0))

    class Same:
        train_rows = task.train_rows
        batches = staticmethod(lambda size, seed: repeat(batch))

    def loss(out, batch, t):
        seen.append(out.logits.detach())
        return task.loss(out, batch)

    train(net, replace(phase, task=Same, loss=loss), seed=seed, impl=impl, record=lambda line: None, score=lambda: 0.0)
    return seen


def test_dropout_is_drawn_anew_at_every_step_by_the_seed_alone(net, task, impl):
    first = logits_by_step(net, task, impl, 0)
    torch.rand(9)
    again, other = logits_by_step(net, task, impl, 0), logits_by_step(net, task, impl, 1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(first) == 3 and not any(torch.equal(a, b) for a, b in combinations([*first, *other], 2))


def test_the_order_of_the_data_is_that_of_the_seed(net, task, impl):
    """96 rows in 3 batches of 32 are an epoch, in which each row comes once."""

    def rows_by_step(seed):
        phase, rows = next(dense(net, task, fit=replace(STILL, batch_size=32), head="linear")), []

        def loss(out, batch, t):
            rows.append(batch.rows.tolist())
            return task.loss(out, batch)

        train(net, replace(phase, loss=loss), seed=seed, impl=impl, record=lambda line: None, score=lambda: 0.0)
        return rows

    first, again, other = rows_by_step(0), rows_by_step(0), rows_by_step(1)
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))
    assert [len(rows) for rows in first] == [32] * 3
    assert all(sorted(chain(*rows)) == list(range(96)) for rows in (first, other))


def test_l0_draws_its_gates_anew_at_every_step_by_the_seed_alone(net, task, impl):
    """At S₀ a drawn gate is 0 with probability 0.022. The sparsity is that of the hard masks, of which none is 0."""
    lines = []

    def gates_by_step(seed):
        phase, gates = next(l0(net, task, **L0 | {"fit": STILL, "control": "none", "score_lr": 0.0})), []
        watch = watched(phase, lambda phase, t, M: gates.append(next(iter(M.values())).detach().clone()))
        train(net, watch, seed=seed, impl=impl, record=lines.append, score=lambda: 0.0)
        return gates

    first, again, other = gates_by_step(0), gates_by_step(0), gates_by_step(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(first) == 3 and not any(torch.equal(a, b) for a, b in combinations([*first, *other], 2))
    assert any((gate == 0).any() for gate in first) and [line["sparsity"] for line in lines] == [0.0] * 9


def test_ranks_draw_their_own_numbers_by_seed_and_step(monkeypatch):
    """What is drawn outside, such as L0's gates, stays equal on all ranks."""
    monkeypatch.setattr(distributed, "COUNT", 2)

    def draw(rank, seed, step):
        monkeypatch.setattr(distributed, "RANK", rank)
        torch.manual_seed(7)
        with distributed.own_random(seed, step, torch.device("cpu")):
            own = torch.rand(4)
        return own, torch.rand(4)

    cases = [(rank, seed, step) for rank in (0, 1) for seed in (0, 1) for step in (0, 1)]
    own, common = zip(*(draw(*case) for case in cases), strict=True)
    assert not any(torch.equal(a, b) for a, b in combinations(own, 2))
    assert all(torch.equal(a, common[0]) for a in common) and torch.equal(draw(1, 1, 1)[0], own[-1])


def test_every_rank_takes_its_rows_and_weighs_its_labels(monkeypatch):
    """Rows 0, 2, 4 and 1, 3. Of the 7 labels that count, -100 left out, the first rank has 5. A third has no row."""
    labels = torch.tensor([[1, 2], [3, -100], [-100, 4], [5, -100], [6, 7]])
    batch = Batch({"input_ids": torch.arange(10).view(5, 2)}, labels, torch.arange(5))
    for rank, rows, fraction in ((0, [0, 2, 4], 5 / 7), (1, [1, 3], 2 / 7)):
        monkeypatch.setattr(distributed, "COUNT", 2)
        monkeypatch.setattr(distributed, "RANK", rank)
        part, weight = share(batch)
        assert part.rows.tolist() == rows and weight == pytest.approx(fraction)
        assert torch.equal(part.labels, labels[rows]) and torch.equal(
            part.inputs["input_ids"], batch.inputs["input_ids"][rows]
        )
    monkeypatch.setattr(distributed, "COUNT", 6)
    monkeypatch.setattr(distributed, "RANK", 5)
    part, weight = share(batch)
    assert len(part.rows) == 1 and weight == 0


def test_a_runs_seed_decides_the_networks_draws_and_those_of_every_phase(model, task, impl, tmp_path, monkeypatch):
    """Each phase has a seed of its own. A phase of one name has the same seed whatever came before it."""
    fit = Fit(epochs=1, steps=1, batch_size=4, lr=1e-3, head_lr=1e-3)
    seeds, trained = {}, runs.train

    def seeing(net, phase, *, seed, **more):
        seeds[net.seed, phase.name] = seed
        return trained(net, phase, seed=seed, **more)

    def method(net, task, names):
        for name in names:
            yield from (replace(phase, name=name) for phase in dense(net, task, fit=fit, head="linear"))

    monkeypatch.setattr(runs, "train", seeing)
    labels = RESULT | {"identity": "0", "task": "toy", "model": "toy", "sparsity": 0.0}
    for seed, names in ((0, ["a", "b"]), (1, ["b"])):
        out = Artifacts(tmp_path / str(seed))
        runs.run(partial(method, names=names), task, model, out, runs.Conditions(impl=impl, seed=seed, labels=labels))
    assert set(seeds) == {(0, "a"), (0, "b"), (1, "b")} and len(set(seeds.values())) == 3
    assert seeds[1, "b"] - seeds[0, "b"] == 1


def test_a_networks_generators_depend_on_the_purpose_and_the_seed(model):
    def draw(seed, purpose):
        return torch.rand(4, generator=SubNetwork(model, seed).generator(purpose))

    draws = [draw(seed, purpose) for seed in (0, 1) for purpose in ("scores", "ablation")]
    assert not any(torch.equal(a, b) for a, b in combinations(draws, 2))
    assert torch.equal(draw(1, "ablation"), draws[-1])


def test_a_new_pooler_depends_on_the_seed_alone(model):
    def pooler(seed):
        torch.rand(seed + 1)
        return SubNetwork(model, seed).parameters_of("fresh")["bert.pooler.dense.weight"].detach().clone()

    assert torch.equal(first := pooler(0), pooler(0)) and not torch.equal(first, pooler(1))
