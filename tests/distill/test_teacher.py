"""Where a teacher comes from: its own phase, the weights as they are, a finished run, or a folder that runs share."""

import json
import re
import stat
from functools import partial

import filelock
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file

from prunebert import distill
from prunebert.distill import teacher as teachers
from prunebert.distill.teacher import teacher
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks import maskfile
from prunebert.methods.dense import dense
from prunebert.methods.movement import hard
from prunebert.methods.smp import smp
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.run import Conditions, run
from prunebert.runs.artifacts import Artifacts
from prunebert.schedules import Cubic
from prunebert.tasks.text import text_task
from tests.methods.test_phases import SMP
from tests.methods.test_soft_movement import warned
from tests.methods.test_trained_magnitude import MOVEMENT, play
from tests.toys import RESULT, TASK, rows, save_model

FIT = Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3)
LABELS = RESULT | {"identity": "0", "task": "toy", "model": "toy", "sparsity": 0.0}
LABELS |= {"prunable": "encoder"}


@pytest.fixture(autouse=True)
def no_wait_is_endless(monkeypatch):
    monkeypatch.setattr(filelock, "FileLock", partial(filelock.FileLock, timeout=20))


def get_teacher(net, task, impl, fit=FIT, source=None, shared=None):
    """Return the teacher and the names of the phases that made it."""
    generator, names = teacher(net, task, fit=fit, source=source, shared=shared and str(shared)), []
    while True:
        try:
            phase = next(generator)
        except StopIteration as stop:
            return stop.value, names
        names += [p.name for p in play([phase], net, impl)[0]]


def logits_of(teach, task):
    return torch.cat([teach(batch).logits for batch in task.eval_batches("validation", 16)])


def dense_logits(net, task, theta=None):
    with net.evaluation_mode():
        return torch.cat([net(b, "toy_linear", theta=theta).logits for b in task.eval_batches("validation", 16)])


def teachers_in(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


# --- the sources ------------------------------------------------------------------------------------------------------


def test_the_teachers_phase_fine_tunes_and_leaves_no_trace_in_the_network(net, task, impl, monkeypatch):
    key = net.add_head(task.form(), "linear")
    before, plain = net.snapshot(key), dense_logits(net, task)
    trained, rewind = {}, net.rewind

    def spy(theta, head=None):
        trained.update(net.snapshot(key))
        rewind(theta, head)

    monkeypatch.setattr(net, "rewind", spy)
    teach, names = get_teacher(net, task, impl)
    assert names == ["teacher"]
    assert all(torch.equal(before[n], x) for n, x in net.snapshot(key).items())
    assert sum(not torch.equal(before[n], x) for n, x in trained.items()) > 30
    assert torch.equal(logits_of(teach, task), dense_logits(net, task, trained))
    assert (logits_of(teach, task) - plain).abs().max() > 1e-3
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    assert torch.equal(logits_of(teach, task), dense_logits(net, task, trained))  # nor does the network leave one in it


def test_pretrained_is_the_network_at_the_time_of_the_call(net, task, impl):
    key = net.add_head(task.form(), "linear")
    plain = dense_logits(net, task)
    teach, names = get_teacher(net, task, impl, source="pretrained")
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1)
    net.masks = {n: torch.zeros_like(p).bool() for n, p in net.prunable().items()}
    assert names == [] and key == "toy_linear" and torch.equal(logits_of(teach, task), plain)


def test_frozen_without_theta_follows_the_dense_weights_of_the_moment(net, task):
    key, batch = net.add_head(task.form(), "linear"), next(task.eval_batches("validation", 16))
    teach = teachers.frozen(net, key)
    net.masks = {n: torch.zeros_like(p).bool() for n, p in net.prunable().items()}
    outputs = teach(batch, ("hidden",))
    with torch.no_grad():
        net.heads[key].classifier.bias.add_(1)
    assert torch.allclose(teach(batch).logits, outputs.logits + 1) and len(outputs.hidden) == 3 and net.training


def test_a_finished_run_teaches_what_it_predicted(net, model_folder, task, impl, tmp_path):
    model = models.load(str(model_folder))
    run(
        partial(dense, fit=FIT, head="linear"),
        task,
        model,
        Artifacts(tmp_path / "run"),
        Conditions(impl=impl, seed=0, labels=LABELS),
    )
    teach, names = get_teacher(net, task, impl, source=str(tmp_path / "run"))
    (batch,) = task.eval_batches("validation", 128)
    stored = np.stack(pd.read_parquet(tmp_path / "run/predictions.parquet").scores)
    assert names == [] and np.array_equal(teach(batch).logits.numpy(), stored[batch.rows.numpy()])
    with pytest.raises(BadInput, match=r"nowhere: there is no such directory$"):
        get_teacher(net, task, impl, source=str(tmp_path / "nowhere"))


# --- a shared folder --------------------------------------------------------------------------------------------------


def test_a_shared_teacher_is_fine_tuned_once_and_changes_no_run(model_folder, task, impl, tmp_path):
    """smp stores it; movement, at another sparsity, reads it, with the same result as by itself."""

    def go(name, method, settings, shared):
        kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None, shared=shared)
        method = partial(method, **settings | {"fit": FIT, "distill": kd})
        model = models.load(str(model_folder))
        row = run(method, task, model, Artifacts(tmp_path / name), Conditions(impl=impl, seed=3, labels=LABELS))
        return list(row["phases"])

    shared, movement = str(tmp_path / "some/folder"), MOVEMENT | {"schedule": Cubic(0.6)}
    assert go("first", smp, SMP | {"schedule": Cubic(0.8)}, shared) == ["teacher", "prune"]
    (file,) = teachers_in(tmp_path / "some/folder")
    content = (tmp_path / "some/folder" / file).read_bytes()
    assert go("second", hard, movement, shared) == ["prune"]
    assert go("alone", hard, movement, None) == ["teacher", "prune"]
    assert teachers_in(tmp_path / "some/folder") == [file] and file.endswith(".safetensors")
    assert (tmp_path / "some/folder" / file).read_bytes() == content
    second, alone = tmp_path / "second", tmp_path / "alone"
    a, b = (maskfile.read(root / "masks.safetensors").masks for root in (second, alone))
    assert len(a) == 12 and all(torch.equal(a[n], b[n]) for n in a)
    for name in ("weights.safetensors", "head.safetensors"):
        c, d = (load_file(root / name) for root in (second, alone))
        assert c.keys() == d.keys() and all(torch.equal(c[n], d[n]) for n in c)
    tables = [pd.read_parquet(root / "predictions.parquet") for root in (second, alone)]
    assert np.array_equal(*(np.stack(t.scores) for t in tables)) and len(tables[0]) == 40
    assert np.stack(tables[0].scores).std() > 0


@pytest.fixture
def name_of(model_folder, data_folder, tmp_path):
    """Return the name of the file for a teacher of these settings, without making the teacher."""
    folder = tmp_path / "names"

    def name(seed=0, fit=FIT, model=model_folder, **task):
        net = SubNetwork(models.load(str(model)), seed)
        files = {"train": str(data_folder / "train.csv"), "eval": str(data_folder / "eval.csv")}
        settings = TASK | files | {"metric": "prunebert.metrics:Accuracy"} | task
        generator = teacher(
            net,
            text_task(tokenizer=net.model.tokenizer, positions=64, **settings),
            fit=fit,
            source=None,
            shared=str(folder),
        )
        assert next(generator).name == "teacher"
        (lock,) = folder.iterdir()  # and nothing else, as long as there is no teacher
        generator.close()
        lock.unlink(missing_ok=True)  # some versions of filelock remove it themselves
        return lock.stem

    return name


def test_whatever_decides_a_teachers_weights_decides_its_file(name_of, tmp_path):
    rows(96, seed=5).to_csv(tmp_path / "other.csv", index=False)
    weights = save_model(tmp_path / "other")
    state = load_file(weights / "model.safetensors")
    state["bert.encoder.layer.0.output.dense.weight"][0, 0] += 1e-3
    save_file(state, weights / "model.safetensors", {"format": "pt"})
    names = [
        name_of(),
        name_of(seed=1),
        name_of(train=str(tmp_path / "other.csv")),
        name_of(text=["sentence", "second"]),
        name_of(max_length=8),
        name_of(padding="max_length"),
        name_of(labels=[1, 0]),
        name_of(kind="regression", label="number", metric=None, score=None),
        name_of(name="else"),
        name_of(fit=Fit(epochs=1, steps=3, batch_size=8, lr=1e-3, head_lr=1e-3)),
        name_of(fit=Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=2e-3)),
        name_of(fit=Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3, warmup=0.5)),
        name_of(model=weights),
    ]
    assert len(set(names)) == len(names) == 13
    assert name_of() == names[0]


def test_a_models_configuration_decides_its_file_too(name_of, tmp_path, monkeypatch):
    other = save_model(tmp_path / "other")
    original_name = name_of(model=other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.5, "num_attention_heads": 2}))
    names = {original_name, name_of(model=other)}
    monkeypatch.setattr(teachers, "__version__", "0.0")  # another version may train another teacher
    assert len(names | {name_of(model=other)}) == 3


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_damaged_file_is_reported_and_made_again(net, task, impl, tmp_path, damage, caplog):
    teach, names = get_teacher(net, task, impl, shared=tmp_path)
    (name,) = teachers_in(tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    assert names == ["teacher"] and not warned(caplog)
    changed = bytearray(content)
    changed[-7] ^= 1
    file.write_bytes({"cut short": content[:-100], "one bit": bytes(changed), "empty": b""}[damage])
    again, names = get_teacher(net, task, impl, shared=tmp_path)
    assert names == ["teacher"] and len(warned(caplog)) == 1
    assert re.fullmatch(rf"{file} is damaged \(.+\) and is made again", warned(caplog)[0])
    assert file.read_bytes() == content and teachers_in(tmp_path) == [name]
    third, names = get_teacher(net, task, impl, shared=tmp_path)
    expected = logits_of(teach, task)
    assert names == [] and all(torch.equal(logits_of(x, task), expected) for x in (again, third))


def test_shared_beside_teacher_is_refused_in_one_line(net, task, tmp_path):
    for source in ("pretrained", "some/run"):
        with pytest.raises(BadInput) as caught:
            next(teacher(net, task, fit=FIT, source=source, shared=str(tmp_path / "x")))
        assert str(caught.value).startswith(f"distill.shared={tmp_path / 'x'} and distill.teacher={source}: ")
        assert "\n" not in str(caught.value) and not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_is_refused_in_one_line(net, task, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file/below", "~/file/below"):
        with pytest.raises(BadInput, match=rf"^distill\.shared={tmp_path}/file.* cannot be written to: [\w ]+$"):
            next(teacher(net, task, fit=FIT, source=None, shared=str(folder)))


def test_another_users_folder_is_refused_in_one_line(net, task, tmp_path, monkeypatch):
    def denied(path, **settings):
        raise PermissionError(13, "Permission denied", str(path))  # what FileLock raises there; root is let in

    monkeypatch.setattr(filelock, "FileLock", denied)
    with pytest.raises(BadInput, match=r"^distill\.shared=.* cannot be written to: Permission denied$"):
        next(teacher(net, task, fit=FIT, source=None, shared=str(tmp_path)))


def test_another_users_teacher_is_refused_and_not_called_damaged(net, task, impl, tmp_path, monkeypatch):
    get_teacher(net, task, impl, shared=tmp_path)

    def denied(file):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(safetensors.torch, "load_file", denied)
    with pytest.raises(BadInput, match=r"^distill\.shared=.*: .*\.safetensors cannot be read: Permission denied$"):
        next(teacher(net, task, fit=FIT, source=None, shared=str(tmp_path)))


def test_a_file_that_a_dead_process_left_half_written_is_removed(net, task, impl, tmp_path):
    get_teacher(net, task, impl, shared=tmp_path)
    (name,) = teachers_in(tmp_path)
    (tmp_path / name).rename(partial_file := tmp_path / f".{name.removesuffix('.safetensors')}.4711")
    get_teacher(net, task, impl, shared=tmp_path)
    assert teachers_in(tmp_path) == [name] and not partial_file.exists()


def test_a_teacher_that_is_not_a_run_is_refused_with_its_key(net, task, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (str(tmp_path), "~"):
        with pytest.raises(BadInput, match=rf"^distill\.teacher={tmp_path} is not a run's directory$"):
            next(teacher(net, task, fit=FIT, source=source, shared=None))


def test_whoever_may_read_the_folder_may_read_its_teachers(net, task, impl, tmp_path):
    get_teacher(net, task, impl, shared=tmp_path)
    (name,) = teachers_in(tmp_path)
    (tmp_path / "beside").touch()
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == stat.S_IMODE((tmp_path / "beside").stat().st_mode)
