"""How `prunebert bench` times: in turn, within the limit, and with an interval for the median."""

import numpy as np
import pytest
import torch

from prunebert.commands import bench_measure


class Toy(torch.nn.Module):
    """A model that returns its own number for each token."""

    def __init__(self, number):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((number,), float(number)))
        self.number = number

    def forward(self, input_ids):
        return (self.weight[0] * torch.ones_like(input_ids),)


IDS = torch.arange(28).view(4, 7)


@pytest.fixture
def timed(monkeypatch):
    """Return a function that measures three toys. Every call takes as many seconds as its model's number."""

    def call(repeats, seconds, **options):
        clock, order = [0.0], []

        def time(model, ids, device):
            order.append(model.number)
            clock[0] += model.number
            return float(model.number)

        monkeypatch.setattr(bench_measure, "_time", time)
        monkeypatch.setattr(bench_measure.time, "perf_counter", lambda: clock[0])
        models = {"dense": Toy(4), "zeros": Toy(3), "csr": Toy(1)}
        return bench_measure.measure(models, IDS, repeats, seconds, **options), order

    return call


def test_every_repetition_times_each_model_in_an_order_of_its_own(timed):
    timing, order = timed(200, 1e9)
    rounds = [tuple(order[i : i + 4]) for i in range(0, 800, 4)]
    assert {tuple(sorted(each)) for each in rounds} == {(1, 3, 4, 4)}  # dense is timed twice
    follows = [order[i + 1] for i in range(799) if order[i] == 3]
    assert all(follows.count(number) > 20 for number in (1, 4))  # no model always has the same one before it
    assert timing["repetitions"] == 200


def test_the_numbers_are_those_of_the_clock(timed):
    timing, _ = timed(6, 1e9)
    numbers = {name: (row["bytes"], row["output_differs_by"]) for name, row in timing["variants"].items()}
    assert numbers == {"dense": (16, 1.0), "zeros": (12, 0.0), "csr": (4, 2.0)}  # from zeros
    assert timing["variants"]["zeros"]["texts_per_second"] == pytest.approx(4 / 3)
    assert timing["variants"]["csr"]["times_dense"] == [0.25, 0.25, 0.25]
    assert timing["best_dense"] == "zeros" and timing["noise"] == [1, 1, 1]
    assert timing["variants"]["csr"]["times_best_dense"] == pytest.approx([1 / 3] * 3)
    assert timed(6, 1e9, dense=("dense", "csr", "bf16"))[0]["best_dense"] == "csr"  # bf16 is not timed


def test_labels_that_differ_from_those_of_zeros_are_counted(timed):
    variants = timed(5, 0, labels=lambda output: output[:, :2] > 3.5)[0]["variants"]
    found = {name: (row["same_labels"], row["labels"]) for name, row in variants.items()}
    assert found == {"dense": (0, 8), "zeros": (8, 8), "csr": (8, 8)}  # 4 is above 3.5; 3 and 1 are not
    assert "labels" not in timed(5, 0)[0]["variants"]["csr"]


@pytest.mark.parametrize(("repeats", "seconds", "done"), [(50, 75, 7), (50, 0, 5), (6, 1e9, 6), (6, 0, 5)])
def test_time_ends_the_repetitions_after_the_fifth(timed, repeats, seconds, done):
    """A repetition takes 12 seconds. The limit is looked at before each."""
    assert timed(repeats, seconds)[0]["repetitions"] == done


def test_the_interval_of_a_median_is_that_of_its_order_statistics():
    """Of 101 values, the 95 % interval of the median is about from the 41st to the 61st (binomial, 50.5 ± 9.8)."""
    median, low, high = bench_measure.median_interval(np.arange(1.0, 102.0))
    assert median == 51 and low == pytest.approx(41, abs=2) and high == pytest.approx(61, abs=2)


def test_percentiles_are_the_50th_90th_and_99th(monkeypatch):
    numbers = iter(np.repeat(np.arange(1.0, 101.0), 3))
    monkeypatch.setattr(bench_measure, "_time", lambda *_: next(numbers))
    row = bench_measure.measure({"dense": Toy(1), "zeros": Toy(1)}, IDS, 100, 1e9)["variants"]["dense"]
    expected = {f"p{q}_ms": 1e3 * (1 + 0.99 * q) for q in (50, 90, 99)}  # of 1 … 100, linear between two
    assert {key: row[key] for key in expected} == pytest.approx(expected)
