"""A sweep on a real Slurm. `tests/slurm.sh pytest -m slurm` starts one; without it these are skipped."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runs.test_resume import assert_same_run, results, start

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif("OWN_SLURM" not in os.environ, reason="these cancel all jobs: tests/slurm.sh pytest -m slurm"),
]
ARRAY = Path(__file__).parent.parent / "scripts/array.sh"


def slurm(*words: str, **environment: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(what, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, slurm("squeue")
        time.sleep(0.1)


def lines(run: Path) -> int:
    return len((run / "metrics.jsonl").read_bytes().splitlines()) if (run / "metrics.jsonl").exists() else 0


@pytest.fixture(autouse=True)
def empty_queue():
    yield
    subprocess.run(["scancel", "--full", *slurm("squeue", "-h", "-o", "%F").split()], check=False)
    wait_for(lambda: not slurm("squeue", "-h"))


@pytest.fixture
def words(toy):
    longer = ["fit.steps=500", "checkpoint.seconds=1000", "sparsity=0.6"]
    return [w for w in toy if not w.startswith("hydra")] + longer


@pytest.fixture
def whole(words, tmp_path):
    """What the cell smp, seed 1 comes to in one piece."""

    def call() -> dict:
        printed, _ = start([*words, "method=smp", "seed=1", "hydra.run.dir=whole"], tmp_path).communicate(timeout=120)
        assert (tmp_path / "whole/result.json").exists(), printed
        return results(tmp_path / "whole")

    return call


def array() -> str:
    """The job array in the queue."""
    (number,) = set(slurm("squeue", "-h", "-o", "%F").split())
    return number


def begins_again(task: str, run: Path) -> None:
    """Slurm keeps who was requeued waiting, two minutes where nothing is configured, for 8 s with tests/slurm.sh."""
    wait_for(lambda: slurm("squeue", "-h", "-j", task, "-o", "%t").strip() == "PD")
    wait_for(lambda: "goes on after step" in (run / "run.log").read_text(), 150)


@pytest.mark.parametrize("how", [["scontrol", "requeue"], ["scancel", "--signal=USR2"]])
def test_a_sweep_of_which_a_task_is_requeued_ends_as_without(words, whole, tmp_path, how):
    """scontrol requeue: SIGTERM, as at a preemption. USR2: what submitit has Slurm send before the time is over."""
    job = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=30", "hydra.sweep.dir=cluster"]
    process = start(["-m", "hydra/launcher=slurm", *job, *words, "method=smp", "seed=0,1"], tmp_path)

    def cell() -> list[Path]:
        return [p for p in tmp_path.glob("cluster/*seed-1") if lines(p)]

    wait_for(cell)
    task = f"{array()}_1"
    slurm(*how, task)
    begins_again(task, *cell())
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0 and "2 finished runs" in printed and "#1 : " in printed, printed
    (run,) = cell()
    log = (run / "run.log").read_text()
    assert f"stopped by SIG{'TERM' if 'requeue' in how else 'USR2'} after step" in log and "goes on after step" in log
    assert_same_run(whole(), results(run))


@pytest.mark.parametrize("how", [["scontrol", "requeue"], ["scancel", "--signal=USR1"]])
def test_the_array_script_goes_on_too(words, whole, tmp_path, how):
    """USR1: what the script has Slurm send before the time is over."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    grid = {"METHODS": "smp", "SPARSITIES": "0.6", "SEEDS": "0 1", "PATH": path, "OMP_NUM_THREADS": "1"}
    slurm(str(ARRAY), str(tmp_path / "runs"), *words, **grid)
    run = tmp_path / "runs/smp-0.6-1"
    wait_for(lambda: lines(run))
    task = f"{array()}_1"
    slurm(*how, task)
    begins_again(task, run)
    wait_for(lambda: not slurm("squeue", "-h"))
    assert len(list((tmp_path / "runs").rglob("result.json"))) == 2
    log = (run / "run.log").read_text()
    assert f"stopped by SIG{'TERM' if 'requeue' in how else 'USR1'} after step" in log and "goes on after step" in log
    assert_same_run(whole(), results(run))


def test_what_slurm_refuses_is_told_in_one_line(prunebert, words, tmp_path):
    done = prunebert("-m", "hydra/launcher=slurm", "hydra.launcher.partition=none", "hydra.sweep.dir=cluster", *words)
    assert done.returncode == 1 and "Invalid partition name" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and not (tmp_path / "cluster").exists()
