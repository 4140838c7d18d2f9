"""Batches that a thread makes early are the same ones, in the same order; what fails there is told here."""

import itertools
import threading
import time

import pytest
import torch

from prunebert.methods.smp import smp
from prunebert.network.interface import Batch
from prunebert.schedules import Cubic
from prunebert.training import loop as training
from prunebert.training.prefetch import DEPTH, prefetch, prepare_in_thread
from tests.methods.test_phases import SMP
from tests.methods.test_trained_magnitude import play


def batches(count=10**9, broken=None):
    for k in range(count):
        if k == broken:
            raise ValueError(f"batch {k}")
        yield Batch({"input_ids": torch.full((2, 3), k)}, torch.tensor([k, k]), torch.tensor([2 * k, 2 * k + 1]))


def numbers(made):
    return [int(batch.labels[0]) for batch in made]


def threads():
    return [t for t in threading.enumerate() if t.name == "batches"]


def same(batch):
    return batch


def test_all_of_them_in_order():
    assert numbers(prepare_in_thread(batches(23), same)) == list(range(23))
    assert not threads()


def test_what_is_prepared_is_what_comes():
    (made,) = prepare_in_thread(batches(1), lambda batch: batch.to(torch.device("meta")))
    assert made.inputs["input_ids"].device.type == "meta" and made.rows.tolist() == [0, 1]


def test_only_so_many_are_made_early():
    made = []
    early = prepare_in_thread((made.append(b) or b for b in batches()), same)
    next(early)
    time.sleep(0.5)
    assert len(made) <= DEPTH + 2  # one was taken, DEPTH wait, one is in the thread's hand
    early.close()
    assert not threads()


def test_closing_ends_the_thread_though_batches_never_end():
    early = prepare_in_thread(batches(), same)
    assert numbers(itertools.islice(early, 5)) == [0, 1, 2, 3, 4]
    assert threads()
    early.close()
    assert not threads()


def test_an_error_arrives_after_the_batches_before_it():
    early = prepare_in_thread(batches(9, broken=3), same)
    assert numbers(itertools.islice(early, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="batch 3"):
        next(early)
    assert not threads()


def test_on_the_cpu_there_is_no_thread():
    plain = prefetch(batches(7), torch.device("cpu"))
    assert next(plain).labels.tolist() == [0, 0] and not threads()
    assert numbers(plain) == [1, 2, 3, 4, 5, 6]


def test_training_on_batches_made_early_ends_the_same(monkeypatch, net, task, impl):
    """As a GPU has it, on the CPU: smp's scores after some steps, bit for bit; no thread is left."""

    def scores():
        (phase,), _ = play(smp(net, task, **SMP, schedule=Cubic(0.9)), net, impl)
        return next(g.tensors for g in phase.train if g.name == "scores")

    plain = scores()
    used = []
    monkeypatch.setattr(training, "prefetch", lambda made, device: used.append(device) or prepare_in_thread(made, same))
    early = scores()
    assert used and all(torch.equal(plain[n], early[n]) for n in plain) and not threads()
