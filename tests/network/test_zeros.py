"""A sparse checkpoint's zeros as masks. The zeros are set by hand, so the expected masks are those of the test."""

import json
import logging
import re
import shutil
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import prunebert
from prunebert import distill
from prunebert.distill.teacher import shared_file
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks import maskfile
from prunebert.masks.apply import straight_through
from prunebert.methods.dense import dense
from prunebert.network import models, zeros
from prunebert.network.subnetwork import SubNetwork
from prunebert.run import Conditions, run
from prunebert.runs import artifacts
from prunebert.runs.artifacts import Artifacts
from prunebert.system.signals import Request, Stopped
from prunebert.training.checkpoints import Checkpoints, Every
from prunebert.training.loop import train
from prunebert.training.phase import finetune, keeping_given
from tests.toys import RESULT

FIT = Fit(epochs=1, steps=3, batch_size=8, lr=1e-2, head_lr=1e-2, weight_decay=0.1)
QUERY, POOLER = "bert.encoder.layer.0.attention.self.query.weight", "bert.pooler.dense.weight"
EMBEDDINGS = "bert.embeddings.word_embeddings.weight"
LABELS = RESULT | {"identity": "0", "task": "toy", "model": "toy", "sparsity": 0.0}


def zeroed(source: Path, folder: Path, masks: dict[str, np.ndarray]) -> Path:
    """Copy a checkpoint, with zeros where a mask is False."""
    shutil.copytree(source, folder)
    tensors = load_file(folder / "model.safetensors")
    for name, mask in masks.items():
        tensors[name][torch.from_numpy(~mask)] = 0.0
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def halves(model_folder: Path, share: float = 0.5) -> dict[str, np.ndarray]:
    """Draw a mask for each encoder matrix but the first; each removes exactly this share of its matrix."""
    draw, masks = np.random.default_rng(3), {}
    for name, x in load_file(model_folder / "model.safetensors").items():
        if "encoder.layer" in name and x.ndim == 2 and name != QUERY:
            removed = draw.permutation(x.numel()) < round(share * x.numel())
            masks[name] = ~removed.reshape(x.shape)
    return masks


@pytest.fixture(scope="module")
def masks(model_folder):
    return halves(model_folder)


@pytest.fixture(scope="module")
def sparse(model_folder, masks, tmp_path_factory):
    return zeroed(model_folder, tmp_path_factory.mktemp("sparse") / "bert", masks)


@pytest.fixture
def sparse_net(sparse):
    return SubNetwork(models.load(str(sparse), masks="zeros"))


def same(masks, expected) -> bool:
    return masks.keys() == expected.keys() and all(np.array_equal(masks[n].numpy(), m) for n, m in expected.items())


def test_the_zeros_of_every_matrix_that_has_some_are_its_mask(sparse, masks, caplog):
    """11 of 12 matrices: 32 x 32 query is dense, so (16,384 - 1,024) / 2 of 16,384 weights are zero, 46.875 %."""
    with caplog.at_level(logging.INFO):
        net = SubNetwork(models.load(str(sparse), masks="zeros"))
    assert len(masks) == 11 and same(net.given, masks) and same(net.masks, masks)
    assert zeros.sparsity(net) == 0.4688 and abs(7680 - 0.4688 * 16384) <= 1 < abs(7680 - 0.469 * 16384)
    assert "46.88% of the encoder's weights are zero, in 11 of 12 matrices, from 0.00%" in caplog.text
    assert "; they stay removed" in caplog.text and "pooler" not in caplog.text
    assert SubNetwork(models.load(str(sparse))).masks == {}


def test_masks_move_with_the_network(sparse_net):
    sparse_net.to("meta")
    assert len(sparse_net.masks) == len(sparse_net.given) == 11
    assert {m.device.type for group in (sparse_net.given, sparse_net.masks) for m in group.values()} == {"meta"}
    assert {m.dtype for m in sparse_net.half().given.values()} == {torch.bool}


def test_the_pooler_and_the_embeddings_count_where_they_were_pruned(model_folder, tmp_path, caplog):
    """Whole rows of zeros in the word embeddings, as [PAD]'s, are no pruning; one more zero is."""
    shapes = {n: x.shape for n, x in load_file(model_folder / "model.safetensors").items()}
    pooler, rows = np.ones((32, 32), bool), np.ones(shapes[EMBEDDINGS], bool)
    pooler[:8], rows[[0, 5]] = False, False
    expected = {QUERY: np.eye(32, dtype=bool)}
    folder = zeroed(model_folder, tmp_path / "rows", expected | {EMBEDDINGS: rows})
    assert same(SubNetwork(models.load(str(folder), masks="zeros")).given, expected)
    rows[7, 3] = False
    tensors = load_file(folder / "model.safetensors") | {POOLER: torch.from_numpy(pooler).float()}
    save_file(tensors, tmp_path / "rows/model.safetensors", {"format": "pt"})
    expected |= {POOLER: pooler} | {EMBEDDINGS: rows}
    zeroed(folder, tmp_path / "more", {EMBEDDINGS: rows})
    with caplog.at_level(logging.INFO):
        net = SubNetwork(models.load(str(tmp_path / "more"), masks="zeros"))
    assert same(net.given, expected)
    assert "; 25.00% of the pooler's; " in caplog.text and "% of the word embeddings'; they" in caplog.text


def test_a_dense_checkpoint_and_a_wrong_word_are_refused(model_folder):
    """The toy has 16,384 encoder weights and, saved for masked words, no pooler."""
    with pytest.raises(BadInput, match=r"none of the 16,384 weights in the 12 matrices .* leave model\.masks out"):
        models.load(str(model_folder), masks="zeros")
    with pytest.raises(BadInput, match=r"model\.masks=zero: allowed are zeros"):
        models.load(str(model_folder), masks="zero")


def conditions(impl) -> Conditions:
    return Conditions(impl=impl, seed=0, labels=LABELS)


def test_dense_training_keeps_them_in_every_file(sparse, masks, task, impl, tmp_path):
    """Weight decay and Adam move every other weight. What was removed is zero in weights.safetensors too."""
    model = models.load(str(sparse), masks="zeros")
    out = Artifacts(tmp_path / "run")
    row = run(lambda net, task: dense(net, task, fit=FIT, head="linear"), task, model, out, conditions(impl))
    stored = maskfile.read(tmp_path / "run/masks.safetensors").masks
    assert same({n: m for n, m in stored.items() if n != QUERY}, masks) and bool(stored[QUERY].all())
    assert row["sparsity_encoder"] == 7680 / 16384 and row["checkpoint"]["masks"] == "zeros"
    before, after = load_file(sparse / "model.safetensors"), load_file(tmp_path / "run/weights.safetensors")
    for name, mask in masks.items():
        assert not after[name].numpy()[~mask].any()
        assert (after[name].numpy()[mask] != before[name].numpy()[mask]).mean() > 0.99
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {round(line["sparsity"], 6) for line in lines} == {0.5}  # of the 11 matrices with masks
    assert artifacts.topology(tmp_path / "run")["sparsity_encoder"] == 7680 / 16384


def test_a_teacher_trains_under_them_too(sparse_net, task, impl, masks):
    options = partial(distill.logits, fit=FIT, teacher=None, weight=1.0, temperature=2.0)
    theta = {}
    for phase in dense_with(options, sparse_net, task):
        train(sparse_net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
        theta[phase.name] = sparse_net.snapshot(phase.head)
        assert same(sparse_net.masks, masks)
    assert list(theta) == ["teacher", "finetune"]
    assert not any(theta["teacher"][n].numpy()[~m].any() for n, m in masks.items())


def test_a_shared_teacher_under_them_is_another_one(sparse, sparse_net, task, tmp_path):
    dense_net = SubNetwork(models.load(str(sparse)))
    stored = {shared_file(net, task, "toy_linear", FIT, tmp_path) for net in (sparse_net, dense_net)}
    assert len(stored) == 2


def dense_with(options, net, task):
    kd = yield from options(net, task)
    yield from finetune(net, task, net.add_head(task.form(), "linear"), FIT, kd=kd)


def test_a_phase_masks_what_it_leaves_dense(sparse_net, task, masks):
    """The phase has masks of the query only; the others are the checkpoint's. Steps that change nothing share masks."""
    own, S = {QUERY: torch.zeros(32, 32, dtype=torch.bool)}, {QUERY: torch.zeros(32, 32)}
    phase = next(finetune(sparse_net, task, sparse_net.add_head(task.form(), "linear"), FIT, masks=own))
    kept = keeping_given(phase, sparse_net.given)
    expected = masks | {QUERY: np.zeros((32, 32), bool)}
    assert same(kept.masks(0.5, True), expected) and kept.masks(0.5, True) is kept.masks(1.0, True)
    assert keeping_given(phase, {}) is phase
    through = zeros.completed(straight_through(own, S), sparse_net.given)
    assert same(through.hard, expected) and through.scores is S


def test_a_method_that_brings_weights_back_is_refused_before_it_trains(sparse_net, task, impl, masks):
    name = max(masks)
    returned = masks[name].copy()
    returned.flat[np.flatnonzero(~returned)[:3]] = True
    head = sparse_net.add_head(task.form(), "linear")
    before = sparse_net.snapshot(head)
    phase = next(finetune(sparse_net, task, head, FIT, masks={name: torch.from_numpy(returned)}))
    removed = int((~masks[name]).sum())
    with pytest.raises(
        BadInput,
        match=re.escape(
            f"brings back 3 weights that the checkpoint has removed, 3 of them "
            f"among the {removed:,} removed ones of {name}"
        ),
    ):
        train(sparse_net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    assert all(torch.equal(x, before[n]) for n, x in sparse_net.snapshot(head).items())


def test_a_lower_sparsity_than_the_checkpoints_is_refused(sparse_net):
    """7,680 of 16,384 are 46.875 %."""
    for asked in (0.46875, 0.4688, 0.9):
        zeros.require_reachable(sparse_net, "encoder", asked)
    with pytest.raises(BadInput, match=r"sparsity=0\.4: .* 7,680 of the 16,384 .*prunable=encoder .*sparsity=0\.4688"):
        zeros.require_reachable(sparse_net, "encoder", 0.4)


def test_a_stopped_run_ends_as_one_that_was_not(sparse, task, impl, tmp_path):
    tensors = {}
    for name, stops in (("whole", False), ("stopped", True)):
        root, request = tmp_path / name, Request()
        for start in range(1 + stops):
            model = models.load(str(sparse), masks="zeros")
            store = Checkpoints(root, "identity", Every(seconds=None, steps=1), request, model)
            out = Artifacts(root, resumed=store.exist())
            request.by = "a test" if stops and start == 0 else None  # it stops after the first step
            settings = Conditions(impl=impl, seed=0, labels=LABELS, checkpoints=store)
            with pytest.raises(Stopped) if request.by else nullcontext():
                run(lambda net, task: dense(net, task, fit=FIT, head="linear"), task, model, out, settings)
        tensors[name] = load_file(root / "weights.safetensors") | maskfile.read(root / "masks.safetensors").masks
    assert all(torch.equal(x, tensors["stopped"][n]) for n, x in tensors["whole"].items())


def test_a_row_has_the_sparsity_of_its_checkpoint(cli, toy, sparse, masks, tmp_path):
    """The run can be loaded and compared. A method that prunes less than the checkpoint has no run's directory."""
    words = [w for w in toy if not w.startswith("model.name")] + [f"model.name={sparse}", "model.masks=zeros"]
    status, printed = cli(*words, "method=dense")
    assert status == 0 and "sparsity 0.4688 of encoder" in printed
    row = artifacts.result(tmp_path / "run")
    assert (row["sparsity"], row["prunable"], row["sparsity_encoder"]) == (0.4688, "encoder", 7680 / 16384)
    assert same({n: m for n, m in prunebert.load(tmp_path / "run").masks.items() if n != QUERY}, masks)
    shutil.rmtree(tmp_path / "run")
    status, printed = cli(*words, "method=random", "sparsity=0.3", "prunable=encoder")
    assert status == 2 and "sparsity=0.3: model.masks=zeros has removed 7,680 of the 16,384" in printed
    assert not (tmp_path / "run").exists()
