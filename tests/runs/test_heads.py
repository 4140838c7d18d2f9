"""Two checkpoints with one encoder and two configurations or masked-LM heads are two runs, never "finished before"."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import prunebert as library
from prunebert.errors import BadInput
from prunebert.network import models
from prunebert.runs import artifacts, heads
from prunebert.system import signals
from tests.toys import toy_words, write_result

SMP = ["method=smp", "sparsity=0.5", "fit.steps=3"]


@pytest.fixture(scope="module")
def another_head(model_folder, tmp_path_factory) -> Path:
    """The same encoder with another masked-LM head."""
    folder = shutil.copytree(model_folder, tmp_path_factory.mktemp("head") / "bert")
    stored = load_file(folder / "model.safetensors")
    stored["cls.predictions.transform.dense.weight"] *= -1
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_the_hash_of_the_heads_is_recorded_where_they_are_read(finished, model_folder):
    of_checkpoint = models.load(str(model_folder)).heads_hash()
    reads = artifacts.result(finished("method=smp", "sparsity=0.7"))
    reads_not = artifacts.result(finished("method=magnitude", "sparsity=0.6"))
    assert (reads["heads_hash"], reads_not["heads_hash"]) == (of_checkpoint, None)


def test_another_head_or_configuration_is_not_finished_before(cli, model_folder, another_head, data_folder, tmp_path):
    words = [*toy_words(model_folder, data_folder, "run"), *SMP]
    assert cli(*words)[0] == 0
    row = (tmp_path / "run/result.json").read_bytes()
    elsewhere = [w for w in words if not w.startswith("hydra.run.dir")] + ["hydra.run.dir=outputs/2026-01-01/01-01-01"]
    assert cli(*elsewhere)[0] == 0
    later = [*elsewhere[:-1], "hydra.run.dir=outputs/2026-01-01/01-01-03"]
    replaced = [w.replace(str(model_folder), str(another_head)) for w in later]
    for extra in ([], ["dry=true"]):
        status, printed = cli(*replaced, *extra)
        assert status == 2 and printed.count("\n") == 1
        assert "another masked-LM head; choose another directory, or rerun=true" in printed
    assert cli(*replaced, "rerun=true")[0] == 0
    assert (tmp_path / "run/result.json").read_bytes() == row
    other = shutil.copytree(model_folder, tmp_path / "relu")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    of_relu = [w.replace(str(model_folder), str(other)) for w in words if not w.startswith("hydra.run")]
    status, printed = cli(*of_relu, "hydra.run.dir=outputs/2026-01-01/01-01-02")
    assert status == 0 and "finished before" not in printed
    rows = [artifacts.result(tmp_path / run) for run in ("run", "outputs/2026-01-01/01-01-02")]
    assert rows[0]["weights_hash"] == rows[1]["weights_hash"] and rows[0]["identity"] != rows[1]["identity"]
    assert (rows[0]["architecture"], rows[1]["architecture"]) == ({}, {"hidden_act": "relu"})


def test_a_stopped_run_of_another_head_is_not_continued(
    cli, model_folder, another_head, data_folder, tmp_path, monkeypatch
):
    replaced = tmp_path / "bert"
    shutil.copytree(model_folder, replaced)
    words = [*toy_words(replaced, data_folder, "run"), *SMP, "fit.steps=9", "checkpoint.steps=2"]
    with monkeypatch.context() as patch:
        from prunebert.training.checkpoints import Checkpoints

        saved = Checkpoints.save_if_due

        def stop(self, step, moment, seconds):
            saved(self, step, moment, seconds)
            if step == 4:
                raise signals.Stopped("a test", "after step 4")

        patch.setattr(Checkpoints, "save_if_due", stop)
        cli(*words)
    before = {p.name: p.read_bytes() for p in (tmp_path / "run/checkpoint").iterdir()}
    assert before
    shutil.rmtree(replaced)
    shutil.copytree(another_head, replaced)
    status, printed = cli(*words)
    assert status == 2 and "another masked-LM head" in printed and printed.count("\n") == 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "run/checkpoint").iterdir()} == before
    shutil.rmtree(replaced)
    shutil.copytree(model_folder, replaced)
    status, printed = cli(*words)
    assert status == 0 and "goes on after step 4" in printed


def test_a_finished_run_does_not_predict_through_another_head(finished, another_head):
    with pytest.raises(BadInput, match="with another masked-LM head than the checkpoint has now"):
        library.load(finished("method=smp", "sparsity=0.7"), model=str(another_head))
    library.load(finished("method=magnitude", "sparsity=0.6"), model=str(another_head))  # it has a head of its own


def test_what_recorded_no_head_is_not_asked(finished, tmp_path):
    """A result of an earlier version, one that reads no head, and a damaged one leave the decision to others."""

    def unread() -> str:
        raise AssertionError("the checkpoint's heads must not be read")

    row = artifacts.result(finished("method=smp", "sparsity=0.7"))
    old = {k: v for k, v in row.items() if k not in ("heads_hash", "architecture")}
    for facts in (old, row | {"heads_hash": None}):
        write_result(tmp_path, facts)
        heads.refuse_another(tmp_path, unread)
    (tmp_path / "result.json").write_text("{}")
    heads.refuse_another(tmp_path, unread)
