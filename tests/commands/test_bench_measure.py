"""How `prunebert bench` times: in turn, within the limit, and with an interval for the median."""

import numpy as np
import pytest
import torch

from prunebert.commands import bench


class Toy(torch.nn.Module):
    """A model that returns its own number for each token."""

    def __init__(self, number):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((number,), float(number)))
        self.config = type("Config", (), {"vocab_size": 9})()
        self.number = number

    def forward(self, input_ids, attention_mask):
        return (self.weight[0] * attention_mask,)


@pytest.fixture
def timed(monkeypatch):
    """Return a function that measures three toys. Every call takes as many seconds as its model's number."""

    def call(repeats, seconds):
        clock, order = [0.0], []

        def time(model, inputs, device):
            order.append(model.number)
            clock[0] += model.number
            return float(model.number)

        monkeypatch.setattr(bench, "_time", time)
        monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
        models = {"dense": Toy(2), "zeros": Toy(3), "csr": Toy(5)}
        return bench.measure(models, 4, 7, repeats, seconds), order

    return call


def test_the_variants_take_turns_in_being_first(timed):
    timing, order = timed(6, 1e9)
    assert order[:9] == [2, 3, 5, 3, 5, 2, 5, 2, 3] and len(order) == 18
    assert (timing["batch"], timing["length"], timing["repetitions"]) == (4, 7, 6)
    numbers = {name: (row["bytes"], row["output_differs_by"]) for name, row in timing["variants"].items()}
    assert numbers == {"dense": (8, 1.0), "zeros": (12, 0.0), "csr": (20, 2.0)}  # from zeros
    assert timing["variants"]["zeros"]["texts_per_second"] == pytest.approx(4 / 3)
    assert timing["variants"]["csr"]["times_dense"] == [2.5, 2.5, 2.5]


@pytest.mark.parametrize(("repeats", "seconds", "done"), [(50, 65, 7), (50, 0, 5), (6, 1e9, 6), (6, 0, 5)])
def test_time_ends_the_repetitions_after_the_fifth(timed, repeats, seconds, done):
    """A repetition takes 10 seconds. The limit is looked at before each."""
    assert timed(repeats, seconds)[0]["repetitions"] == done


def test_the_interval_of_a_median_is_that_of_its_order_statistics():
    """Of 101 values, the 95 % interval of the median is about from the 41st to the 61st (binomial, 50.5 ± 9.8)."""
    median, low, high = bench._median_interval(np.arange(1.0, 102.0))
    assert median == 51 and low == pytest.approx(41, abs=2) and high == pytest.approx(61, abs=2)


def test_percentiles_are_the_50th_90th_and_99th(monkeypatch):
    numbers = iter(np.repeat(np.arange(1.0, 101.0), 2))
    monkeypatch.setattr(bench, "_time", lambda *_: next(numbers))
    row = bench.measure({"dense": Toy(1), "zeros": Toy(1)}, 1, 2, 100, 1e9)["variants"]["dense"]
    expected = {f"p{q}_ms": 1e3 * (1 + 0.99 * q) for q in (50, 90, 99)}  # of 1 … 100, linear between two
    assert {key: row[key] for key in expected} == pytest.approx(expected)
