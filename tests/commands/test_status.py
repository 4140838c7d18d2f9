"""`prunebert status` on a sweep with cells in every state."""

import json
import shlex
import shutil

import pytest

from tests.runs.test_resume import SHORT, Killed, killed_at, start


@pytest.fixture
def sweep(cli, toy, tmp_path, monkeypatch):
    """A sweep of four cells: one done, one failed, one killed at the 60th step overall, one never started."""
    settings = [w for w in toy if not w.startswith("hydra")]
    words = ["-m", *settings, *SHORT, "method=random,magnitude", "fit.lr=1e-3,1e30", "fit.clip=1e30", "fit.steps=40"]
    with monkeypatch.context() as patch:
        killed_at({60}, patch)
        with pytest.raises(Killed):
            cli(*words, "hydra.sweep.dir=sweep")
    return tmp_path / "sweep"


def test_every_state_is_printed(cli, sweep):
    status, printed = cli("status", "sweep")
    flat = "".join(printed.split())
    assert status == 0 and "1done,1stale,1failed,1missing" in flat.replace("│", "")
    assert "thelossisnotfinite" in flat and "phasefinetune,step" in flat and "accuracy0." in flat


def test_failed_prints_commands_that_finish_the_sweep(cli, sweep, tmp_path):
    status, printed = cli("status", "sweep", "--failed")
    commands = [shlex.split(line) for line in printed.splitlines() if line.startswith("prunebert")]
    assert status == 0 and len(commands) == 3 and all(c[0] == "prunebert" for c in commands)
    for command in commands:
        words = [w for w in command[1:] if w not in ("fit.lr=1e+30", "fit.lr=1e30")]
        cli(*words, *(["fit.lr=1e-4"] if len(words) < len(command) - 1 else []))
    _, printed = cli("status", "sweep")
    assert "4 done" in printed and "│ stale" not in printed  # the diverged cell ran with another lr


def test_a_run_repeated_elsewhere_is_done(cli, toy, tmp_path, monkeypatch):
    words = [*toy, *SHORT, "method=magnitude"]
    with monkeypatch.context() as patch:
        killed_at({4}, patch)
        with pytest.raises(Killed):
            cli(*words, "hydra.run.dir=runs/one")
    assert "1 stale" in cli("status", "runs")[1]
    assert cli(*words, "hydra.run.dir=runs/other", "seed=1")[0] == 0  # another run
    assert "1 done, 1 stale" in cli("status", "runs")[1]
    assert cli(*words, "hydra.run.dir=runs/two", "impl.threads=1")[0] == 0
    assert cli("status", "runs", "--failed")[1] == ""
    printed = cli("status", "runs")[1]
    assert "3 done" in printed and "repeated in" in printed


def test_a_missing_cell_runs_in_its_own_folder_however_its_overrides_are_written(cli, toy, tmp_path):
    """A quoted value with =, a leading +, another spelling of a number, and an experiment, which no folder names."""
    (train,) = (w.partition("=")[2] for w in toy if w.startswith("task.train"))
    shutil.copy(train, tmp_path / "a=b.csv")
    settings = [w for w in toy if not w.startswith(("hydra", "task.train"))]
    words = ["-m", "experiment=quickstart", "model=bert-base", *settings, f"++task.train='{tmp_path / 'a=b.csv'}'"]
    words += ["method=random,magnitude", "sparsity=.50", "hydra.callbacks.around.report=false", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    cells = sorted(p.parent for p in (tmp_path / "sweep").rglob("result.json"))
    shutil.rmtree(cells[0])
    status, printed = cli("status", "sweep", "--failed")
    (command,) = (shlex.split(line) for line in printed.splitlines())
    assert status == 0 and command[:2] == ["prunebert", "experiment=quickstart"]
    status, printed = cli(*command[1:])
    assert status == 0 and sorted(p.parent for p in (tmp_path / "sweep").rglob("result.json")) == cells, printed
    status, printed = cli(*words)
    assert status == 0 and printed.count("finished before") == 2


def out_of_memory(*_, **__):
    raise RuntimeError("CUDA out of memory")


def test_a_cell_that_broke_is_failed(cli, toy, monkeypatch):
    words = ["-m", *[w for w in toy if not w.startswith("hydra")], "method=magnitude", "hydra.sweep.dir=sweep"]
    with monkeypatch.context() as patch:
        patch.setattr("prunebert.run.run", out_of_memory)
        status, printed = cli(*words)
    assert status == 1 and printed.count("Traceback") == 1
    _, printed = cli("status", "sweep")
    assert "1 failed" in printed and "RuntimeError: CUDA out of memory" in printed and "stale" not in printed


def test_a_single_run_that_broke_is_failed_and_logged_once(cli, toy, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("prunebert.run.run", out_of_memory)
        with pytest.raises(RuntimeError):  # Python prints it at the end of the process
            cli(*toy, "method=magnitude")
    assert "Traceback" not in "".join(capsys.readouterr())
    log = (tmp_path / "run/run.log").read_text()
    assert log.count("Traceback") == 1 and log.rstrip().endswith("RuntimeError: CUDA out of memory")
    _, printed = cli("status", "run")
    assert "failed" in printed and "CUDA out of memory" in printed


@pytest.mark.slow
def test_a_run_at_work_is_running_and_not_disturbed(cli, toy, tmp_path):
    import time

    process = start([*toy, "method=magnitude", "fit.steps=4000"], tmp_path)
    metrics = tmp_path / "run/metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    _, printed = cli("status", ".")
    process.kill()
    process.communicate()
    assert "running" in printed and "phase finetune, step" in printed
    _, printed = cli("status", ".")
    assert "stale" in printed and "running" not in printed


@pytest.mark.slow
def test_a_dated_run_at_work_is_running(cli, toy, tmp_path):
    import time

    process = start([*toy[:-1], "method=magnitude", "fit.steps=4000"], tmp_path)
    while process.poll() is None and not [p for p in tmp_path.rglob("metrics.jsonl") if p.stat().st_size]:
        time.sleep(0.05)
    _, printed = cli("status", "outputs")
    process.kill()
    process.communicate()
    assert "running" in printed


def test_nothing_and_no_folder(cli, tmp_path):
    status, printed = cli("status", "nowhere")
    assert status == 2 and printed.strip() == "prunebert: nowhere: there is no such directory"
    (tmp_path / "empty").mkdir()
    assert "no run was started here" in cli("status", "empty")[1]
    assert cli("status", "--help")[0] == 0


def test_a_damaged_result_is_failed(cli, toy, tmp_path):
    assert cli(*toy, "method=magnitude")[0] == 0
    (tmp_path / "run/result.json").write_text(json.dumps({})[:1])
    assert "failed" in cli("status", "run")[1]
