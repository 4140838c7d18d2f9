"""Cached logits: those of the teacher itself, from a file that runs share."""

import re
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from prunebert.distill import logits, teacher_cache
from prunebert.distill.teacher import frozen
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.methods.smp import smp
from prunebert.schedules import Cubic
from prunebert.tasks.text import text_task
from tests.methods.test_phases import SMP
from tests.methods.test_trained_magnitude import play
from tests.toys import TASK

FIT = Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    return tmp_path / "prunebert"


class Counting:
    def __init__(self, teach):
        self.teach, self.rows = teach, 0

    def __call__(self, batch, needs=()):
        self.rows += len(batch.rows)
        return self.teach(batch, needs)


def counted_and_cached(net, task):
    """A teacher that counts the rows it sees, and its cached twin."""
    key = net.add_head(task.form(), "linear")
    theta = net.snapshot(key)
    counting = Counting(frozen(net, key, theta))
    return counting, teacher_cache.with_cached_logits(counting, net, task, theta)


def tensor_files(folder):
    return sorted(p for p in folder.iterdir() if p.suffix == ".safetensors")


def test_every_row_has_the_teachers_own_logits(net, task):
    counting, cached_teacher = counted_and_cached(net, task)
    assert counting.rows == task.train_rows
    batches = task.batches(8, seed=3)
    for _ in range(4):
        batch = next(batches)
        outputs = frozen(net, "toy_linear", None)(batch, ())
        assert torch.allclose(cached_teacher(batch, ()).logits, outputs.logits, atol=1e-6)


def test_spans_have_logits_for_every_token(net, spans):
    counting, cached_teacher = counted_and_cached(net, spans)
    batch = next(spans.batches(6, seed=0))
    logits, real = counting(batch).logits, batch.inputs["attention_mask"].bool()
    cached_logits = cached_teacher(batch).logits
    assert cached_logits.shape == logits.shape and (~real).any()
    assert torch.allclose(cached_logits[real], logits[real], atol=1e-6) and not cached_logits[~real].any()


def test_labels_of_words_have_logits_for_every_token(net, model, tmp_path):
    (tmp_path / "train.conll").write_text("the O\ngoodbad B-X\n\nfilm O\n\nwas O\nit B-X\nno O\nplot O\n")
    settings = TASK | {"kind": "tokens", "text": 0, "label": 1, "label_words": None, "score": "f1", "metric": None}
    file = str(tmp_path / "train.conll")
    words = text_task(tokenizer=model.tokenizer, positions=64, train=file, eval=file, **settings)
    counting, cached_teacher = counted_and_cached(net, words)
    batch = next(words.batches(3, seed=0))
    logits, real = counting(batch).logits, batch.inputs["attention_mask"].bool()
    assert (~real).any() and logits.shape[2] == 2
    assert torch.allclose(cached_teacher(batch).logits[real], logits[real], atol=1e-6)


def test_the_next_run_does_not_run_the_teacher(net, task, cache):
    counted_and_cached(net, task)
    (file,) = tensor_files(cache)
    before = file.stat().st_mtime_ns
    counting, cached_teacher = counted_and_cached(net, task)
    assert counting.rows == 0 and file.stat().st_mtime_ns == before
    assert torch.equal(cached_teacher(next(task.batches(5, 0))).logits, cached_teacher(next(task.batches(5, 0))).logits)


def test_another_teacher_has_a_file_of_its_own(net, task, cache, monkeypatch):
    counted_and_cached(net, task)
    with torch.no_grad():
        next(net.heads["toy_linear"].parameters()).add_(1)
    counting, _ = counted_and_cached(net, task)
    assert counting.rows == task.train_rows and len(tensor_files(cache)) == 2
    counted_and_cached(net, replace(task, pad_to="max_length"))  # its logits differ by rounding
    assert len(tensor_files(cache)) == 3
    monkeypatch.setattr(type(net.model), "architecture", lambda model: {"num_attention_heads": 2})
    counted_and_cached(net, task)  # equal weights, and other logits
    monkeypatch.setattr(type(task), "facts", lambda task: {"fingerprint": {"train": "other rows"}})
    counted_and_cached(net, task)
    assert len(tensor_files(cache)) == 5


@pytest.mark.parametrize("harm", [lambda b: b[: len(b) // 2], lambda b: b[:-3] + b"\x01\x02\x03", lambda b: b""])
def test_a_damaged_file_is_made_again(net, task, cache, harm, caplog):
    counted_and_cached(net, task)
    (file,) = tensor_files(cache)
    content = file.read_bytes()
    (cache / f".{file.stem}.1").write_bytes(b"left by one that died")
    file.write_bytes(harm(content))
    counting, _ = counted_and_cached(net, task)
    assert counting.rows == task.train_rows and re.search(r"is damaged \(.+\) and is made again", caplog.text)
    assert load_file(file)["logits"].shape == (task.train_rows, task.outputs) and file.read_bytes() == content
    assert not list(cache.glob(".answers*"))


def test_a_folder_that_cannot_be_written_is_refused(net, task, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match=f"HF_DATASETS_CACHE={tmp_path / 'file'} cannot be written to"):
        counted_and_cached(net, task)


def test_masked_lm_is_refused(net, task):
    class Words:
        masked_lm = True

    with pytest.raises(BadInput, match="masked-LM tasks hide other words every time"):
        teacher_cache.with_cached_logits(None, net, Words(), {})


def test_only_logits_are_cached(net, task):
    _, cached_teacher = counted_and_cached(net, task)
    with pytest.raises(BadInput, match="only a teacher's logits"):
        cached_teacher(next(task.batches(4, 0)), ("hidden",))


def test_a_run_learns_the_same_from_both(net, task, impl):
    """Compare the scores after a few distilled steps, from a live teacher and from cached logits."""

    def scores(cached):
        distill = partial(logits, fit=FIT, weight=0.5, temperature=2.0, teacher="pretrained", cached=cached)
        phases, lines = play(smp(net, task, **SMP | {"distill": distill, "schedule": Cubic(0.9)}), net, impl)
        return phases[-1].train[0].tensors, [line["loss_kd_logits"] for line in lines if "loss_kd_logits" in line]

    (live, losses), (read, again) = scores(False), scores(True)
    assert losses == pytest.approx(again, rel=1e-4) and len(set(losses)) > 1
    assert all(torch.allclose(live[n], read[n], atol=1e-4) for n in live)
