"""Schedules and Fit: values by hand, ends, monotony, and every value that is refused."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.schedules import Cubic, Linear

hundred_examples = settings(deadline=None, max_examples=100, derandomize=True)
SETTINGS = {"epochs": 3, "batch_size": 32, "lr": 2e-5, "head_lr": 1e-3}
UNIT = st.floats(0, 1)


# schedules


@pytest.mark.parametrize(
    "t, removed",
    [(0.0, 0.0), (0.1, 0.2439), (0.25, 0.5203125), (0.5, 0.7875), (0.75, 0.8859375), (1.0, 0.9)],
)
def test_cubic_values(t, removed):
    # 0.9 · (1 - (1-t)³): at one half 0.9 · 7/8, at a quarter 0.9 · 37/64
    assert Cubic(final=0.9)(t) == pytest.approx(removed, abs=1e-15)


def test_cubic_meets_its_ends_exactly():
    schedule = Cubic(final=0.97)
    assert schedule(0.0) == 0.0
    assert schedule(1.0) == 0.97


@pytest.mark.parametrize(
    "t, removed", [(0.0, 0.0), (0.2, 0.0), (0.3, 0.4625), (0.4, 0.7), (0.6, 0.8), (0.600001, 0.8), (1.0, 0.8)]
)
def test_cubic_within_a_window(t, removed):
    # u = (t - 0.2) / 0.4: a quarter at 0.3 (37/64 of 0.8), one half at 0.4 (7/8 of 0.8)
    assert Cubic(final=0.8, start=0.2, end=0.6)(t) == pytest.approx(removed, abs=1e-12)


@pytest.mark.parametrize("t, removed", [(0.0, 0.0), (0.25, 0.0), (0.375, 0.2), (0.5, 0.4), (0.75, 0.8), (0.9, 0.8)])
def test_linear_values(t, removed):
    assert Linear(final=0.8, start=0.25, end=0.75)(t) == pytest.approx(removed, abs=1e-15)


def test_linear_and_cubic_differ_between_their_ends():
    assert Linear(final=0.9)(0.5) == pytest.approx(0.45)
    assert Linear(final=0.9)(0.0) == 0.0 and Linear(final=0.9)(1.0) == 0.9
    assert Linear(final=0.9).final == 0.9


@hundred_examples
@given(st.sampled_from([Cubic, Linear]), UNIT, UNIT, UNIT, UNIT, UNIT)
def test_schedules_never_decrease_and_stay_between_zero_and_final(kind, final, a, b, x, y):
    start, end = sorted((a, b))
    if start == end:
        start, end = 0.0, 1.0
    schedule = kind(final=final, start=start, end=end)
    early, late = sorted((x, y))
    assert 0 <= schedule(early) <= schedule(late) + 1e-12
    assert schedule(late) <= final + 1e-12
    assert schedule(start) == 0 and schedule(end) == final


@hundred_examples
@given(st.floats(0.01, 1), st.floats(0.001, 0.999))
def test_cubic_is_ahead_of_linear(final, t):
    assert Cubic(final=final)(t) > Linear(final=final)(t)


@pytest.mark.parametrize("kind", [Cubic, Linear])
@pytest.mark.parametrize("start, end", [(0.5, 0.5), (0.6, 0.5), (0.0, 0.0), (1, 1)])
def test_a_window_without_a_step_is_refused(kind, start, end):
    with pytest.raises(BadInput, match=r"no step is left to prune.*start < end"):
        kind(final=0.9, start=start, end=end)


@pytest.mark.parametrize("kind", [Cubic, Linear])
@pytest.mark.parametrize(
    "key, value", [("start", -0.1), ("end", 1.1), ("start", math.nan), ("final", 2), ("final", math.inf), ("power", 0)]
)
def test_a_schedule_out_of_range_is_refused(kind, key, value):
    with pytest.raises(BadInput, match=rf"^schedule\.{key}={value}: must be at least [01] and at most 1"):
        kind(**{"final": 0.9} | {key: value})


# Fit.steps_for


@pytest.mark.parametrize(
    "change, rows, steps",
    [
        ({}, 100, 12),  # 4 batches, the last of 4 rows
        ({}, 96, 9),
        ({}, 97, 12),
        ({}, 1, 3),
        ({"epochs": 0.5}, 100, 2),
        ({"epochs": 0.01}, 100, 1),
        ({"epochs": 2.5, "batch_size": 10}, 25, 8),  # 7.5 batches
        ({"epochs": 12, "batch_size": 64}, 392_702, 73_632),  # SMP on MNLI
        ({"steps": 300}, 100, 300),
        ({"steps": 1}, 10**6, 1),
    ],
)
def test_steps_for(change, rows, steps):
    assert Fit(**SETTINGS | change).steps_for(rows) == steps


# Fit.rate


def rates(steps, **change):
    return [Fit(**SETTINGS | change).rate(step, steps) for step in range(steps)]


def test_rate_warms_up_then_falls():
    # 4 of 10 steps rise by quarters; 6 are left, each a sixth lower
    expected = [1 / 4, 2 / 4, 3 / 4, 1, 6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert rates(10, warmup=0.4) == pytest.approx(expected, abs=1e-15)


def test_rate_warms_up_then_stays():
    assert rates(8, warmup=0.25, decay="constant") == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 1])


def test_rate_without_warm_up_falls_from_the_start():
    assert rates(4) == [1.0, 0.75, 0.5, 0.25]
    assert rates(4, decay="constant") == [1.0] * 4


@hundred_examples
@given(st.integers(1, 300), st.floats(0, 0.999), st.sampled_from(["linear", "constant"]))
def test_rate_has_one_peak(steps, warmup, decay):
    factors = rates(steps, warmup=warmup, decay=decay)
    warmup_steps = round(warmup * steps)
    assert all(0 < r <= 1 for r in factors) and max(factors) == 1
    assert all(a < b for a, b in itertools.pairwise(factors[:warmup_steps]))
    assert all(a >= b for a, b in itertools.pairwise(factors[warmup_steps:]))


# Fit refuses


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("epochs", 0, "above 0"),
        ("epochs", -1, "above 0"),
        ("epochs", math.nan, "above 0"),
        ("batch_size", 0, "at least 1"),
        ("batch_size", -32, "at least 1"),
        ("lr", -1e-5, "at least 0"),
        ("lr", math.nan, "at least 0"),
        ("head_lr", -1e-5, "at least 0"),
        ("steps", 0, "at least 1"),
        ("steps", -5, "at least 1"),
        ("warmup", -0.1, "at least 0 and below 1"),
        ("warmup", 1, "at least 0 and below 1"),
        ("warmup", 1.5, "at least 0 and below 1"),
        ("clip", 0, "above 0"),
        ("clip", -1.0, "above 0"),
        ("eval_every", -1, "at least 0"),
    ],
)
def test_a_number_out_of_range_is_refused(key, value, allowed):
    with pytest.raises(BadInput, match=rf"^fit\.{key}={value}: must be {allowed}"):
        Fit(**SETTINGS | {key: value})


@pytest.mark.parametrize("value", [-0.01, math.nan])
def test_a_negative_weight_decay_is_refused(value):
    with pytest.raises(BadInput, match=r"fit\.weight_decay"):
        Fit(**SETTINGS | {"weight_decay": value})


def test_endless_epochs_are_refused():
    with pytest.raises(BadInput, match=r"fit\.epochs"):
        Fit(**SETTINGS | {"epochs": math.inf}).steps_for(10)


@pytest.mark.parametrize(
    "key, value, line",
    [
        ("decay", "liner", r"fit\.decay=liner: allowed are linear, constant, cyclic; did you mean linear\?"),
        ("decay", "cosine", r"fit\.decay=cosine: allowed are linear, constant"),
        ("keep", "bes", r"fit\.keep=bes: allowed are last, best; did you mean best\?"),
    ],
)
def test_an_unknown_word_is_refused(key, value, line):
    with pytest.raises(BadInput, match=line):
        Fit(**SETTINGS | {key: value, "eval_every": 10})


def test_the_best_needs_evaluations():
    with pytest.raises(BadInput, match=r"fit\.keep=best.*fit\.eval_every"):
        Fit(**SETTINGS, keep="best")
    assert Fit(**SETTINGS, keep="best", eval_every=1).keep == "best"


def test_the_limits_themselves_are_allowed():
    fit = Fit(epochs=1e-6, batch_size=1, lr=0.0, head_lr=0.0, steps=1, warmup=0.0, clip=1e-9, eval_every=0)
    assert fit.steps_for(1) == 1


# an initial value, and cycles


@pytest.mark.parametrize("t, removed", [(0.0, 0.0), (0.19, 0.0), (0.2, 0.7), (0.4, 0.875), (0.6, 0.9), (1.0, 0.9)])
def test_a_schedule_jumps_to_its_initial_value_at_its_start(t, removed):
    # half-way 0.7 + 0.2 · 7/8
    assert Cubic(final=0.9, start=0.2, end=0.6, initial=0.7)(t) == pytest.approx(removed, abs=1e-12)


def test_a_linear_schedule_has_an_initial_value_too():
    assert Linear(final=0.9, initial=0.5)(0.25) == pytest.approx(0.6)


def test_an_initial_value_above_the_final_one_is_refused():
    with pytest.raises(BadInput, match=r"initial=0\.7: must be at most the value at the end, 0\.5"):
        Cubic(final=0.5, initial=0.7)


def test_cycles_end_with_the_run_and_the_first_one_is_the_rest():
    # 30 epochs of one step: 2, then 7 times 4, each from the largest rate down to a tenth
    fit = Fit(**SETTINGS, decay="cyclic", cycle=4 / 30, floor=0.1)
    rates = [fit.rate(step, 30) for step in range(30)]
    assert rates[:2] == pytest.approx([1.0, 0.55])  # 0.1 + 0.9 · 1/2
    assert rates[2:6] == pytest.approx([1.0, 0.775, 0.55, 0.325])
    assert all(rates[i : i + 4] == pytest.approx(rates[2:6]) for i in range(2, 30, 4))


def test_a_cycle_as_long_as_the_run_is_the_linear_decay():
    cyclic, linear = (Fit(**SETTINGS, decay=d, cycle=1.0, warmup=0.1) for d in ("cyclic", "linear"))
    assert [cyclic.rate(s, 50) for s in range(50)] == [linear.rate(s, 50) for s in range(50)]


def test_a_linear_decay_ends_at_its_floor():
    fit = Fit(**SETTINGS, floor=0.1)
    assert fit.rate(0, 10) == 1.0 and fit.rate(9, 10) == pytest.approx(0.19)


@pytest.mark.parametrize("decay", ["linear", "cyclic", "constant"])
def test_parts_of_a_fit_have_the_rates_of_the_whole(decay):
    fit = Fit(**SETTINGS, decay=decay, warmup=0.1, eval_every=3, keep="best")
    parts = [fit.part(0, 12, 40), fit.part(12, 13, 40), fit.part(13, 40, 40)]
    rates = [part.rate(s, part.steps) for part in parts for s in range(part.steps)]
    assert rates == [fit.rate(s, 40) for s in range(40)]
    assert [(p.eval_every, p.keep) for p in parts] == [(0, "last"), (0, "last"), (3, "best")]
