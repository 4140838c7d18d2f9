"""`prunebert status` on a sweep with cells in every state."""

import json
import shlex
import shutil

import pytest

from prunebert.commands.status import run_states, show
from prunebert.runs import discover
from prunebert.runs import sweep as sweep_cells
from prunebert.runs.sweep import never_started
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
    commands = [shlex.split(line) for line in printed.splitlines() if line.startswith("prunebert ")]
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


DAMAGED = [
    "{}",
    "[]",
    "",
    "{",
    '{"metric": 1, "score": 0.5}',
    '{"metric": "f1", "score": "0.5"}',
    '{"metric": "f1", "score": true}',
]


@pytest.mark.parametrize("content", [*DAMAGED, '{"metric": "f1", "score": true}', '{"metric": "f1", "score": null}'])
def test_a_result_of_another_shape_is_failed_and_named(tmp_path, content):
    (tmp_path / "a/.hydra").mkdir(parents=True)
    (tmp_path / "a/result.json").write_text(content)
    (state,) = run_states([tmp_path])
    assert state.state == "failed" and "a/result.json is damaged" in state.detail


def test_half_made_runs_and_sweeps_have_a_state(tmp_path, capsys):
    (tmp_path / "no-overrides/.hydra").mkdir(parents=True)
    (tmp_path / "multirun.yaml").write_text("")
    (tmp_path / "esc\x1b[31m[b]/.hydra").mkdir(parents=True)
    (tmp_path / "gone/.hydra").mkdir(parents=True)
    (tmp_path / "gone/run.log").symlink_to("run.log")  # a circle
    states = run_states([tmp_path])
    assert [s.state for s in states] == ["stale", "stale", "stale", "unknown"]
    show(states)
    printed = capsys.readouterr().out
    assert "\x1b[31m" not in printed and "esc\\x1b[" in printed


def test_a_file_that_vanishes_is_told_and_the_other_runs_are_listed(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name / ".hydra").mkdir(parents=True)

    def last_words(run):
        if run.name == "a":
            raise OSError(116, "Stale file handle", str(run / "run.log"))
        return "it left no log"

    monkeypatch.setattr(discover, "last_words", last_words)
    states = run_states([tmp_path])
    assert [s.state for s in states] == ["unknown", "stale"] and "Stale file handle" in states[0].detail


def test_cells_are_found_among_many_runs_in_any_spelling(tmp_path):
    """One sweep of 600 cells: each was run once, except for two."""
    words = ["seed=range(100)", "method=smp,imp", "sparsity=.5,.90,0.95"]
    (tmp_path / "multirun.yaml").write_text(
        json.dumps({"hydra": {"overrides": {"task": words}, "sweeper": {"params": None}}})
    )
    for seed in range(100):
        for method in ("smp", "imp"):
            for sparsity in ("0.5", ".9", "0.950"):
                if (seed, sparsity) == (7, ".9"):
                    continue
                run = tmp_path / f"{seed}-{method}-{sparsity}/.hydra"
                run.mkdir(parents=True)
                (run / "overrides.yaml").write_text(
                    json.dumps([f"method={method}", f"sparsity={sparsity}", f"seed={seed}"])
                )
    cells = sorted((cell.varying, cell.directory.name) for cell in never_started(tmp_path, []))
    names = [f"seed-7_method-{m}_sparsity-0.9" for m in ("imp", "smp")]
    assert [name for _, name in cells] == names and [varying for varying, _ in cells] == [
        ["seed=7", f"method={m}", "sparsity=0.9"] for m in ("imp", "smp")
    ]
    elsewhere = [["method=smp", "seed=7", "sparsity=0.9", "impl.threads=2"]]
    assert len(never_started(tmp_path, elsewhere)) == 1


def test_a_sweep_of_too_many_cells_is_not_enumerated(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_cells, "MAX_CELLS", 5)
    (tmp_path / "multirun.yaml").write_text(
        json.dumps({"hydra": {"overrides": {"task": ["seed=1,2,3", "sparsity=0.1,0.2"]}, "sweeper": {}}})
    )
    (state,) = run_states([tmp_path])
    assert state.state == "unknown" and "it has 6 cells" in state.detail


def test_a_sweep_over_a_huge_range_is_not_enumerated(tmp_path):
    record = {"hydra": {"overrides": {"task": ["seed=range(1000000000)"]}, "sweeper": {}}}
    (tmp_path / "multirun.yaml").write_text(json.dumps(record))
    (state,) = run_states([tmp_path])
    assert state.state == "unknown" and "1,000,000,000 values" in state.detail
