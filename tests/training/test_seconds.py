"""Seconds of a run on a clock by hand: a step takes 1, an evaluation 100, a pause between two starts 10,000."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from prunebert import result, run
from prunebert.fit import Fit
from prunebert.methods.dense import dense
from prunebert.runs.artifacts import Artifacts
from prunebert.system.signals import Request, Stopped
from prunebert.training import loop
from prunebert.training.checkpoints import Checkpoints, Every
from tests.toys import RESULT

FIT = Fit(epochs=1, steps=6, batch_size=4, lr=1e-3, head_lr=1e-3, eval_every=2)


@pytest.fixture
def clock(monkeypatch):
    """Return the clock of loop, run and result. Only a step and an evaluation move it."""
    now = SimpleNamespace(seconds=0.0)
    for module in (loop, run, result):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    evaluate = run.evaluate

    def slow(*arguments):
        now.seconds += 100
        return evaluate(*arguments)

    monkeypatch.setattr(run, "evaluate", slow)
    return now


def phases(net, task, clock, after_step=lambda name, step: None, fit=FIT):
    """Yield two phases of 6 steps each, every one a second long."""
    for name in ("a", "b"):
        (phase,) = dense(net, task, fit=fit, head="linear")

        def loss(out, batch, t, name=name):
            clock.seconds += 1
            after_step(name, round(t * fit.steps))
            return task.loss(out, batch)

        yield replace(phase, name=name, loss=loss)


def start(method, task, model, folder, impl, *, resumed=False, **conditions):
    labels = RESULT | {"identity": "0", "task": "toy", "model": "toy", "sparsity": 0.0}
    conditions = run.Conditions(impl=impl, seed=0, labels=labels, started=-1000.0, **conditions)
    return run.run(method, task, model, Artifacts(folder, resumed=resumed), conditions)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_evaluations_count_once_and_in_no_step(model, task, impl, tmp_path, clock, keep):
    """12 steps, an evaluation after each of 2 phases; those while training are in the whole command only."""
    method = partial(phases, clock=clock, fit=replace(FIT, keep=keep))
    row = start(method, task, model, tmp_path / "run", impl)
    assert {name: phase["seconds"] for name, phase in row["phases"].items()} == {"a": 6, "b": 6}
    assert row["seconds"] == 12 + 200 and row["seconds_per_step"] == 1
    assert row["seconds_to_first_step"] == 1000 + 1  # the command began 1,000 seconds before its run
    while_training = 2 * (3 if keep == "best" else 2)  # after steps 2 and 4, with keep=best after step 6 too
    assert row["seconds_overall"] == 1000 + 12 + 200 + 100 * while_training


def test_seconds_before_a_resume_count_once(model, task, impl, tmp_path, clock):
    """Stopped after step 3 of the second phase, started again 10,000 seconds later."""
    folder, request = tmp_path / "run", Request()
    folder.mkdir()

    def conditions():
        every = Every(seconds=None, steps=None)
        return {"checkpoints": Checkpoints(folder, "0", every, request, model)}

    def stop(name, step):
        request.by = "SIGTERM" if (name, step) == ("b", 3) else None

    with pytest.raises(Stopped):
        start(partial(phases, clock=clock, after_step=stop), task, model, folder, impl, **conditions())
    assert clock.seconds == 6 + 3 + 4 * 100
    clock.seconds, request.by = 10_000, None
    row = start(partial(phases, clock=clock), task, model, folder, impl, resumed=True, **conditions())
    assert clock.seconds == 10_000 + 3 + 2 * 100  # steps 4 to 6, the evaluation after step 4, and that of the end
    assert {name: phase["seconds"] for name, phase in row["phases"].items()} == {"a": 6, "b": 6}
    assert row["seconds"] == 12 + 200 and row["seconds_per_step"] == 1
