"""Runs share a teacher only where each would have fine-tuned the same one by itself."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from prunebert.distill.teacher import shared_file
from prunebert.fit import Fit
from prunebert.tasks.corpus import corpus
from prunebert.tasks.mlm import mlm_task

FIT = Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3)


@pytest.fixture
def name(net):
    """Return a function that gives the name of the file of a task's shared teacher."""
    return lambda task, fit=FIT: shared_file(net, task, "toy_linear", fit, Path("teachers")).name


def test_masked_lm_of_another_rate_has_a_teacher_of_its_own(model, tmp_path, name):
    (tmp_path / "a.txt").write_text("a dull plot and a bright scene it was not bad\n" * 40)
    lines = corpus(name="own", file=str(tmp_path / "a.txt"), holdout=0.2, hub=None, package=None, text="text")
    make = partial(mlm_task, tokenizer=model.tokenizer, positions=64, name="mlm", corpus=lambda: lines, block=16)
    assert name(make(rate=0.15)) == name(make(rate=0.15)) != name(make(rate=0.5))


def test_the_metric_counts_only_where_the_best_step_is_kept(task, name):
    best = replace(FIT, keep="best", eval_every=1)
    other = replace(task, metric="prunebert.metrics:F1")
    assert name(task) == name(other) and name(task, best) != name(other, best) != name(other)


def test_a_task_without_settings_of_its_own_has_a_name(task, name):
    """A task of the user's may be any object of the protocol."""

    class Bare:
        __slots__ = ()
        name, facts, form = "toy", task.facts, task.form

    assert name(Bare()).endswith(".safetensors")
