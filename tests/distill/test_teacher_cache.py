"""A teacher that is asked once: the same words as when it is asked at every step, from a file that runs share."""

import re
from functools import partial

import datasets
import pytest
import torch
from safetensors.torch import load_file

from prunebert.distill import logits, teacher_cache
from prunebert.distill.teacher import frozen
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.methods.smp import smp
from prunebert.schedules import Cubic
from tests.methods.test_phases import SMP
from tests.methods.test_trained_magnitude import play

FIT = Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    return tmp_path / "prunebert"


class Counting:
    def __init__(self, ask):
        self.ask, self.rows = ask, 0

    def __call__(self, batch, needs=()):
        self.rows += len(batch.rows)
        return self.ask(batch, needs)


def of(net, task):
    """A teacher, and what is remembered of it."""
    key = net.add_head(task.form(), "linear")
    theta = net.snapshot(key)
    ask = Counting(frozen(net, key, theta))
    return ask, teacher_cache.with_cached_logits(ask, net, task, theta)


def files(folder):
    return sorted(p for p in folder.iterdir() if p.suffix == ".safetensors")


def test_every_row_is_answered_as_by_the_teacher_itself(net, task):
    ask, recall = of(net, task)
    assert ask.rows == task.train_rows
    batches = task.batches(8, seed=3)
    for _ in range(4):
        batch = next(batches)
        own = frozen(net, "toy_linear", None)(batch, ())
        assert torch.allclose(recall(batch, ()).logits, own.logits, atol=1e-6)


def test_spans_are_answered_token_by_token(net, spans):
    ask, recall = of(net, spans)
    batch = next(spans.batches(6, seed=0))
    own, real = ask(batch).logits, batch.inputs["attention_mask"].bool()
    found = recall(batch).logits
    assert found.shape == own.shape and (~real).any()
    assert torch.allclose(found[real], own[real], atol=1e-6) and not found[~real].any()


def test_the_next_run_asks_nothing(net, task, cache):
    of(net, task)
    (file,) = files(cache)
    before = file.stat().st_mtime_ns
    ask, recall = of(net, task)
    assert ask.rows == 0 and file.stat().st_mtime_ns == before
    assert torch.equal(recall(next(task.batches(5, 0))).logits, recall(next(task.batches(5, 0))).logits)


def test_another_teacher_has_a_file_of_its_own(net, task, cache):
    of(net, task)
    with torch.no_grad():
        next(net.heads["toy_linear"].parameters()).add_(1)
    ask, _ = of(net, task)
    assert ask.rows == task.train_rows and len(files(cache)) == 2


@pytest.mark.parametrize("harm", [lambda b: b[: len(b) // 2], lambda b: b[:-3] + b"\x01\x02\x03", lambda b: b""])
def test_a_damaged_file_is_made_anew(net, task, cache, harm, caplog):
    of(net, task)
    (file,) = files(cache)
    content = file.read_bytes()
    (cache / f".{file.stem}.1").write_bytes(b"left by one that died")
    file.write_bytes(harm(content))
    ask, _ = of(net, task)
    assert ask.rows == task.train_rows and re.search(r"is damaged \(.+\) and is made again", caplog.text)
    assert load_file(file)["logits"].shape == (task.train_rows, task.outputs) and file.read_bytes() == content
    assert not list(cache.glob(".answers*"))


def test_a_folder_that_cannot_be_written_is_told(net, task, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file")
    with pytest.raises(BadInput, match=f"HF_DATASETS_CACHE={tmp_path / 'file'} cannot be written to"):
        of(net, task)


def test_masked_words_are_no_rows_to_remember(net, task):
    class Words:
        masked_lm = True

    with pytest.raises(BadInput, match="masked-LM tasks hide other words every time"):
        teacher_cache.with_cached_logits(None, net, Words(), {})


def test_only_logits_are_remembered(net, task):
    _, recall = of(net, task)
    with pytest.raises(BadInput, match="only a teacher's logits"):
        recall(next(task.batches(4, 0)), ("hidden",))


def test_a_run_learns_the_same_of_both(net, task, impl):
    """Scores after a few distilled steps, from a live teacher and from its answers."""

    def scores(cached):
        distill = partial(logits, fit=FIT, weight=0.5, temperature=2.0, teacher="pretrained", cached=cached)
        phases, lines = play(smp(net, task, **SMP | {"distill": distill, "schedule": Cubic(0.9)}), net, impl)
        return phases[-1].train[0].tensors, [line["loss_kd_logits"] for line in lines if "loss_kd_logits" in line]

    (live, losses), (read, again) = scores(False), scores(True)
    assert losses == pytest.approx(again, rel=1e-4) and len(set(losses)) > 1
    assert all(torch.allclose(live[n], read[n], atol=1e-4) for n in live)
