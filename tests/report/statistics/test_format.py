"""The text of a p-value, and on which side of 0.05 it lies."""

import pytest

from prunebert.report.statistics.format import p_text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        *((0.0, "<0.001"), (0.000999, "<0.001"), (0.001, ".001"), (0.01234, ".012"), (0.2, ".200"), (0.9896, ".990")),
        *((0.99, ".990"), (0.9901, ">0.99"), (1.0, ">0.99")),
        *((0.0494, ".049"), (0.0496, "<0.05"), (0.05, ".050"), (0.0504, ".050")),
    ],
)
def test_a_p_has_three_decimals_and_its_ends_have_a_sign(p, text):
    assert p_text(p) == text


@pytest.mark.parametrize("p", [float("nan"), -0.1, 1.1])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="not a probability"):
        p_text(p)
