"""What earlier versions wrote in other words."""

import pytest

from prunebert.runs.schema import in_todays_words, topology_fault


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cpu, 1 threads", "cpu, 1 thread"),
        ("2 × cpu, 1 threads", "2 × cpu, 1 thread"),
        ("cpu, 11 threads", "cpu, 11 threads"),
        ("NVIDIA H100", "NVIDIA H100"),
    ],
)
def test_one_thread_is_singular(old, new):
    assert in_todays_words({"device": old}) == {"device": new}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"groups_2_4": None}, ""),
        ({"groups_2_4": "1"}, "pattern.groups_2_4 is 1, not float or null"),
        ({"asked": None}, "pattern.asked is None, not str"),
        ({"found": ["2:4"]}, "pattern.found is ['2:4'], not dict"),
        ({"found": {"n_m": 2, "block": None}}, "pattern.found.n_m is 2, not str or null"),
        ({"found": {"n_m": None}}, "pattern.found.block is missing, not str or null"),
    ],
)
def test_the_pattern_of_a_topology_has_the_types_that_commands_show(change, fault):
    pattern = {"asked": "2:4", "satisfied": True, "found": {"n_m": "2:4", "block": None}, "groups_2_4": 1.0}
    assert topology_fault({"pattern": pattern | change}) == fault
    assert topology_fault({}) == "" and topology_fault({"pattern": 1}) == "pattern is 1, not dict"


SPECTRUM = {"sigma_1": 3.0, "sigma_2": 1.0, "random": {"sigma_1": 3, "sigma_2": 2.0}}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"unweighted": None}, ""),
        ({"unweighted": 3}, "unweighted is 3, not dict or null"),
        ({"unweighted": SPECTRUM | {"sigma_2": "1"}}, "unweighted.sigma_2 is 1, not float"),
        ({"weighted": SPECTRUM | {"random": None}}, "weighted.random is None, not dict"),
        ({"weighted": SPECTRUM | {"random": {"sigma_1": 3}}}, "weighted.random.sigma_2 is missing, not float"),
    ],
)
def test_the_spectra_of_a_topology_have_the_types_that_commands_show(change, fault):
    spectral = {"weights": "trained", "matrices": {"q": {"unweighted": SPECTRUM, "weighted": SPECTRUM} | change}}
    assert topology_fault({"spectral": spectral}) == (fault and f"spectral.matrices.q.{fault}")
    assert topology_fault({"spectral": spectral | {"weights": 1}}) == "spectral.weights is 1, not str"
    assert topology_fault({"spectral": spectral | {"matrices": {"q": 1}}}) == "spectral.matrices.q is 1, not dict"
    assert topology_fault({"spectral": 1}) == "spectral is 1, not dict"
