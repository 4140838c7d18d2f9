"""Real processes that are stopped or killed go on where they were."""

import random
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from tests.methods.test_matrix import EXTRA
from tests.runs.test_resume import assert_same_run, results, start
from tests.toys import after_loading

HEEDS = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell starts in the background ignores it


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
    process = start([*toy, "method=magnitude", "fit.steps=100000"], tmp_path, preexec_fn=HEEDS)
    while process.poll() is None and not (tmp_path / "run").exists():
        time.sleep(0.01)
    time.sleep(0.3)  # it is importing
    process.send_signal(getattr(signal, name))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == status and "Traceback" not in printed, printed
    assert len(after_loading(printed)) == 1 and not (tmp_path / "run").exists()


def test_ctrl_c_in_the_first_moments_is_one_line(tmp_path):
    """The interpreter's own start is over when the handlers' module is being read."""
    code = (
        "import os, signal, sys; sys.argv = ['prunebert', *sys.argv[1:]]; from prunebert import __main__ as entry\n"
        "class Now:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'hydra': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Now()); entry.main()"
    )
    for words in (["method=magnitude"], ["info", "run"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, preexec_fn=HEEDS
        )
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "prunebert: stopped by SIGINT\n")
    assert not list(tmp_path.iterdir())


def test_a_signal_at_the_end_changes_no_status(tmp_path):
    """Python gives its handlers up before it has ended; a signal then counted with the system's own status."""
    code = (
        "import atexit, os, signal; from prunebert.system import signals; signals.leave_at_once(); signals.ignore()\n"
    )
    code += "import ctypes; kill = ctypes.PyDLL(None).kill\n"
    code += "class Last:\n    def __del__(self, kill=kill, me=os.getpid()): kill(me, 2); kill(me, 15); kill(me, 10)\n"
    code += "import builtins; builtins.last = Last(); raise SystemExit(75)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, preexec_fn=HEEDS)
    assert (done.returncode, done.stderr) == (75, "")


def test_what_is_half_written_is_removed_by_a_signal(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from prunebert.system import signals\n"
        "from prunebert.runs import files; signals.leave_at_once()\n"
        "with files.new_folder(Path('out/export')) as folder, files.replacing(folder / 'a') as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (75, "prunebert: stopped by SIGTERM\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gap", [1.2, *(pytest.param(g, marks=pytest.mark.slow) for g in (0.1, 0.5, 3.0))])
def test_a_second_ctrl_c_ends_with_75_too(toy, tmp_path, gap):
    words = [*toy, "method=magnitude", "fit.steps=100000", "checkpoint.seconds=1000"]
    process = start(words, tmp_path, preexec_fn=HEEDS)
    metrics = tmp_path / "run/metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    time.sleep(gap)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 75 and "Traceback" not in printed, printed
    assert not list((tmp_path / "run").glob(".*lock"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_at_any_moment_ends_with_its_status_and_loses_nothing(toy, tmp_path, name):
    """20 moments of a run, from its first instant to its last; then the run goes on to the same bytes."""
    words = [*toy, "method=magnitude", "fit.steps=300", "checkpoint.seconds=1000"]
    began = time.monotonic()
    assert start([*words, "hydra.run.dir=whole"], tmp_path).communicate(timeout=300)
    length = time.monotonic() - began
    statuses = set()
    for moment in range(20):
        process = start(words, tmp_path, preexec_fn=HEEDS)
        time.sleep(0.3 + moment / 20 * length)
        process.send_signal(getattr(signal, name))
        printed, _ = process.communicate(timeout=60)
        statuses.add(process.returncode)
        assert process.returncode in (0, 75, 130) and "Traceback" not in printed, (moment, printed)
        assert process.returncode != 130 or name == "SIGINT"
        if process.returncode == 0:
            break
    assert statuses - {0}
    assert start(words, tmp_path).communicate(timeout=300)
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


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
