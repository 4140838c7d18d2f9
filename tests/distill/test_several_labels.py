"""Distillation of several labels per text: each label is a distribution of its own, by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit

from prunebert import distill
from prunebert.distill.teacher_cache import logits_of_all_rows
from prunebert.network.interface import Outputs
from prunebert.tasks.batching import Rows
from tests.distill.test_losses import attending, taught

SEVERAL = SimpleNamespace(regression=False, span=False, multilabel=True)
STUDENT, TEACHER = [[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], [[2.0, 0.0, 0.5], [-1.0, 1.0, -4.0]]


def binary_kl(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def pairs(temperature):
    """Return the (teacher's, student's) probability of each label of each row."""
    both = zip(np.ravel(TEACHER), np.ravel(STUDENT), strict=True)
    return [(expit(t / temperature), expit(s / temperature)) for t, s in both]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_logits_are_the_mean_over_labels_of_binary_kl(monkeypatch, temperature):
    settings = {"weight": 0.25, "temperature": temperature}
    teach = taught(monkeypatch, distill.logits, Outputs(torch.tensor(TEACHER)), SEVERAL, **settings)
    terms = teach(Outputs(torch.tensor(STUDENT)), attending([1]), {"task": torch.tensor(2.0)})
    kl = sum(binary_kl(p, q) for p, q in pairs(temperature)) / 6
    assert terms["kd_logits"].item() == pytest.approx(0.25 * temperature**2 * kl, rel=1e-5)
    assert terms["task"].item() == pytest.approx(0.75 * 2.0)


def test_tinyberts_cross_entropy_is_a_mean_over_labels_and_their_two_classes(monkeypatch):
    h = (torch.zeros(2, 1, 2),)
    target, student = (Outputs(torch.tensor(x), h, h) for x in (TEACHER, STUDENT))
    settings = {"attention": 1.0, "hidden": 1.0, "logits": 3.0, "temperature": 1.0}
    teach = taught(monkeypatch, distill.tinybert, target, SEVERAL, **settings)
    terms = teach(student, attending([1]), {})
    entropy = sum(-p * math.log(q) - (1 - p) * math.log(1 - q) for p, q in pairs(1.0)) / 12
    assert terms["kd_logits"].item() == pytest.approx(3.0 * entropy, rel=1e-5)


def test_a_cached_teacher_stores_every_label_of_a_row():
    ids, mask = np.arange(6), np.ones(6, np.int64)
    rows = Rows({"input_ids": ids, "attention_mask": mask}, np.array([0, 1, 6]), torch.zeros(2, 3))
    padding, table = {"input_ids": 0, "attention_mask": 0}, torch.tensor(STUDENT)
    task = SimpleNamespace(span=False, multilabel=True, eval_batches=lambda split, n: rows.by_length(n, padding))

    def teach(batch, needs):
        return Outputs(table[batch.rows])

    stored = logits_of_all_rows(teach, task, torch.device("cpu"))
    assert torch.equal(stored["logits"][stored["first"]], table) and stored["length"].tolist() == [1, 1]
