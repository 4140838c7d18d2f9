"""Disks that are full, read-only, or gone under a run."""

import logging
import os
import shutil
import sys
from pathlib import Path

import pytest
import safetensors.torch
from omegaconf import OmegaConf

from prunebert.cli import main
from prunebert.errors import describe_os_error
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
    assert status == 0 and "phase finetune was finished before" in printed and ": step " not in printed
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


def test_names_that_are_no_utf8_are_written_and_shown(finished, cli, tmp_path):
    run, name = tmp_path / os.fsdecode(b"caf\xe9"), os.fsdecode(b"new\xe9")
    shutil.copytree(finished("method=magnitude"), run)
    commands = [
        ["mask", "and", str(run), str(run), f"mask{name}"],
        ["export", str(run), f"export{name}"],
        ["export", "--sparse", str(run), f"delta{name}"],
        ["report", str(run), "--out", f"report{name}"],
    ]
    for command in commands:
        status, printed = cli(*command)
        assert status == 0 and "\\udce9" in printed and (tmp_path / command[-1]).exists(), printed
    status, printed = cli("info", str(run) + "missing")
    assert status == 2 and len(printed.splitlines()) == 1


def test_a_directory_that_names_no_key_is_one_line(cli, toy, tmp_path):
    for key, words in (("hydra.run.dir", []), ("hydra.sweep.dir", ["-m"])):
        status, printed = cli(*words, *toy, "method=magnitude", f"{key}='${{nothing}}'")
        assert status == 2 and len(printed.splitlines()) == 1 and key in printed, printed


def test_a_directory_deleted_under_a_run_ends_it_in_one_line(cli, toy, tmp_path, monkeypatch):
    save_if_due = Checkpoints.save_if_due

    def deleting(self, step, moment, seconds):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        save_if_due(self, step, moment, seconds)

    monkeypatch.setattr(Checkpoints, "save_if_due", deleting)
    status, printed = cli(*toy, "method=magnitude", *SHORT)
    assert status == 1 and "Traceback" not in printed
    assert "No such file or directory" in printed.strip().splitlines()[-1]


def full_at(monkeypatch, name, code=28):
    """Let the disk be full when the content of a file called `name` is brought to it. The system names no file then."""
    fsync = os.fsync

    def refuse(descriptor):
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.startswith(f".{name}"):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("code", [28, 122])
@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml"])
def test_a_full_disk_at_the_record_is_one_line_and_leaves_nothing(cli, toy, tmp_path, monkeypatch, name, code):
    with monkeypatch.context() as patch:
        full_at(patch, name, code)
        status, printed = cli(*toy, "method=magnitude")
    message = f"prunebert: {tmp_path / 'run/.hydra' / name}: {os.strerror(code)}"
    assert status == 1 and [*printed.splitlines()] == [message] and not list(tmp_path.iterdir())


def test_a_full_disk_at_the_index_is_one_line_and_leaves_nothing(cli, toy, tmp_path, monkeypatch):
    dated = [w for w in toy if not w.startswith("hydra")]
    with monkeypatch.context() as patch:
        fsync = os.fsync
        patch.setattr(
            os, "fsync", lambda fd: refuse(28) if ".prunebert" in os.readlink(f"/proc/self/fd/{fd}") else fsync(fd)
        )
        status, printed = cli(*dated, "method=magnitude")
    assert status == 1 and len(printed.splitlines()) == 1 and not list(tmp_path.iterdir())
    assert ".prunebert/" in printed and printed.endswith(".json: No space left on device\n")


def test_a_full_disk_at_a_sweeps_record_leaves_nothing(cli, toy, tmp_path, monkeypatch):
    words = [word for word in toy if not word.startswith("hydra.run.dir")]

    def cut_off(config, file):
        Path(file).write_text("method:\n  _target_: 'prune")
        refuse(28)

    with monkeypatch.context() as patch:
        patch.setattr(OmegaConf, "save", cut_off)
        status, printed = cli("-m", *words, "method=magnitude", "hydra.sweep.dir=sweep")
    assert status == 1 and len(printed.splitlines()) == 1 and "No space left on device" in printed
    assert not list(tmp_path.iterdir())


def refuse(code):
    raise OSError(code, os.strerror(code))


@pytest.mark.parametrize(("code", "key"), [(28, "hydra.run.dir"), (30, "hydra.run.dir"), (13, "hydra.sweep.dir")])
def test_a_directory_that_cannot_be_made_is_one_line(cli, toy, tmp_path, monkeypatch, code, key):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda path, *args, **settings: refuse(code))
        status, printed = cli(*(["-m"] if "sweep" in key else []), *toy, "method=magnitude", f"{key}=new")
    assert status == 2 and len(printed.splitlines()) == 1 and not list(tmp_path.iterdir())
    assert printed.startswith(f"prunebert: {key}=") and printed.endswith(
        f"new cannot be written to: {os.strerror(code)}\n"
    )


@pytest.mark.parametrize(
    "name",
    ["masks.safetensors", "head.safetensors", "weights.safetensors", "predictions.parquet", "topology.json", "result"],
)
def test_a_full_disk_at_each_file_of_the_result(cli, toy, tmp_path, monkeypatch, name):
    with monkeypatch.context() as patch:
        full_at(patch, name)
        status, printed = cli(*toy, "method=magnitude")
    last = printed.splitlines()[-1]
    assert (
        status == 1
        and last.startswith(f"prunebert: {tmp_path / 'run' / name}")
        and last.endswith(": No space left on device")
    )
    assert printed.count("No space left") == 1
    left = [p.name for p in (tmp_path / "run").iterdir()]
    assert not [n for n in left if n.startswith(".") and n != ".hydra"] and "result.json" not in left
    status, printed = cli(*toy, "method=magnitude")
    assert status == 0 and "phase finetune was finished before" in printed


def test_a_full_disk_at_the_log_is_told_once_and_costs_only_the_log(cli, toy, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(logging.FileHandler, "_open", lambda handler: open("/dev/full", "w"))  # noqa: SIM115
        status, printed = cli(*toy, "method=magnitude")
    assert status == 0 and printed.count("run.log: No space left on device; the log is not complete") == 1
    assert "Traceback" not in printed and (tmp_path / "run/result.json").is_file()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(28, "No space left on device", "/x/run.log"), "/x/run.log: No space left on device"),
        (OSError(28, "No space left on device", b"/x/\xff"), "/x/\udcff: No space left on device"),
        (OSError("Failed to write\nbytes"), "Failed to write bytes"),
        (OSError(), "OSError"),
        (OSError(9, "Bad file descriptor", 7), "Bad file descriptor"),
    ],
)
def test_an_error_of_the_system_is_its_file_and_its_reason(error, line):
    assert describe_os_error(error) == line


@pytest.mark.parametrize("words", [["method=magnitude"], ["info", "run"], ["-m", "method=magnitude"]])
def test_a_deleted_working_directory_is_one_line(tmp_path, monkeypatch, capsys, words):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "argv", ["prunebert", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == "prunebert: the working directory was deleted; change to another one\n"
