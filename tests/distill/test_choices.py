"""Distillation of a task with choices: every question is one distribution over its choices."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from prunebert.distill import cosine_distance, logits, teacher_cache
from prunebert.distill.teacher import frozen
from prunebert.fit import Fit
from prunebert.network.interface import Batch, Outputs
from prunebert.system import distributed
from prunebert.tasks.text import text_task
from prunebert.training.step import share
from tests.toys import TASK

FIT = Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3)


@pytest.fixture
def choosing(model, data_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    files = {"train": str(data_folder / "train.csv"), "eval": str(data_folder / "eval.csv")}
    settings = TASK | {"kind": "choices", "choices": ["second", "third"], "label": "position"}
    settings |= {"label_words": None, "metric": None}
    return text_task(tokenizer=model.tokenizer, positions=64, **settings, **files)


def test_cached_logits_are_the_teachers_own(net, choosing):
    net.eval()
    key = net.add_head(choosing.form(), "linear")
    teach = frozen(net, key, net.snapshot(key))
    recall = teacher_cache.with_cached_logits(teach, net, choosing, net.snapshot(key))
    batches = choosing.batches(8, seed=3)
    for _ in range(3):
        batch = next(batches)
        assert recall(batch, ()).logits.shape == (8, 2)
        torch.testing.assert_close(recall(batch, ()).logits, teach(batch, ()).logits, atol=1e-6, rtol=0)


def test_the_loss_is_the_divergence_of_the_choices_mean_over_questions(net, choosing, monkeypatch):
    numbers = np.random.default_rng(0).normal(size=(2, 8, 2))
    batch = next(choosing.batches(8, seed=0))
    monkeypatch.setattr("prunebert.distill.teacher_of", lambda *a, **k: iter_of(Outputs(torch.tensor(numbers[1]))))
    making = logits(net, choosing, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    try:
        while True:
            next(making)
    except StopIteration as end:
        teaching = end.value
    found = teaching.terms(Outputs(torch.tensor(numbers[0])), batch, {"task": torch.tensor(1.0)})
    p, q = softmax(numbers[1] / 2, axis=1), log_softmax(numbers[0] / 2, axis=1)
    expected = 0.5 * 4 * (p * (np.log(p) - q)).sum() / 8
    assert found["kd_logits"].item() == pytest.approx(expected, rel=1e-5) and found["task"] == 0.5


def iter_of(outputs):
    """A teacher without phases that always gives these outputs."""
    yield from ()
    return lambda batch, needs: outputs


def test_hidden_states_are_compared_over_the_tokens_of_all_choices():
    """Two questions of two choices: of seven tokens one turns around, and pads do not count."""
    mask = torch.tensor([[1, 1], [1, 1], [1, 0], [1, 1]])
    batch = Batch({"attention_mask": mask}, torch.zeros(2), torch.arange(2))
    h = torch.ones(4, 2, 3)
    turned = h.clone()
    turned[3, 0] *= -1
    turned[2, 1] *= -1  # a pad
    distance = cosine_distance(Outputs(h, (h, h)), Outputs(h, (h, turned)), batch)
    assert distance.item() == pytest.approx(2 / 7)


def test_a_rank_takes_whole_questions(monkeypatch):
    monkeypatch.setattr(distributed, "COUNT", 2)
    inputs = {"input_ids": torch.arange(12).view(6, 2)}
    batch = Batch(inputs, torch.tensor([1, 0, 1]), torch.tensor([7, 8, 9]))
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "RANK", rank)
        local, fraction = share(batch)
        parts.append((local.inputs["input_ids"].tolist(), local.labels.tolist(), local.rows.tolist(), fraction))
    assert parts[0] == ([[0, 1], [2, 3], [8, 9], [10, 11]], [1, 1], [7, 9], 2 / 3)
    assert parts[1] == ([[4, 5], [6, 7]], [0], [8], 1 / 3)
