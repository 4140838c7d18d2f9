"""Several processes in one directory at once: one complete run, each step once, nobody's files touched."""

import json
import os
import subprocess
import sys
import time

import pytest

from prunebert.runs import artifacts
from tests.runs.test_resume import start


@pytest.mark.slow
@pytest.mark.parametrize("place", ["hydra.run.dir=run", "hydra.run.dir=outputs/2026-01-02/10-00-00"])
def test_starts_at_once_with_a_dry_run_bad_input_and_a_kill(toy, tmp_path, place):
    words = [*toy[:-1], place, "method=magnitude", "fit.steps=60", "checkpoint.steps=10"]
    root = tmp_path / place.partition("=")[2]
    processes = [start(words, tmp_path) for _ in range(4)]
    others = [start([*words, word], tmp_path) for word in ("dry=true", "task.score=nonsense", "fit.lr=-1")]
    while not any(root.glob("checkpoint/moment-*")) and any(p.poll() is None for p in processes):
        time.sleep(0.02)
    owner = max(processes, key=lambda p: cpu_ticks(p.pid))
    owner.kill()
    printed = [p.communicate(timeout=300)[0] for p in [*processes, *others]]
    assert [p.returncode for p in others] == [0, 2, 2], printed
    assert sorted(p.returncode for p in processes) in ([-9, 0, 0, 0], [0, 0, 0, 0]), printed
    row = artifacts.result(root)
    assert row["status"] == "complete" and row["checksum"] == artifacts.checksum(row)
    steps = [json.loads(line)["step"] for line in (root / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == 60
    assert sum("phase finetune ends" in text for text in printed) == 1
    assert not [p for p in root.rglob("*") if p.name.startswith(".") and p.name != ".hydra"]
    assert not (root / "checkpoint").exists()


@pytest.mark.slow
def test_a_run_alone_and_the_same_cell_of_a_sweep_at_once_train_once(toy, tmp_path):
    words = [*toy[:-1], "method=magnitude", "fit.steps=60"]
    processes = [start([*words, "seed=1"], tmp_path), start(["-m", *words, "seed=0,1"], tmp_path)]
    printed = [p.communicate(timeout=300)[0] for p in processes]
    assert [p.returncode for p in processes] == [0, 0], printed
    identities = [artifacts.result(file.parent)["identity"] for file in tmp_path.rglob("result.json")]
    assert len(identities) == len(set(identities)) == 2
    assert sum(text.count("phase finetune ends") for text in printed) == 2
    assert sum(text.count("finished before") for text in printed) == 1


def cpu_ticks(process: int) -> int:
    """The time that a process has worked; that of the run's owner is the longest."""
    try:
        with open(f"/proc/{process}/stat") as stream:
            return sum(int(x) for x in stream.read().rpartition(")")[2].split()[11:13])
    except OSError:
        return 0


@pytest.mark.slow
def test_another_configuration_at_once_waits_and_is_refused(toy, tmp_path):
    words = [*toy, "method=magnitude", "fit.steps=200"]
    first = start(words, tmp_path)
    while not (tmp_path / "run/metrics.jsonl").exists() and first.poll() is None:
        time.sleep(0.02)
    second = start([*words, "seed=1"], tmp_path)
    time.sleep(1)
    printed = [p.communicate(timeout=300)[0] for p in (first, second)]
    assert first.returncode == 0 and second.returncode == 2, printed
    assert artifacts.result(tmp_path / "run")["seed"] == 0 and "another configuration" in printed[1]


def test_stale_locks_are_taken_over_by_one_at_a_time(tmp_path):
    """Many short holders of one lock file, each of which removes it: no two at once."""
    code = (
        "import os, sys, time; from pathlib import Path; from prunebert.runs import claim\n"
        "for _ in range(40):\n"
        "    with claim._locked(Path('x/.lock'), 'k'):\n"
        "        fd = os.open('owner', os.O_CREAT | os.O_EXCL); os.close(fd); time.sleep(0.001); os.unlink('owner')\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [p.communicate(timeout=120)[1] for p in processes]
    assert [p.returncode for p in processes] == [0] * 4, errors
    assert set(os.listdir(tmp_path)) <= {"x"}  # whoever made the folder may have ended before it was empty
    assert not list(tmp_path.glob("x/*"))
