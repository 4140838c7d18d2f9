"""Test SMP's equations against numbers computed by hand, on a stand-in network that only names its matrices."""

import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.masks.allocation import layer_shares
from prunebert.masks.penalty import mean_sigmas, penalise
from prunebert.masks.top_v import count_kept
from prunebert.methods.smp import paper_steps
from prunebert.runs import inputs
from prunebert.runs.reuse import ranking

hypothesis_settings = settings(deadline=None, max_examples=100, derandomize=True)
LOG3 = math.log(3)  # σ(log 3) = 3/4, σ(-log 3) = 1/4


# layer_shares, Eq. 4


@pytest.mark.parametrize(
    "strength, v, expected",
    [
        ([0.5, 0.25, 0.25], 0.2, [0.3, 0.15, 0.15]),  # L v = 0.6, split 2 : 1 : 1
        ([3.0, 1.0], 0.3, [0.45, 0.15]),
        ([1.0, 3.0], 0.3, [0.15, 0.45]),
        ([2.0, 1.0, 1.0], 2 / 3, [1.0, 0.5, 0.5]),  # the first reaches the cap exactly
        ([8.0, 1.0, 1.0], 0.5, [1.0, 0.25, 0.25]),  # 1.2 .15 .15: 0.5 remains for the other two
        ([16.0, 6.0, 1.0, 1.0], 0.6, [1.0, 1.0, 0.2, 0.2]),  # 1.6 .6 .1 .1, then 1 1.05 .175 .175, then 0.4 for two
        ([1.0, 16.0, 1.0, 6.0], 0.6, [0.2, 1.0, 0.2, 1.0]),
        ([27.0, 9.0, 3.0, 1.0], 0.9, [1.0, 1.0, 1.0, 0.6]),  # capped one after the other
        ([0.7] * 5, 0.13, [0.13] * 5),
        ([0.2, 0.9, 0.4], 1.0, [1.0, 1.0, 1.0]),
        ([0.2, 0.9, 0.4], 0.0, [0.0, 0.0, 0.0]),
        ([0.3], 0.4, [0.4]),
    ],
)
def test_budgets_by_hand(strength, v, expected):
    assert layer_shares(strength, v) == pytest.approx(expected, abs=1e-12)


def water_level(strength: list[float], v: float) -> list[float]:
    """Compute the same differently: min(1, c R_l), where bisection finds the c that makes the sum L v."""
    low, high = 0.0, 2 / min(strength)
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if sum(min(1.0, c * r) for r in strength) < len(strength) * v else (low, c)
    return [min(1.0, high * r) for r in strength]


@hypothesis_settings
@given(st.lists(st.floats(1e-3, 1), min_size=1, max_size=24), st.floats(0, 1))
def test_the_mean_budget_is_v_and_none_exceeds_1(strength, v):
    shares = layer_shares(strength, v)
    assert math.fsum(shares) / len(shares) == pytest.approx(v, abs=1e-12)
    assert all(-1e-12 <= x <= 1 for x in shares)
    assert shares == pytest.approx(water_level(strength, v), abs=1e-9)


@pytest.mark.parametrize("strength", [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
def test_budgets_of_layers_without_any_strength(strength):
    assert sum(layer_shares(strength, 0.6)) == pytest.approx(1.8)


# paper_steps


@pytest.mark.parametrize(
    "sparsity, steps, span, N",
    [
        (0.9, 73_632, False, 43_632),  # MNLI
        (0.97, 73_632, False, 43_632),
        (0.5, 73_632, False, 43_632),
        (0.9, 68_232, False, 38_232),  # QQP
        (0.9, 27_660, True, 22_660),  # SQuAD
        (0.5, 27_660, True, 22_660),
        (0.3, 73_632, False, 5_250),  # 70 % remaining
        (0.3, 6_900, False, 5_250),  # MRPC, and every other task with enough steps
        (0.2, 73_632, False, 3_500),  # 80 % remaining
        (0.2, 6_900, False, 3_500),
        (0.3, 27_660, True, 5_000),
        (0.2, 27_660, True, 5_000),
        (0.9, 30_001, False, 1),
    ],
)
def test_paper_steps_are_the_released_scripts(sparsity, steps, span, N):
    assert paper_steps(sparsity, steps, span) == N


@pytest.mark.parametrize(
    "sparsity, steps, span, N",
    [
        (0.9, 30_000, False, 17_700),  # the script's number would leave none: 0.59 of the run
        (0.9, 19_644, False, 11_590),  # QNLI
        (0.3, 5_249, False, 3_097),
        (0.3, 5_250, False, 5_250),
        (0.2, 300, False, 177),
        (0.9, 5_000, True, 2_950),
        (0.9, 2, False, 1),
        (0.9, 1, True, 1),
    ],
)
def test_paper_steps_of_a_short_run_are_a_fraction_of_it(sparsity, steps, span, N):
    assert paper_steps(sparsity, steps, span) == N


@hypothesis_settings
@given(st.floats(0, 0.9999), st.integers(1, 100_000), st.booleans())
def test_paper_steps_are_within_the_run(sparsity, steps, span):
    assert 1 <= paper_steps(sparsity, steps, span) <= steps


# R(S)


def test_R_is_the_mean_over_matrices_of_any_size():
    S = {"a": torch.zeros(2, 3), "b": torch.tensor([[LOG3, LOG3]])}
    assert penalise(S, 1.0).item() == pytest.approx((0.5 + 0.75) / 2)  # not the (6 · 0.5 + 2 · 0.75) / 8 of all weights
    single = {"a": torch.tensor([[LOG3, -LOG3], [0.0, LOG3]])}
    assert penalise(single, 1.0).item() == pytest.approx((0.75 + 0.25 + 0.5 + 0.75) / 4)


def test_the_gradient_of_R():
    S = {"a": torch.zeros(2, 2, requires_grad=True), "b": torch.tensor([[LOG3]], requires_grad=True)}
    penalise(S, 1.0)
    assert S["a"].grad.flatten().tolist() == pytest.approx([0.25 / 4 / 2] * 4)  # σ′(0) = ¼, 4 weights, 2 matrices
    assert S["b"].grad.item() == pytest.approx(0.1875 / 2)  # σ′(log 3) = ¾ · ¼


# top_v, over a stand-in for the network


def place(name: str) -> tuple[int, str]:
    layer, kind = name.split(".")
    return int(layer), kind


def stand_in(S, pretrained=True):
    head = {"weight": torch.zeros(2, 2)}
    return SimpleNamespace(
        place=place,
        given={},
        add_head=lambda form, kind: "toy",
        heads={"toy": SimpleNamespace(pretrained=pretrained)},
        head_parameters=lambda key: head,
        new_scores=lambda which: S,
        prunable=lambda which: {n: torch.ones_like(s) for n, s in S.items()},
    )


def ranked(S, sparsity, allocation, p):
    rank = ranking(stand_in(S), "encoder", allocation, "none", sparsity, strength=partial(mean_sigmas, temperature=p))
    return rank(S, sparsity)


def count_remaining(M):
    return {n: int(m.sum()) for n, m in M.items()}


def test_score_allocation_shares_within_each_kind():
    S = {
        "0.query": torch.full((5, 20), LOG3),
        "0.output": torch.zeros(10, 20),
        "1.query": torch.zeros(5, 20),
        "1.output": torch.zeros(10, 20),
    }
    M = ranked(S, 0.6, "score", 1.0)
    # query: 2 · 0.4 · 3/5 and 2 · 0.4 · 2/5 of 100 weights; output: equal, 0.4 of 200 each
    assert count_remaining(M) == {"0.query": 48, "1.query": 32, "0.output": 80, "1.output": 80}
    assert count_remaining(ranked(S, 0.6, "uniform", 1.0)) == dict.fromkeys(["0.query", "1.query"], 40) | dict.fromkeys(
        ["0.output", "1.output"], 80
    )


def test_score_allocation_uses_the_temperature():
    S = {"0.query": torch.full((10, 10), 4 * LOG3), "1.query": torch.full((10, 10), -4 * LOG3)}
    assert count_remaining(ranked(S, 0.6, "score", 4.0)) == {"0.query": 60, "1.query": 20}
    # with p = 1 σ(4 log 3) = 81/82: 2 · 0.4 · 81/82 and 2 · 0.4 / 82
    assert count_remaining(ranked(S, 0.6, "score", 1.0)) == {"0.query": 79, "1.query": 1}


def test_score_allocation_meets_the_sparsity_if_a_layer_is_full():
    S = {f"{i}.key": torch.full((10, 10), v) for i, v in enumerate([LOG3, -9.0, -9.0])}
    M = ranked(S, 0.5, "score", 1.0)
    assert count_remaining(M) == {"0.key": 100, "1.key": 25, "2.key": 25}


def test_global_allocation_ranks_all_matrices_together():
    S = {"0.query": torch.full((10, 10), 2.0), "1.output": torch.full((10, 10), 1.0)}
    assert count_remaining(ranked(S, 0.4, "global", 1.0)) == {"0.query": 100, "1.output": 20}


@hypothesis_settings
@given(st.lists(st.floats(-6, 6), min_size=1, max_size=4), st.floats(0, 0.999), st.sampled_from([1.0, 4.0]))
def test_score_allocation_removes_the_requested_fraction(values, sparsity, p):
    S = {f"{i}.{kind}": torch.full((5, 7), v) for i, v in enumerate(values) for kind in ("query", "value")}
    M = ranked(S, sparsity, "score", p)
    assert abs(count_kept(M) - 35 * len(S) * (1 - sparsity)) <= 0.5 + 1e-6


def test_an_unknown_allocation_is_refused():
    with pytest.raises(BadInput, match=r"method\.allocation=scores: .*did you mean score\?"):
        inputs.require_allocation("scores")
    with pytest.raises(BadInput, match=r"method\.allocation=local: .*uniform is the word for local"):
        inputs.require_allocation("local")
