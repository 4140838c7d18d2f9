"""Where a run's directory is when the same command is given again, and two processes on one run."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import prunebert
from prunebert.runs import artifacts, identity
from tests.toys import toy_words


@pytest.fixture
def dated(toy):
    return [w for w in toy if not w.startswith("hydra")]


def finished_runs(folder):
    return sorted(p.parent for p in folder.rglob("result.json"))


def test_the_same_command_again_returns_the_finished_result_and_does_not_train(cli, dated, tmp_path):
    assert cli(*dated, "method=magnitude")[0] == 0
    (run,) = finished_runs(tmp_path)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "run.log"}
    status, printed = cli(*dated, "method=magnitude")
    assert status == 0 and "finished before (rerun=true repeats it)" in printed and "step" not in printed
    assert str(run.relative_to(tmp_path)) in printed
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "run.log"} == before
    assert len(list((tmp_path / "outputs").glob("2*/*"))) == 1  # the second start left no directory
    (entry,) = (tmp_path / ".prunebert").glob("*.json")
    row = artifacts.result(run)
    assert entry.stem == row["identity"] and json.loads(entry.read_text())["directory"].startswith("../")
    assert cli(*dated, "method=magnitude", "seed=1")[0] == 0 and len(finished_runs(tmp_path)) == 2


def test_rerun_repeats_it_elsewhere(cli, dated, tmp_path):
    for words in ([], ["rerun=true"]):
        assert cli(*dated, "method=magnitude", *words)[0] == 0
    first, second = finished_runs(tmp_path)
    assert artifacts.result(first)["identity"] == artifacts.result(second)["identity"]
    _, printed = cli(*dated, "method=magnitude")
    assert str(second.relative_to(tmp_path)) in printed and len(finished_runs(tmp_path)) == 2


def test_a_sweep_again_trains_only_what_is_missing(cli, dated, tmp_path):
    words = ["-m", *dated, "method=magnitude,random", "seed=0,1"]
    assert cli(*words)[0] == 0
    directories = finished_runs(tmp_path)
    (directories[2] / "result.json").unlink()
    status, printed = cli(*words)
    assert status == 0 and printed.count("finished before") == 3 and "did not finish" not in printed
    assert finished_runs(tmp_path) == directories  # the missing one was done in its old directory
    assert printed.count("magnitude") >= 2 and "4 finished runs" in printed
    new = max((tmp_path / "multirun").glob("*/*"))
    assert artifacts.finished_runs(new) == directories


def test_every_command_follows_the_pointer_in_a_cell(finished, cli, dated, tmp_path):
    """A dated sweep that is started a second time leaves such pointers."""
    run, other = finished("method=magnitude", "sparsity=0.6"), finished("method=random", "sparsity=0.6")
    cell = tmp_path / "multirun/2026-01-01/10-00-00/seed=0"
    (cell / ".hydra").mkdir(parents=True)
    artifacts.write_pointer(cell, run)
    path = str(cell.relative_to(tmp_path))
    one_thread = ["--batch", "1", "--length", "4", "--repeats", "5", "--threads", "1"]
    shared = [*dated, "sparsity=0.6"]
    for words in (
        ["info", path],
        ["export", path, "exported"],
        ["export", path, "delta", "--sparse"],
        ["evaluate", path, "impl.threads=1"],
        ["bench", path, *one_thread, "--variants", "zeros,csr"],
        ["compare", path, str(other)],
        ["mask", "info", path],
        [
            *shared,
            "method=magnitude",
            f"method.masks='{path}'",
            "method.prunable=encoder_pooler",
            "hydra.run.dir=masks",
        ],
        [*shared, "method=smp", "distill=logits", f"distill.teacher='{path}'", "hydra.run.dir=taught"],
    ):
        status, printed = cli(*words)
        assert status == 0, printed
    assert prunebert.load(cell).facts["identity"] == identity.content_hash(path) == artifacts.result(run)["identity"]


def test_a_sweep_in_a_directory_of_its_own_again(cli, dated, tmp_path):
    words = ["-m", *dated, "method=magnitude,random", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    status, printed = cli(*words)
    assert status == 0 and printed.count("finished before") == 2 and len(finished_runs(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b'{"identity": "x", "directory": "."}', b"\xff\x00", b"[" * 9999])
def test_a_damaged_index_is_reported_and_made_again(cli, dated, tmp_path, content):
    assert cli(*dated, "method=magnitude")[0] == 0
    (entry,) = (tmp_path / ".prunebert").glob("*.json")
    entry.write_bytes(content)
    status, printed = cli(*dated, "method=magnitude")
    assert (
        status == 0 and re.search(rf"{entry.name[:8]}.*\s*is\s+damaged", printed) and len(finished_runs(tmp_path)) == 2
    )
    assert "finished before" in cli(*dated, "method=magnitude")[1]


def test_a_changed_result_is_reported_and_the_run_repeated(cli, toy, tmp_path):
    assert cli(*toy, "method=magnitude")[0] == 0
    file = tmp_path / "run/result.json"
    right = file.read_text()
    for wrong in (right.replace('"seed": 0', '"seed": 1'), right[:200]):
        assert wrong != right
        file.write_text(wrong)
        status, printed = cli(*toy, "method=magnitude")
        assert status == 0 and "result.json is damaged" in printed.replace("\n", "") and "phase finetune" in printed
        assert artifacts.holds_result_of(tmp_path / "run", json.loads(right)["identity"])


def test_a_finished_run_on_other_data_is_not_overwritten(cli, toy, tmp_path):
    """The same words, but the file that they name has changed."""
    train = tmp_path / "train.csv"
    words = [f"task.train={train}" if w.startswith("task.train") else w for w in toy] + ["method=magnitude"]
    text = Path(next(w for w in toy if w.startswith("task.train")).split("=")[1]).read_text()
    train.write_text(text)
    assert cli(*words)[0] == 0
    before = (tmp_path / "run/result.json").read_bytes()
    train.write_text("\n".join(text.splitlines()[:-4]))
    status, printed = cli(*words)
    assert status == 2 and "holds a finished run on other data" in printed
    assert (tmp_path / "run/result.json").read_bytes() == before and (tmp_path / "run/masks.safetensors").exists()
    status, printed = cli(*words, "rerun=true")
    assert status == 2 and printed.splitlines()[-1].startswith("prunebert: hydra.run.dir=")
    assert "of another identity, which rerun=true does not replace" in printed
    assert (tmp_path / "run/result.json").read_bytes() == before


def test_a_deleted_directory_is_not_found_again(cli, dated, tmp_path):
    import shutil

    assert cli(*dated, "method=magnitude")[0] == 0
    shutil.rmtree(finished_runs(tmp_path)[0])
    status, printed = cli(*dated, "method=magnitude")
    assert status == 0 and "finished before" not in printed and len(finished_runs(tmp_path)) == 1


def test_two_processes_on_one_run_at_once(model_folder, data_folder, tmp_path):
    """One trains; the other waits and returns what the first one found."""
    words = [*toy_words(model_folder, data_folder, "x")[:-1], "method=magnitude", "fit.steps=150"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "prunebert", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [p.communicate(timeout=300)[0] for p in processes]
    assert [p.returncode for p in processes] == [0, 0], printed
    assert sum("phase finetune ends" in text for text in printed) == 1
    assert sum("finished before" in text for text in printed) == 1 and len(finished_runs(tmp_path)) == 1


def test_a_dead_owner_is_not_waited_for(toy, cli, tmp_path):
    (tmp_path / "run").mkdir()
    code = f"import filelock, os; filelock.FileLock({str(tmp_path / 'run/.lock')!r}).acquire(); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    began = time.monotonic()
    assert cli(*toy, "method=magnitude")[0] == 0 and time.monotonic() - began < 60
