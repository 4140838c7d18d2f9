"""TAMT: what its second phase trains, and the masks of a run for another (method.masks=RUN)."""

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

    done, _ = play(tamt(net, task, corpus=read, **TAMT), net, impl, watch)
    assert [phase.name for phase, _ in done] == ["mask-training", "finetune"]
    assert all(torch.equal(x, before[n]) for n, x in states["finetune"].items())  # it starts from the pre-trained ones
    first = done[0][0].masks(1.0, True)
    assert len(first) == 13 and len(masks["finetune"]) == 4
    for M in [*masks["finetune"], net.masks]:
        assert M.keys() == first.keys() and all(torch.equal(M[n], first[n]) for n in first)
    after = net.snapshot("toy_linear")
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert moved == before.keys() and len(moved) == 39 + 2
    trained = {id(x) for g in done[1][0].train for x in g.tensors.values()}
    assert {id(p) for p in net.parameters_of().values()} <= trained


def test_phases(net, task, read):
    assert [p.name for p in tamt(net, task, corpus=read, **TAMT)] == ["mask-training", "finetune"]
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    programme = tamt(net, task, corpus=read, **TAMT | {"distill": kd})
    assert [p.name for p in programme] == ["teacher", "mask-training", "finetune"]


def test_a_teacher_of_phase_2_leaves_the_masks_alone(net, task, read, impl):
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    done, _ = play(tamt(net, task, corpus=read, **TAMT | {"distill": kd}), net, impl)
    assert [phase.name for phase, _ in done] == ["teacher", "mask-training", "finetune"]
    first = done[1][0].masks(1.0, True)
    assert net.masks.keys() == first.keys() and all(torch.equal(net.masks[n], first[n]) for n in first)


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


def test_masks_of_a_run_serve_another_task_and_the_same_one(cli, words, toy, tmp_path):
    assert cli(*words, "hydra.run.dir=first")[0] == 0
    first = row_of(tmp_path / "first")
    assert list(first["phases"]) == ["mask-training", "finetune"] and first["prunable"] == WIDE
    assert first["sparsity_encoder_pooler_embeddings"] == pytest.approx(0.7, abs=1e-4)
    masks = metadata(tmp_path / "first")
    (tmp_path / "gone.txt").write_text("")
    again = [w for w in words if not w.startswith("corpus")] + ["corpus.file=gone.txt", "method.masks=first"]
    other = [w for w in again if "label_words" not in w] + ["task.kind=regression", "task.label=number"]
    for name, given in (("second", again), ("third", other)):
        status, printed = cli(*given, f"hydra.run.dir={name}")
        assert status == 0, printed
        row = row_of(tmp_path / name)
        assert list(row["phases"]) == ["finetune"] and row["settings"]["masks"] == "first"
        assert metadata(tmp_path / name) == masks  # its checksum included
    assert row["metric"] == "pearson"
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    assert len(a) == 37 and all(torch.equal(a[n], b[n]) for n in a)  # as if phase 1 had been here


@pytest.fixture(scope="module")
def other_model(model_folder, tmp_path_factory):
    """The toy model with one weight changed."""
    folder = tmp_path_factory.mktemp("other") / "bert"
    shutil.copytree(model_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.1.output.dense.weight"][3, 4] += 1e-3
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_masks_that_do_not_fit_are_refused_in_one_line(cli, words, tmp_path, other_model, model_folder):
    """The run whose masks are asked for is magnitude's here: any method's will do."""
    given = [w for w in words if not w.startswith(("method", "corpus"))]
    assert cli(*given, "method=magnitude", f"prunable={WIDE}", "hydra.run.dir=found")[0] == 0
    shutil.copytree(tmp_path / "found", tmp_path / "unfinished")
    (tmp_path / "unfinished/result.json").unlink()
    before = set(tmp_path.rglob("*"))
    ask = [*words, "hydra.run.dir=run"]
    for more, told in (
        (
            ["method.masks=found", f"model.name={other_model}"],
            f"made on {model_folder}, whose weights are not those of",
        ),
        (["method.masks=found", "sparsity=0.6"], "its sparsity is 0.6999894604; ask for the same"),
        (
            ["method.masks=found", "prunable=encoder"],
            f"its masks cover prunable={WIDE}, this run asks for encoder; set method.prunable={WIDE}",
        ),
        (["method.masks=unfinished"], "the run did not finish"),
    ):
        names = {w.split("=")[0] for w in more}
        status, printed = cli(*[w for w in ask if w.split("=")[0] not in names], *more)
        lines = [line for line in printed.strip().splitlines() if "once for this data" not in line]
        assert status == 2 and told in printed and len(lines) == 1 and lines[0].startswith("prunebert: "), printed
        assert set(tmp_path.rglob("*")) == before
    net = SubNetwork(models.load(str(model_folder)))
    stored = maskfile.read(tmp_path / "found/masks.safetensors").masks
    taken = masks_of(str(tmp_path / "found"), net, WIDE, 0.7)  # as asked there, to within one weight
    assert taken.keys() == stored.keys() and all(torch.equal(m, stored[n]) for n, m in taken.items())


def test_a_block_that_is_too_long_is_told_by_its_key(cli, words):
    given = [w for w in words if not w.startswith("method.corpus")]
    status, printed = cli(*given, "method.corpus.block=65")
    assert status == 2 and "method.corpus.block=65" in printed


def test_the_history_told_is_that_of_the_phase_that_found_the_masks(
    cli, words, tmp_path, model_folder, read, task, impl
):
    """Weights that were out and came back during phase 1, counted by the same phase played here."""
    fit = Fit(epochs=1, steps=4, batch_size=16, lr=5e-3, head_lr=1e-3)
    same = [f"mask_fit.{k}={getattr(fit, k)}" for k in ("steps", "batch_size", "lr", "head_lr")]
    assert cli(*words, *same, "corpus.holdout=0.2")[0] == 0
    net = SubNetwork(models.load(str(model_folder)), seed=0)
    ((phase, trained), _), _ = play(tamt(net, task, corpus=read, **TAMT | {"mask_fit": fit}), net, impl)
    stored = maskfile.read(tmp_path / "run/masks.safetensors").masks
    assert all(torch.equal(m, stored[n]) for n, m in phase.masks(1.0, True).items())
    assert trained.history["recovered"] > 0
    told = artifacts.topology(tmp_path / "run")["history"]
    assert told["recovered"] == trained.history["recovered"]
