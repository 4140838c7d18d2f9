"""The sums and choices that a result makes of its phases, by hand."""

import subprocess
from types import SimpleNamespace

import pytest

from prunebert import result
from prunebert.result import PhaseResult
from prunebert.training.loop import Trained


def phase(name, steps, seconds, evaluating, flips=0, at_once=0):
    history = {"flips": flips, "at_once": at_once, "of": name}
    trained = Trained(steps, seconds, 9, steps, history, seconds_evaluating=evaluating)
    return PhaseResult(SimpleNamespace(name=name), trained, 0.5)


def run_of(*phases):
    return SimpleNamespace(phases=list(phases), seconds_to_first_step=1.23456, started=0.0)


def test_seconds_are_of_all_phases_and_those_of_a_step_without_evaluations():
    """10 s of 20 steps and 4 s of 50; evaluations took 3 s and 2 s. The command took longer than all of them."""
    seconds = result._seconds(run_of(phase("teacher", 20, 10.0, 3.0), phase("prune", 50, 4.0, 2.0)), 70)
    assert (seconds["seconds"], seconds["seconds_per_step"]) == (19.0, pytest.approx(0.2))
    assert seconds["seconds_to_first_step"] == 1.235 and seconds["seconds_overall"] > 0


def test_the_history_is_that_of_the_last_phase_whose_masks_changed_after_its_first_step():
    """A fine-tuning under fixed masks removes at once what its masks lack; that is no change."""
    search, again = phase("search", 5, 1, 1, flips=9, at_once=4), phase("again", 5, 1, 1, flips=7, at_once=6)
    fixed = phase("finetune", 5, 1, 1, flips=6, at_once=6)
    assert result._history(run_of(search, again, fixed))["history"]["of"] == "again"
    assert result._history(run_of(fixed)) == {}


def test_the_commit_is_that_of_the_package_and_dirty_where_the_package_or_conf_is(tmp_path, monkeypatch):
    """Changes beside them do not count. A package that is only below a repository has no commit."""

    def git(*words):
        user = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        return subprocess.run(["git", "-C", tmp_path, *user, *words], capture_output=True, text=True, check=True).stdout

    for name in ("prunebert/__init__.py", "conf/a.yaml", "docs/a.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    monkeypatch.setattr(result, "__file__", str(tmp_path / "prunebert/result.py"))
    git("init", "-q")
    git("add", "docs")
    git("commit", "-qm", "a")
    assert result.git_state() == {"git_commit": None, "git_dirty": None}
    git("add", ".")
    git("commit", "-qm", "b")
    state = {"git_commit": git("rev-parse", "HEAD").strip(), "git_dirty": False}
    (tmp_path / "docs/a.md").write_text("changed")
    assert result.git_state() == state
    (tmp_path / "conf/a.yaml").write_text("changed: 1")
    assert result.git_state() == state | {"git_dirty": True}
