"""Test SparseBERT, which prunes gradually under a teacher, and the command line's choice of teachers."""

import json
import math
from functools import partial

import pytest
import torch

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.methods.imp import imp
from prunebert.methods.l0 import l0
from prunebert.methods.magnitude import one_shot
from prunebert.methods.movement import hard
from prunebert.methods.smp import smp
from prunebert.methods.soft_movement import soft
from prunebert.methods.sparsebert import sparsebert
from prunebert.methods.tamt import tamt
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.tasks.corpus import corpus
from prunebert.tasks.mlm import mlm_task
from tests.distill.test_losses import FIT, NO, TINYBERT
from tests.methods.test_l0 import L0
from tests.methods.test_phases import FIXED, SMP
from tests.methods.test_soft_movement import SOFT
from tests.methods.test_trained_magnitude import IMP, MOVEMENT, exact, play
from tests.test_conf import composed

TEACHER_FIRST = {
    "magnitude": (one_shot, FIXED | {"sparsity": 0.6}),
    "imp": (imp, IMP | {"sparsity": 0.6, "step": 0.6}),
    "movement": (hard, MOVEMENT | {"schedule": Cubic(0.6)}),
    "soft_movement": (soft, SOFT | {"sparsity": 0.6}),
    "l0": (l0, L0 | {"sparsity": 0.6}),
    "smp": (smp, SMP | {"schedule": Cubic(0.6)}),
    "tamt": (
        tamt,
        {"sparsity": 0.6, "objective": "kd", "mask_fit": FIT, "mask_steps": None, "tau": 0.01, "masks": None},
    ),
}


@pytest.mark.parametrize("name", TEACHER_FIRST)
def test_a_teachers_phase_does_not_change_the_sparsity(net, task, impl, tmp_path, name):
    method, settings = TEACHER_FIRST[name]
    if name == "tamt":
        (tmp_path / "a.txt").write_text("the film was good\na dull plot and a bright scene it was not bad\n" * 20)
        text = corpus(name="own", file=str(tmp_path / "a.txt"), holdout=0.2, hub=None, package=None, text="text")
        blocks = partial(mlm_task, name="mlm", corpus=lambda: text, block=16, rate=0.15)
        settings = settings | {"corpus": blocks, "prunable": "encoder", "head": "linear"}
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    phases, _ = play(method(net, task, **settings | {"fit": FIT, "distill": kd}), net, impl)
    assert [p.name for p in phases].count("teacher") == 1 and phases[-1].name != "teacher"
    assert exact(net, 0.6) and len(net.masks) == 12


def test_sparsebert_prunes_the_pretrained_network_gradually(net, task, impl):
    key = net.add_head(task.form(), "linear")
    before, masks_by_step = net.snapshot(key), []
    fit = Fit(epochs=1, steps=6, batch_size=4, lr=5e-2, head_lr=1e-3, eval_every=1)
    kd = partial(distill.tinybert, fit=FIT, **NO, **TINYBERT)
    settings = {"fit": fit, "schedule": Cubic(0.8), "updates": 3, "prunable": "encoder", "head": "linear"}
    programme = sparsebert(net, task, **settings, distill=kd)
    teacher = next(programme)
    assert (teacher.name, teacher.fit) == ("teacher", FIT)
    play([teacher], net, impl)
    assert any(not torch.equal(before[n], x) for n, x in net.snapshot(key).items())
    prune = next(programme)
    assert prune.name == "prune" and prune.needs == ("hidden", "attention")
    assert all(
        torch.equal(before[n], x) for n, x in net.snapshot(key).items()
    )  # the student starts from the pretrained weights
    _, lines = play([prune], net, impl, lambda _, masks: masks_by_step.append(masks))
    assert next(programme, None) is None
    expected = [0.8 * (1 - (1 - u) ** 3) for u in (0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1)]
    steps = [line for line in lines if "lr" in line]
    assert [line["sparsity"] for line in steps] == pytest.approx(expected, abs=1e-4)
    assert exact(net, 0.8) and all((net.masks[n] <= m).all() for masks in masks_by_step for n, m in masks.items())
    for n, m in net.masks.items():  # every matrix has the same sparsity, to one weight
        assert abs(int(m.sum()) - 0.2 * m.numel()) < 1, n
    assert {n for n in steps[0] if n.startswith("loss_")} == {"loss_kd_attention", "loss_kd_hidden", "loss_kd_logits"}


def test_sparseberts_losses_on_spans_are_finite(model, impl, spans):
    net = SubNetwork(model)
    kd = partial(distill.tinybert, fit=FIT, **NO, **TINYBERT)
    settings = {"fit": FIT, "schedule": Cubic(0.5), "updates": 100, "prunable": "encoder", "head": "linear"}
    _, lines = play(sparsebert(net, spans, **settings, distill=kd), net, impl)
    losses = {n: x for n, x in lines[-1].items() if n.startswith("loss_")}
    assert set(losses) == {"loss_kd_attention", "loss_kd_hidden", "loss_kd_logits"}
    assert all(math.isfinite(x) and x > 0 for x in losses.values()) and exact(net, 0.5)


# --- the configuration ------------------------------------------------------------------------------------------------


def test_sparsebert_selects_its_teacher_unless_the_command_line_names_one():
    def teacher_kind(*words):
        return composed("fit=smoke", *words)["method"].get("distill", {}).get("_target_", "").rpartition(".")[2]

    assert teacher_kind("method=sparsebert") == "tinybert" and teacher_kind("method=gmp") == "none"
    assert (
        teacher_kind("method=sparsebert", "distill=none") == "none"
        and teacher_kind("distill=logits", "method=sparsebert") == "logits"
    )


def test_the_label_of_a_run_has_its_teacher(cli, toy, tmp_path, monkeypatch):
    status, printed = cli(*toy, "method=sparsebert", "sparsity=0.5")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["distill"] == "tinybert" and list(row["phases"]) == ["teacher", "prune"]
    labels = []

    def stop(method, task, model, out, conditions):
        labels.append((conditions.labels["distill"], method.keywords.get("distill")))
        raise BadInput("stopped")

    monkeypatch.setattr("prunebert.run.run", stop)
    for words in (["method=sparsebert", "distill=none"], ["method=dense", "distill=logits"]):
        status, printed = cli(*toy, *words, "hydra.run.dir=x")
        assert status == 2 and printed.endswith("prunebert: stopped\n")
    assert labels[0][0] == "none" and labels[0][1].func is distill.none
    assert labels[1] == ("none", None)  # dense takes no teacher, whatever the command line says
