"""Disks that are full, read-only, or gone under a run."""

import shutil

import pytest
import safetensors.torch

from prunebert.runs import artifacts, files
from prunebert.training.checkpoints import Checkpoints
from tests.runs.test_resume import SHORT, assert_same_run, results


def test_a_full_disk_at_a_checkpoint_costs_only_the_checkpoint(cli, toy, tmp_path, monkeypatch):
    def full(*args, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    status, printed = cli(*toy, "method=magnitude", *SHORT)
    assert status == 0 and "could not be written: " in printed and "No space left on device" in printed
    assert not list((tmp_path / "run").glob("checkpoint/*"))


def test_a_full_disk_at_the_result_loses_no_training(cli, toy, tmp_path, monkeypatch):
    words, write = [*toy, "method=magnitude", *SHORT], files.write

    def full(root, name, content):
        if name == "predictions.parquet":
            raise OSError(28, "No space left on device", str(root / name))
        write(root, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", full)
        status, printed = cli(*words)
    assert status == 1 and printed.strip().splitlines()[-1].startswith("prunebert: ")
    assert "predictions.parquet: No space left on device" in printed
    status, printed = cli(*words)
    assert status == 0 and "phase finetune was finished before" in printed and "step" not in printed
    assert cli(*words, "hydra.run.dir=whole")[0] == 0
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


@pytest.mark.parametrize("read_only_file", ["metrics.jsonl", "masks.safetensors"])
def test_output_that_becomes_read_only_ends_it_in_one_line_and_loses_nothing(
    cli, toy, tmp_path, monkeypatch, read_only_file
):
    """This happens when the system remounts a file system after an error."""
    words, write = [*toy, "method=magnitude", *SHORT], files.write
    count = [0]

    def refuse(root, name):
        raise OSError(30, "Read-only file system", str(root / name))

    def record(self, line, record=artifacts.Artifacts.record):
        count[0] += 1
        if count[0] > 5 and read_only_file == "metrics.jsonl":
            refuse(self.root, read_only_file)
        record(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(artifacts.Artifacts, "record", record)
        patch.setattr(
            files, "write", lambda root, name, x: refuse(root, name) if name == read_only_file else write(root, name, x)
        )
        status, printed = cli(*words)
    assert status == 1 and "Traceback" not in printed
    assert f"{read_only_file}: Read-only file system" in printed.strip().splitlines()[-1]
    assert cli(*words)[0] == 0 and cli(*words, "hydra.run.dir=whole")[0] == 0
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


def test_a_directory_deleted_under_a_run_ends_it_in_one_line(cli, toy, tmp_path, monkeypatch):
    save_if_due = Checkpoints.save_if_due

    def deleting(self, step, moment, seconds):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        save_if_due(self, step, moment, seconds)

    monkeypatch.setattr(Checkpoints, "save_if_due", deleting)
    status, printed = cli(*toy, "method=magnitude", *SHORT)
    assert status == 1 and "Traceback" not in printed
    assert "No such file or directory" in printed.strip().splitlines()[-1]
