"""The force that steers a penalty to the configured sparsity, and the ranking behind it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.masks.penalty import Force, below
from prunebert.masks.top_v import TopV, keep_above, keep_top, quantile, sparsity
from tests.methods.test_soft_movement import warned


def test_force_by_hand_on_scripted_quantiles():
    """cut -2, origin 0, u from t = 0.2 to 0.6, λ = 2 sinh(3 e + 5 Σ e Δu), e = (q + 2)/2 - (1 - u)²."""
    force = Force(0.5, cut=-2.0, origin=0.0, start=0.2, end=0.6, unit=2.0, gain=3.0, hold=5.0)

    def lam(q, t):  # two of four weights are removed; the larger of them is q
        return force({"a": torch.tensor([q - 5, 7.0]), "b": torch.tensor([[q, 9.0]])}, t)

    assert lam(-1.0, 0.1) == 0  # before the start nothing happens and no state changes
    assert lam(0.0, 0.2) == 0  # e = 1 - 1
    assert lam(-0.5, 0.3) == pytest.approx(2 * math.sinh(3 * 0.1875 + 5 * 0.046875))  # e = 0.75 - 0.5625: pushes down
    assert lam(-2.2, 0.4) == pytest.approx(2 * math.sinh(3 * -0.35 + 5 * -0.040625))  # below the path: lifts
    assert lam(-1.0, 0.4) == pytest.approx(2 * math.sinh(3 * 0.25 + 5 * -0.040625))  # no time passed: the same integral
    last = lam(-2.0, 0.6)
    assert last == pytest.approx(2 * math.sinh(5 * -0.040625)) and last < 0  # e = 0: only the integral counts
    assert lam(5.0, 0.7) == last == lam(-50.0, 1.0)  # constant from the end on


def test_force_is_bounded_and_points_to_the_cut():
    for q, sign in ((100.0, 1), (-100.0, -1)):
        force = Force(0.5, cut=-2.0, origin=0.0, start=0.0, end=1.0)
        assert force({"a": torch.tensor([q, q])}, 0.5) == pytest.approx(sign * math.sinh(10))
    force = Force(0.5, cut=-2.0, origin=0.0, start=0.0, end=1.0)  # e = 0.26 - 0.25
    assert force({"a": torch.tensor([-1.48, -1.48])}, 0.5) == pytest.approx(
        math.sinh(80 * 0.01 + 200 * 0.01 * 0.5), 1e-4
    )


def test_force_does_nothing_at_sparsity_0():
    force = Force(0.0, cut=-2.0, origin=0.0, start=0.0, end=0.5)
    assert [force({"a": torch.tensor([3.0, -9.0])}, t) for t in (0.1, 0.5, 0.9)] == [0.0] * 3


@pytest.mark.parametrize(("removed", "warns"), [(494, True), (496, False), (504, False), (506, True)])
def test_force_warns_when_the_cut_is_half_a_point_off(removed, warns, caplog):
    S = {"a": torch.cat([torch.full((removed,), -3.0), torch.zeros(1000 - removed)])}
    force = Force(0.5, cut=-2.0, origin=0.0, start=0.0, end=0.5)
    force(S, 0.25)
    assert not warned(caplog)
    force(S, 0.5)
    force(S, 0.75)
    assert len(warned(caplog)) == warns
    if warns:
        assert f"0.{removed}0 of the weights below the cut, not 0.5000 as configured" in warned(caplog)[0]
    assert below(S, -2.0) == removed / 1000 and below(S, -3.0) == removed / 1000


# --- the ranking behind it --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=40), st.integers(0, 40), st.integers(1, 39))
def test_quantile_is_the_largest_of_the_removed(values, removed, split):
    removed = min(removed, len(values) - 1)
    S = {"a": torch.tensor(values[:split]), "b": torch.tensor(values[split:]).view(1, -1)}
    largest = quantile(S, removed / len(values))
    assert largest == (sorted(values)[removed - 1] if removed else -math.inf)
    M = keep_top(S, removed / len(values), "global")
    assert largest == max((v for n in S for v in S[n][~M[n]].tolist()), default=-math.inf)


def test_quantile_and_keep_top_agree_on_half_a_weight():
    S = {"a": torch.arange(5.0)}
    removed = ~keep_top(S, 0.5, "global")["a"]
    assert quantile(S, 0.5) == S["a"][removed].max().item()


def test_shift_moves_all_scores_in_place_and_no_gradient_flows():
    S = {"a": torch.tensor([1.0, -2.0], requires_grad=True), "b": torch.zeros(1, 2)}
    scores = S["a"]
    TopV("global").shift(S, 0.75)
    assert scores.tolist() == [0.25, -2.75] and S["b"].tolist() == [[-0.75, -0.75]]
    assert scores.is_leaf and scores.requires_grad and scores.grad is None
    assert sparsity({n: s > 0 for n, s in S.items()}) == 0.75


@pytest.mark.parametrize("sparsity", [0.3, 0.9, 0.992])
def test_looking_for_the_floor_changes_no_mask(monkeypatch, sparsity):
    """Whether or not every matrix reaches its floor, the masks equal those with the floor first, ties included."""
    generator = torch.Generator().manual_seed(6)
    S = {n: (torch.randn(40, 30, generator=generator) + m).round(decimals=1) for n, m in (("a", 0), ("b", 0.7))}

    def choices():
        return TopV("global").with_floor(S, sparsity, 0.005), *(
            keep_above(S, math.log(tau / (1 - tau)), 0.005) for tau in (0.6, 0.95)
        )

    unforced = choices()
    monkeypatch.setattr("prunebert.masks.top_v._reaches", lambda M, floor: False)
    for quick, plain in zip(unforced, choices(), strict=True):
        assert all(torch.equal(quick[n], plain[n]) for n in S)
