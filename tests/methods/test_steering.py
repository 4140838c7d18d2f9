"""The penalties of soft movement and L0 at their first steps, steered and free, by hand on scores as they start."""

import math

import pytest
from scipy.special import expit

from prunebert.methods.l0 import l0
from prunebert.methods.soft_movement import soft
from prunebert.schedules import Cubic
from tests.methods.test_l0 import L0
from tests.methods.test_soft_movement import SOFT, Bare, first_phase

SCHEDULES = {"soft": {"tau": Cubic(0.1, 0.2, 0.7)}, "l0": {"schedule": Cubic(1.0, 0.2, 0.7)}}
METHODS = {"soft": (soft, SOFT | SCHEDULES["soft"]), "l0": (l0, L0 | SCHEDULES["l0"])}
# R at S₀: the mean of σ(0), and the probability that a gate of S₀ = 2.197 is above 0
START = {"soft": 0.5, "l0": expit(2.197 - 2 / 3 * math.log(0.1 / 1.1))}


@pytest.mark.parametrize("name", METHODS)
def test_the_steered_force_by_hand(name):
    """No score has moved: e = 1 - (1 - u)², so at u = 0.01 it is 0.0199, and λ = sinh(80 e + 200 e u)."""
    method, settings = METHODS[name]
    phase, _ = first_phase(method, Bare(), **settings)
    assert phase.penalty(0.2)["sparsity"].item() == pytest.approx(0, abs=1e-6)  # u = 0
    force = math.sinh(80 * 0.0199 + 200 * 0.0199 * 0.01)
    assert phase.penalty(0.205)["sparsity"].item() == pytest.approx(force * START[name], rel=1e-4)
    assert set(phase.memory) == {"total", "last", "value"} and phase.memory["value"] == pytest.approx(force, rel=1e-4)
    assert phase.settled == 0.7


@pytest.mark.parametrize("name", METHODS)
def test_the_steered_force_measures_the_way_to_the_cut(name):
    """All scores have gone 0.0099 of the way to the cut, so e is 0.9901 - 0.99², and λ = sinh(80 e + 200 e u)."""
    method, settings = METHODS[name]
    phase, S = first_phase(method, Bare(), **settings)
    start, cut, above = {"soft": (0, -math.log(9), 0), "l0": (2.197, -math.log(11), -2 / 3 * math.log(11))}[name]
    S["w"].fill_(start + 0.0099 * (cut - start))
    force = math.sinh(80 * 0.01 + 200 * 0.01 * 0.01)
    expected = force * expit(start + 0.0099 * (cut - start) - above)
    assert phase.penalty(0.205)["sparsity"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("t", "ramp"), [(0.01, 0.0), (0.45, 0.875), (0.7, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("name", METHODS)
def test_a_free_penalty_by_hand(name, t, ramp):
    """Soft movement: λ_f τ(t) / τ_f, from 0 to τ_f between 0.2 and 0.7. L0: λ_f from the first step on."""
    method, settings = METHODS[name]
    phase, _ = first_phase(method, Bare(), **settings | {"control": "none", "penalty": 60.0})
    expected = 60 * START[name] * (ramp if name == "soft" else 1)
    assert phase.penalty(t)["sparsity"].item() == pytest.approx(expected, rel=1e-5)
    assert phase.settled == (0.7 if name == "soft" else 0.0)  # with L0 no sparsity is more final than another
