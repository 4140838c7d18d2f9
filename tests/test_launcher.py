"""hydra/launcher=laptop: several cells at once, one thread each, over all GPUs."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from prunebert.system.impl import Impl
from tests.runs.test_resume import start


@pytest.mark.slow
def test_cells_side_by_side_end_as_in_a_row(prunebert, toy, tmp_path):
    words = ["-m", *[w for w in toy if not w.startswith(("hydra", "impl"))], "method=magnitude,random", "seed=0,1"]
    done = prunebert(*words, "hydra/launcher=laptop", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=both")
    assert done.returncode == 0, done.stdout + done.stderr
    assert prunebert(*words, "impl.threads=1", "hydra.sweep.dir=row").returncode == 0
    rows = {}
    for sweep in ("both", "row"):
        results = [json.loads(f.read_text()) for f in (tmp_path / sweep).rglob("result.json")]
        assert len(results) == 4 and {r["device"] for r in results} == {"cpu, 1 thread"}
        rows[sweep] = {(r["method"], r["seed"]): (r["identity"], r["score"]) for r in results}
    assert rows["both"] == rows["row"] and "4 finished runs" in done.stdout


@pytest.mark.slow
def test_a_cell_that_fails_is_reported_and_the_others_go_on(prunebert, toy, tmp_path):
    words = [w for w in toy if not w.startswith(("hydra", "impl"))]
    words = ["-m", *words, "method=magnitude", "task.score=accuracy,nonsense"]
    done = prunebert(*words, "hydra/launcher=laptop", "hydra.sweep.dir=sweep")
    assert done.returncode == 1 and "1 finished run " in done.stdout and "did not finish" in done.stdout
    (run,) = (tmp_path / "sweep").rglob("result.json")
    assert json.loads(run.read_text())["device"] == "cpu, 1 thread"


@pytest.mark.slow
def test_a_worker_that_is_killed_is_reported_in_one_line_and_the_sweep_goes_on(prunebert, toy, tmp_path):
    words = [w for w in toy if not w.startswith(("hydra", "impl"))]
    words = ["-m", *words, "method=magnitude", "fit.steps=1500", "seed=0,1", "checkpoint.steps=20"]
    words += ["hydra/launcher=laptop", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    process = start(words, tmp_path)
    while process.poll() is None and len({m.parent for m in (tmp_path / "sweep").rglob("moment-*")}) < 2:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [p for p in children if "loky.backend.popen_loky" in Path(f"/proc/{p}/cmdline").read_text()]
    os.kill(int(workers[0]), signal.SIGKILL)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in printed and "unexpectedly terminated" in printed, printed
    assert "2 stale" in prunebert("status", "sweep").stdout
    done = prunebert(*words)
    assert done.returncode == 0 and done.stdout.count("goes on after step") == 2, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "jobs"), [("SIGTERM", 2), ("SIGINT", 2), ("SIGTERM", 1)])
def test_a_signal_to_the_sweep_ends_all_its_cells_with_checkpoints(prunebert, toy, tmp_path, name, jobs):
    words = [w for w in toy if not w.startswith(("hydra", "impl"))]
    words = ["-m", *words, "method=magnitude", "fit.steps=800", "seed=0,1,2", "checkpoint.seconds=1000"]
    words += ["hydra/launcher=laptop", f"hydra.launcher.n_jobs={jobs}", "hydra.sweep.dir=sweep"]
    process = start(words, tmp_path)
    begun: list[Path] = []
    while process.poll() is None and len(begun) < jobs:
        begun = [m for m in (tmp_path / "sweep").rglob("metrics.jsonl") if m.stat().st_size]
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 75 and "Traceback" not in printed, printed
    stopped = re.findall(rf"^[\d:]+ (?:\[seed=\d\] )?stopped by {name} after step", printed, re.MULTILINE)
    assert len(stopped) == jobs, printed
    assert jobs == 1 or f"\nprunebert: stopped by {name}; 0 of 3 cells are finished; go on" in printed
    assert len(list((tmp_path / "sweep").rglob("moment-*"))) == jobs
    assert len([p for p in (tmp_path / "sweep").iterdir() if p.is_dir()]) == jobs, "the others never began"
    done = prunebert(*words)
    assert done.returncode == 0 and done.stdout.count("goes on after step") == jobs, done.stdout + done.stderr
    assert "3 finished runs" in done.stdout


@pytest.mark.parametrize(("launcher", "extra"), [("laptop", "parallel"), ("slurm", "slurm")])
def test_a_launcher_that_is_not_installed_is_named(cli, toy, tmp_path, launcher, extra):
    package = {"laptop": "hydra_joblib_launcher.joblib_launcher", "slurm": "hydra_submitit_launcher.submitit_launcher"}
    missing = f"hydra.launcher._target_=hydra_plugins.{package[launcher]}.Missing"
    words = [w for w in toy if not w.startswith("hydra.run.dir")]
    status, printed = cli("-m", f"hydra/launcher={launcher}", missing, *words, "method=magnitude", "seed=0,1")
    assert status == 2 and printed.strip().splitlines() == [
        f"prunebert: hydra/launcher: it needs an extra: pip install 'prunebert[{extra}]'"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("cell", "index"), [(None, None), ("0", 0), ("1", 1), ("5", 1)])
def test_cells_share_out_the_gpus(monkeypatch, cell, index):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    if cell is None:
        monkeypatch.delenv("PRUNEBERT_CELL", raising=False)
    else:
        monkeypatch.setenv("PRUNEBERT_CELL", cell)
    device = Impl(device="auto", precision="fp32", compile=False, threads=None).torch_device
    assert device.type == "cuda" and device.index == index
    assert Impl(device="cpu", precision="fp32", compile=False, threads=None).torch_device.type == "cpu"


@pytest.mark.parametrize(("environment", "setting", "threads"), [("1", None, 1), ("2,4", None, 2), ("1", 2, 2)])
def test_threads_of_the_environment_or_the_setting(monkeypatch, environment, setting, threads):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", environment)
    Impl(device="cpu", precision="fp32", compile=False, threads=setting).start()
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
