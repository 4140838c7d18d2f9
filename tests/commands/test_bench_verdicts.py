"""The words of `prunebert bench`: a factor, the noise, and which variant won."""

import pytest

from prunebert.commands import bench_verdicts
from prunebert.commands.bench_verdicts import floor_of, outcome, verdict


@pytest.mark.parametrize(
    ("factor", "floor", "text"),
    [
        ([2.0, 1.8, 2.2], 0.05, "2.00 times SLOWER (1.80 to 2.20)"),
        ([0.5, 0.4, 0.8], 0.05, "2.00 times faster (1.25 to 2.50)"),
        ([1.0, 0.96, 1.04], 0.05, "no difference"),
        ([1.2, 0.9, 1.5], 0.05, "uncertain (0.90 to 1.50 of its time)"),
        ([1.06, 1.02, 1.1], 0.05, "uncertain (1.02 to 1.10 of its time)"),
        ([1.2, 1.15, 1.25], 0.05, "1.20 times SLOWER (1.15 to 1.25)"),
        ([1.2, 1.15, 1.25], 0.3, "no difference"),  # the same model timed twice differs by more
        ([0.8, 0.77, 0.9], 0.35, "no difference"),
    ],
)
def test_verdicts(factor, floor, text):
    assert verdict(factor, floor) == text


@pytest.mark.parametrize(
    ("noise", "floor"),
    [([1.0, 0.99, 1.02], 0.05), ([1.1, 1.0, 1.2], 0.2), ([0.9, 0.8, 1.1], 0.25), ([1.0, 0.5, 1.5], 1.0)],
)
def test_the_noise_is_the_farthest_end_of_the_interval(noise, floor):
    """0.8 of a time is as far from 1 as 1.25 of it."""
    assert floor_of(noise) == pytest.approx(floor)


@pytest.mark.parametrize(
    ("csr", "noise", "text"),
    [
        ([0.5, 0.48, 0.52], 1.01, "csr wins: 2.00 times faster (1.92 to 2.08) than the best dense, bf16 (3.25 ms)"),
        ([2.0, 1.9, 2.1], 1.01, "dense wins: bf16 (3.25 ms); the fastest other, csr, is 2.00 times SLOWER"),
        ([1.0, 0.98, 1.02], 1.01, "no winner: csr against the best dense, bf16 (3.25 ms): no difference"),
        ([0.5, 0.48, 0.52], 3.0, "no winner: csr against the best dense, bf16 (3.25 ms): no difference"),
        (None, 1.01, "best dense: bf16 (3.25 ms)"),
    ],
)
def test_the_line_that_names_the_winner(csr, noise, text):
    rows = {
        "dense": {"p50_ms": 9.0, "times_best_dense": [3.0] * 3},
        "bf16": {"p50_ms": 3.25, "times_best_dense": [1.0] * 3},
    }
    rows |= {"csr": {"times_best_dense": csr}, "removed": {"times_best_dense": [9.0] * 3}} if csr else {}
    assert outcome({"variants": rows, "best_dense": "bf16", "noise": [1.0, 1.0, noise]}).startswith(text)


def test_a_variant_has_one_name():
    assert len(set(bench_verdicts.VARIANTS)) == len(bench_verdicts.VARIANTS) == 16
