"""The sums and choices that a result makes of its phases, by hand."""

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
