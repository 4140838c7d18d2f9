"""The history of masks: flips and recovered weights, counted by hand and by numpy."""

import json
import weakref

import numpy as np
import pytest
import torch

from prunebert.fit import Fit
from prunebert.masks.history import ByMatrix, History, InRow
from prunebert.masks.top_v import keep_top
from prunebert.methods.l0 import l0
from prunebert.methods.movement import hard
from prunebert.network import models
from prunebert.run import Conditions, run
from prunebert.runs import artifacts
from prunebert.runs.artifacts import Artifacts
from prunebert.schedules import Cubic
from prunebert.training.loop import train
from prunebert.training.phase import finetune
from tests.methods.test_l0 import L0
from tests.methods.test_trained_magnitude import MOVEMENT
from tests.toys import RESULT

FIT = Fit(epochs=1, steps=8, batch_size=4, lr=1e-3, head_lr=1e-3)


def facts_of(steps, final):
    history = History()
    for masks in steps:
        history.see(masks)
    return history.facts(final)


def facts_across_devices(steps, final, change=None):
    """Return the facts as a GPU records them. change: from this step on as the CPU does; if negative, the reverse."""
    history = History()
    for step, each in enumerate(steps):
        masks = dict(reversed(each.items())) if step % 2 else each  # a checkpoint restores them in another order
        in_row = change is None or (step < change if change > 0 else step >= -change)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("prunebert.masks.history.record_for", lambda masks, kind=InRow if in_row else ByMatrix: kind)
            history.see(masks)
        if step == 2:  # as a checkpoint does
            tensors, history = history.tensors(), History()
            history.restore(tensors, step + 1)
    return history.facts(final)


def bools(**rows):
    return {n: torch.tensor(row).bool() for n, row in rows.items()}


def test_flips_and_recovered_weights_counted_on_paper():
    steps = [
        bools(a=[[1, 1, 1], [1, 1, 1]], b=[[1, 1]]),
        bools(a=[[0, 1, 1], [1, 0, 1]], b=[[0, 1]]),  # 3 are removed
        bools(a=[[1, 1, 1], [0, 0, 1]], b=[[0, 1]]),  # 1 recovers, 1 is removed
        bools(a=[[1, 0, 1], [0, 0, 1]], b=[[1, 0]]),  # 1 recovers, 2 are removed
        bools(a=[[0, 1, 1], [0, 0, 1]], b=[[1, 0]]),  # 1 recovers, 1 is removed
    ]
    facts = facts_of(steps, steps[-1])
    assert facts == {
        "recovered": 2,  # a's second, b's first; a's first recovered only for a while
        "recovered_share": 2 / 4,
        "recovered_by_matrix": {"a": 1, "b": 1},
        "flips": 10,
        "at_once": 0,
        "at_end": 0,
        "flip_rate": 10 / (8 * 5),
    }
    assert all(facts_across_devices(steps, steps[-1], change) == facts for change in (None, 2, -2))
    assert facts_of(steps[:1], steps[0])["recovered"] == 0
    assert facts_of(steps, steps[2])["recovered_by_matrix"] == {"a": 2, "b": 1}  # another step's masks as the final


def test_what_the_first_mask_removes_is_removed_at_once():
    first, second = bools(a=[[0, 1, 0, 1]]), bools(a=[[1, 1, 0, 1]])
    facts = facts_of([first] * 3, first)
    assert facts["flips"] == facts["at_once"] == 2 and facts["recovered"] == 0 and facts["flip_rate"] == 2 / 12
    facts = facts_of([first, second], second)
    assert (facts["flips"], facts["at_once"], facts["recovered"]) == (3, 2, 1)


@pytest.mark.parametrize("gates", [False, True])
def test_any_sequence_against_numpy(gates):
    draw = np.random.default_rng(0)
    stays = {"a": draw.random((30, 4, 5)) < 0.8, "b": draw.random((30, 7)) < 0.5}
    value = {n: s * draw.uniform(0.01, 1, s.shape) if gates else s for n, s in stays.items()}
    steps = [{n: torch.tensor(v[i], requires_grad=gates) for n, v in value.items()} for i in range(30)]
    facts = facts_of(steps, steps[-1])
    recovered = {n: int((s[-1] & ~s.all(0)).sum()) for n, s in stays.items()}
    flips = sum(int((np.diff(s.astype(int), axis=0, prepend=1) != 0).sum()) for s in stays.values())
    assert facts["recovered_by_matrix"] == recovered and facts["recovered"] == sum(recovered.values()) > 5
    assert facts["recovered_share"] == sum(recovered.values()) / sum(int(s[-1].sum()) for s in stays.values())
    assert facts["flips"] == flips and facts["flip_rate"] == pytest.approx(flips / (27 * 30))
    assert facts["at_once"] == sum(int((~s[0]).sum()) for s in stays.values())


def test_final_masks_add_their_changes_and_no_step():
    first, second, third = bools(a=[[0, 1, 1]]), bools(a=[[1, 1, 1]]), bools(a=[[1, 0, 1]])
    history = History()
    history.see(first)
    history.see(second)
    history.end(third)
    facts = history.facts(third)
    assert (facts["flips"], facts["at_once"], facts["at_end"]) == (3, 1, 1) and facts["recovered"] == 1
    assert facts["flip_rate"] == 3 / (3 * 2)


def test_the_same_masks_again_are_not_read_but_count_as_a_step(monkeypatch):
    first, second, reads, see = bools(a=[[1, 0]]), bools(a=[[0, 1]]), [], ByMatrix.see
    monkeypatch.setattr(ByMatrix, "see", lambda record, masks: (reads.append(masks), see(record, masks)))
    history = History()
    for masks in (first, first, dict(first), second, second, first):
        history.see(masks)
    assert [id(masks) for masks in reads] == [id(masks) for masks in (first, second, first)]
    facts = history.facts(first)
    assert facts["flips"] == 5 and facts["flip_rate"] == pytest.approx(5 / (2 * 6))


def test_masks_that_the_caller_keeps_are_not_written_to():
    first, second = bools(a=[[1, 0, 1]]), bools(a=[[0, 1, 1]])
    facts_of([first, second, first], first)
    assert first["a"].tolist() == [[True, False, True]] and second["a"].tolist() == [[False, True, True]]


def test_a_dense_phase_has_no_history():
    assert facts_of([{}, {}], {}) == {
        "recovered": 0,
        "recovered_share": 0.0,
        "recovered_by_matrix": {},
        "flips": 0,
        "at_once": 0,
        "at_end": 0,
        "flip_rate": 0.0,
    }


def test_topology_json_has_the_history_of_the_masks(cli, toy, tmp_path, monkeypatch):
    """The masks of every step and the final ones, copied and counted by numpy."""
    seen, count = [], History._count

    def spy(self, masks):
        seen.append({n: m.detach().numpy() != 0 for n, m in masks.items()})
        count(self, masks)

    monkeypatch.setattr(History, "_count", spy)
    words = ["method=movement", "sparsity=0.5", "fit.steps=8", "method.score_lr=0.5", "method.schedule.end=0.5"]
    assert cli(*toy, *words)[0] == 0
    topology = json.loads((tmp_path / "run/topology.json").read_text())
    facts, remaining = topology["history"], {n: m["kept"] for n, m in topology["matrices"].items()}
    steps = {n: np.stack([m[n] for m in seen]) for n in remaining}
    flips = sum(int((np.diff(s.astype(int), axis=0, prepend=1) != 0).sum()) for s in steps.values())
    size = sum(s[0].size for s in steps.values())
    assert len(seen) == 9 and facts["flips"] == flips and facts["flip_rate"] == pytest.approx(flips / (8 * size))
    assert facts["at_end"] == sum(int((s[-1] != s[-2]).sum()) for s in steps.values()) > 0
    assert json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])["flips"] == flips
    assert facts["recovered"] == sum(facts["recovered_by_matrix"].values()) > 0
    assert facts["recovered_share"] == facts["recovered"] / sum(remaining.values())
    for n, recovered in facts["recovered_by_matrix"].items():
        assert recovered == (steps[n][-1] & ~steps[n].all(0)).sum()


def test_a_gate_that_a_draw_closes_is_no_removed_weight(net, task, impl):
    """At sparsity 0 nothing is removed. A weight is removed where its deterministic gate is 0."""
    fit = Fit(epochs=1, steps=4, batch_size=4, lr=1e-4, head_lr=1e-4)
    phase = next(l0(net, task, **L0 | {"fit": fit, "sparsity": 0.0, "score_lr": 0.0, "schedule": Cubic(1.0)}))
    lines = []
    trained = train(net, phase, seed=0, impl=impl, record=lines.append, score=lambda: 0.0)
    assert trained.history["flips"] == trained.history["recovered"] == 0
    assert [line["sparsity"] for line in lines] == [0.0] * 4


def test_topology_json_has_the_history_of_the_phase_whose_masks_changed(model_folder, task, impl, tmp_path):
    """A fine-tuning under trained masks does not hide their history. A fine-tuning alone has no history."""

    def trained(net, task):
        yield from hard(net, task, **MOVEMENT | {"fit": FIT, "schedule": Cubic(0.5, 0.0, 0.5)})
        yield from finetune(net, task, "toy_linear", FIT, masks=net.masks)

    def fixed(net, task):
        masks = keep_top({n: W.detach().abs() for n, W in net.prunable().items()}, 0.5)
        return finetune(net, task, net.add_head(task.form(), "linear"), FIT, masks=masks)

    labels = RESULT | {"task": "toy", "model": "toy", "identity": "0"}
    for method in (trained, fixed):
        out = Artifacts(tmp_path / method.__name__)
        row = run(method, task, models.load(str(model_folder)), out, Conditions(impl=impl, seed=0, labels=labels))
        assert row["sparsity_encoder"] == 0.5
    history = artifacts.topology(tmp_path / "trained")["history"]
    assert history["recovered"] > 0 and history["flips"] > 0.5 * 16384
    assert history["flip_rate"] == history["flips"] / (16384 * FIT.steps)
    assert "history" not in artifacts.topology(tmp_path / "fixed")


def test_the_history_keeps_no_masks_alive_and_a_bit_for_each_weight():
    history, masks = History(), bools(a=[[1, 0, 1, 1, 0, 0, 1, 1, 1]])
    history.see(masks)
    watched = weakref.ref(masks["a"])
    del masks
    assert watched() is None
    history.see(bools(a=[[1, 1, 1, 1, 0, 0, 1, 1, 0]]))
    assert [part["a"].packed.nbytes for part in (history.record.stays, history.record.always)] == [2, 2]
    assert history.record.parts()["ever"]["a"].tolist() == [[False, True, False, False, True, True, False, False, True]]
    assert history.flips() == 3 + 2
