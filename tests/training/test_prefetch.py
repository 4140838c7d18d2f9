"""A thread makes the same batches in the same order, and its errors reach the consumer."""

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


def numbers(batches):
    return [int(batch.labels[0]) for batch in batches]


def threads():
    return [t for t in threading.enumerate() if t.name == "batches"]


def unchanged(batch):
    return batch


def test_all_of_them_in_order():
    assert numbers(prepare_in_thread(batches(23), unchanged)) == list(range(23))
    assert not threads()


def test_prepared_batches_are_yielded():
    (prepared,) = prepare_in_thread(batches(1), lambda batch: batch.to(torch.device("meta")))
    assert prepared.inputs["input_ids"].device.type == "meta" and prepared.rows.tolist() == [0, 1]


def test_the_number_of_batches_in_advance_is_limited():
    made_batches = []
    prefetched = prepare_in_thread((made_batches.append(b) or b for b in batches()), unchanged)
    next(prefetched)
    time.sleep(0.5)
    assert len(made_batches) <= DEPTH + 2  # one was taken, DEPTH are queued, the thread holds one
    prefetched.close()
    assert not threads()


def test_closing_ends_the_thread_though_batches_never_end():
    prefetched = prepare_in_thread(batches(), unchanged)
    assert numbers(itertools.islice(prefetched, 5)) == [0, 1, 2, 3, 4]
    assert threads()
    prefetched.close()
    assert not threads()


def test_an_error_arrives_after_the_batches_before_it():
    prefetched = prepare_in_thread(batches(9, broken=3), unchanged)
    assert numbers(itertools.islice(prefetched, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="batch 3"):
        next(prefetched)
    assert not threads()


def test_on_the_cpu_there_is_no_thread():
    plain = prefetch(batches(7), torch.device("cpu"))
    assert next(plain).labels.tolist() == [0, 0] and not threads()
    assert numbers(plain) == [1, 2, 3, 4, 5, 6]


def test_training_on_prefetched_batches_ends_with_the_same_scores(monkeypatch, net, task, impl):
    """The GPU's prefetching on the CPU: smp's scores after some steps are equal bit for bit, and no thread remains."""

    def scores():
        (phase,), _ = play(smp(net, task, **SMP, schedule=Cubic(0.9)), net, impl)
        return next(g.tensors for g in phase.train if g.name == "scores")

    scores_without_thread = scores()
    devices = []
    monkeypatch.setattr(
        training, "prefetch", lambda batches, device: devices.append(device) or prepare_in_thread(batches, unchanged)
    )
    scores_with_thread = scores()
    assert (
        devices
        and all(torch.equal(scores_without_thread[n], scores_with_thread[n]) for n in scores_without_thread)
        and not threads()
    )
