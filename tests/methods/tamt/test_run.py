"""Test TAMT's second phase, and the use of another run's masks (method.masks=RUN)."""

import json
import shutil
from functools import partial

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from prunebert import distill
from prunebert.fit import Fit
from prunebert.masks import maskfile
from prunebert.methods.tamt import tamt
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts
from prunebert.runs.reuse import masks_of
from tests.methods.tamt.conftest import FIT, TAMT, WIDE, play


def test_phase_2_trains_every_weight_under_the_masks_of_phase_1(net, task, read, impl):
    before, masks, states = net.snapshot(net.add_head(task.form(), "linear")), {}, {}

    def watch(phase, t, M):
        masks.setdefault(phase.name, []).append({n: m.detach() != 0 for n, m in M.items()})
        states.setdefault(phase.name, net.snapshot("toy_linear"))

    results, _ = play(tamt(net, task, corpus=read, **TAMT), net, impl, watch)
    assert [phase.name for phase, _ in results] == ["mask-training", "finetune"]
    assert all(
        torch.equal(x, before[n]) for n, x in states["finetune"].items()
    )  # it starts from the pretrained weights
    phase_1_masks = results[0][0].masks(1.0, True)
    assert len(phase_1_masks) == 13 and len(masks["finetune"]) == 4
    for M in [*masks["finetune"], net.masks]:
        assert M.keys() == phase_1_masks.keys() and all(torch.equal(M[n], phase_1_masks[n]) for n in M)
    after = net.snapshot("toy_linear")
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert changed == before.keys() and len(changed) == 39 + 2
    trained = {id(x) for g in results[1][0].train for x in g.tensors.values()}
    assert {id(p) for p in net.parameters_of().values()} <= trained


def test_phases(net, task, read):
    assert [p.name for p in tamt(net, task, corpus=read, **TAMT)] == ["mask-training", "finetune"]
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    programme = tamt(net, task, corpus=read, **TAMT | {"distill": kd})
    assert [p.name for p in programme] == ["teacher", "mask-training", "finetune"]


def test_a_teacher_of_phase_2_does_not_change_the_masks(net, task, read, impl):
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    results, _ = play(tamt(net, task, corpus=read, **TAMT | {"distill": kd}), net, impl)
    assert [phase.name for phase, _ in results] == ["teacher", "mask-training", "finetune"]
    phase_1_masks = results[1][0].masks(1.0, True)
    assert net.masks.keys() == phase_1_masks.keys()
    assert all(torch.equal(net.masks[n], mask) for n, mask in phase_1_masks.items())


# --- through the command line ---


@pytest.fixture
def words(toy, text_file):
    toy = [w for w in toy if "threads" not in w] + ["impl.threads=1"]
    return [*toy, "method=tamt", "sparsity=0.7", f"corpus.file={text_file}", "method.corpus.block=16"]


def row_of(folder):
    return json.loads((folder / "result.json").read_text())


def metadata(folder):
    with safe_open(folder / "masks.safetensors", "pt") as stored:
        return dict(stored.metadata())


def test_masks_of_a_run_can_be_used_for_the_same_and_another_task(cli, words, toy, tmp_path):
    assert cli(*words, "hydra.run.dir=first")[0] == 0
    row = row_of(tmp_path / "first")
    assert list(row["phases"]) == ["mask-training", "finetune"] and row["prunable"] == WIDE
    assert row["sparsity_encoder_pooler_embeddings"] == pytest.approx(0.7, abs=1e-4)
    masks = metadata(tmp_path / "first")
    (tmp_path / "empty.txt").write_text("")
    same_task = [w for w in words if not w.startswith("corpus")] + ["corpus.file=empty.txt", "method.masks=first"]
    other_task = [w for w in same_task if "label_words" not in w] + ["task.kind=regression", "task.label=number"]
    for name, run_words in (("second", same_task), ("third", other_task)):
        status, printed = cli(*run_words, f"hydra.run.dir={name}")
        assert status == 0, printed
        row = row_of(tmp_path / name)
        assert list(row["phases"]) == ["finetune"] and row["settings"]["masks"] == "first"
        assert metadata(tmp_path / name) == masks  # including the checksum
    assert row["metric"] == "pearson"
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    assert len(a) == 37 and all(torch.equal(a[n], b[n]) for n in a)  # as if phase 1 had run here


@pytest.fixture(scope="module")
def other_model(model_folder, tmp_path_factory):
    """Return the toy model with one changed weight."""
    folder = tmp_path_factory.mktemp("other") / "bert"
    shutil.copytree(model_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.1.output.dense.weight"][3, 4] += 1e-3
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_masks_that_do_not_fit_are_refused_in_one_line(cli, words, tmp_path, other_model, model_folder):
    """The masks come from a run of magnitude; any method would do."""
    magnitude_words = [w for w in words if not w.startswith(("method", "corpus"))]
    assert cli(*magnitude_words, "method=magnitude", f"prunable={WIDE}", "hydra.run.dir=pruned")[0] == 0
    shutil.copytree(tmp_path / "pruned", tmp_path / "unfinished")
    (tmp_path / "unfinished/result.json").unlink()
    before = set(tmp_path.rglob("*"))
    tamt_words = [*words, "hydra.run.dir=run"]
    for changes, message in (
        (
            ["method.masks=pruned", f"model.name={other_model}"],
            f"made on {model_folder}, whose weights are not those of",
        ),
        (["method.masks=pruned", "sparsity=0.6"], "its sparsity is 0.6999894604; ask for the same"),
        (
            ["method.masks=pruned", "prunable=encoder"],
            f"its masks cover prunable={WIDE}, this run asks for encoder; set method.prunable={WIDE}",
        ),
        (["method.masks=unfinished"], "the run did not finish"),
    ):
        names = {w.split("=")[0] for w in changes}
        status, printed = cli(*[w for w in tamt_words if w.split("=")[0] not in names], *changes)
        others = ("once for this data", "changes nothing")
        lines = [line for line in printed.strip().splitlines() if not any(words in line for words in others)]
        assert status == 2 and message in printed and len(lines) == 1 and lines[0].startswith("prunebert: "), printed
        assert set(tmp_path.rglob("*")) == before
    net = SubNetwork(models.load(str(model_folder)))
    stored = maskfile.read(tmp_path / "pruned/masks.safetensors").masks
    reused = masks_of(str(tmp_path / "pruned"), net, WIDE, 0.7)  # the sparsity of that run, to within one weight
    assert reused.keys() == stored.keys() and all(torch.equal(m, stored[n]) for n, m in reused.items())


def test_a_block_that_is_too_long_is_refused_by_its_key(cli, words):
    other_words = [w for w in words if not w.startswith("method.corpus")]
    status, printed = cli(*other_words, "method.corpus.block=65")
    assert status == 2 and "method.corpus.block=65: the model reads at most 64 tokens" in printed


def test_the_history_is_that_of_the_phase_that_trained_the_masks(cli, words, tmp_path, model_folder, read, task, impl):
    """Phase 1 is trained again here, to count the weights that were removed and returned."""
    fit = Fit(epochs=1, steps=4, batch_size=16, lr=5e-3, head_lr=1e-3)
    fit_words = [f"mask_fit.{k}={getattr(fit, k)}" for k in ("steps", "batch_size", "lr", "head_lr")]
    assert cli(*words, *fit_words, "corpus.holdout=0.2")[0] == 0
    net = SubNetwork(models.load(str(model_folder)), seed=0)
    ((phase, trained), _), _ = play(tamt(net, task, corpus=read, **TAMT | {"mask_fit": fit}), net, impl)
    stored = maskfile.read(tmp_path / "run/masks.safetensors").masks
    assert all(torch.equal(m, stored[n]) for n, m in phase.masks(1.0, True).items())
    assert trained.history["recovered"] > 0
    history = artifacts.topology(tmp_path / "run")["history"]
    assert history["recovered"] == trained.history["recovered"]
