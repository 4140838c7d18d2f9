"""Real processes that are stopped or killed go on where they were."""

import random
import signal
import time
from functools import partial

import pytest

from tests.methods.test_matrix import EXTRA
from tests.runs.test_resume import assert_same_run, results, start


@pytest.mark.parametrize("name", ["SIGTERM", *(pytest.param(s, marks=pytest.mark.slow) for s in ("SIGUSR1", "SIGINT"))])
def test_a_signal_ends_it_with_a_checkpoint_and_status_75(toy, tmp_path, name):
    words = [*toy, "method=magnitude", "fit.steps=100000", "checkpoint.seconds=1000"]
    process = start(words, tmp_path)
    metrics = tmp_path / "run/metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 75, printed
    assert f"stopped by {name} after step" in printed and "Traceback" not in printed
    assert len(list((tmp_path / "run/checkpoint").glob("moment-*"))) == 1


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130)])
def test_a_signal_before_training_leaves_nothing(toy, tmp_path, name, status):
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell has started in the background does not
    process = start([*toy, "method=magnitude", "fit.steps=100000"], tmp_path, preexec_fn=heeds)
    while process.poll() is None and not (tmp_path / "run").exists():
        time.sleep(0.01)
    time.sleep(0.3)  # it is importing
    process.send_signal(getattr(signal, name))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == status and "Traceback" not in printed, printed
    assert len(printed.strip().splitlines()) == 1 and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["smp", "imp", "tamt", "sparsebert"])
def test_real_processes_killed_at_random_moments(toy, text, tmp_path, method):
    """Five kills of each, after 0 to 4 seconds of training; then to the end. Results as of a run in one piece."""
    draw = random.Random(method)
    steps = ["fit.steps=700", "teacher_fit.steps=500", "mask_fit.steps=500", "checkpoint.seconds=0.4", "sparsity=0.6"]
    words = [*toy, *text, f"method={method}", *EXTRA.get(method, []), *steps, "fit.eval_every=90"]
    printed, _ = start([*words, "hydra.run.dir=whole"], tmp_path).communicate(timeout=300)
    assert (tmp_path / "whole/result.json").exists(), printed
    kills = 0
    while kills < 5:
        process = start(words, tmp_path)
        before = (tmp_path / "run/run.log").stat().st_size if (tmp_path / "run/run.log").exists() else 0
        while process.poll() is None and not (
            (tmp_path / "run/run.log").exists() and (tmp_path / "run/run.log").stat().st_size > before
        ):
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 1.2))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
    printed, _ = start(words, tmp_path).communicate(timeout=300)
    assert kills == 5, "it was done too soon: more steps"
    assert (tmp_path / "run/result.json").exists(), printed
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))
