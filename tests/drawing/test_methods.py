"""Any two methods differ clearly in colour, or in both mark and line style, for three kinds of vision.

Colours are simulated by Machado, Oliveira & Fernandes, "A Physiologically-based Model for Simulation of Color Vision
Deficiency" (IEEE TVCG 15(6), 2009), with their matrices of severity 1.0, which apply to linear RGB.
"""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import colors

from prunebert.drawing import methods
from prunebert.drawing.methods import METHODS, OTHERS, look, looks
from prunebert.drawing.theme import DARK, LIGHT
from prunebert.report import variants

VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
CLEAR = 20  # of CIE Lab; about 2.3 is a just noticeable difference
EVERY = {**METHODS, **{f"other {i}": other for i, other in enumerate(OTHERS)}}


def linear(colour):
    rgb = np.array(colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(linear_rgb):
    """Return CIE L*a*b* of a linear sRGB colour."""
    x = XYZ @ np.clip(linear_rgb, 0, 1) / WHITE
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(colour, other_colour):
    """Return the contrast ratio of two colours by WCAG 2."""
    light, dark = sorted((XYZ[1] @ linear(c) for c in (colour, other_colour)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lab_is_that_of_known_colours():
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.02)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # as printed by Lindbloom
    red, green = (lab(VISIONS["deuteranopia"] @ linear(c)) for c in ("#C00000", "#607000"))
    assert np.linalg.norm(red - green) < CLEAR < np.linalg.norm(lab(linear("#C00000")) - lab(linear("#607000")))


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_methods_differ_in_colour_or_in_both_mark_and_line(vision):
    seen = {name: lab(np.array(VISIONS[vision]) @ linear(colour)) for name, (colour, _, _) in EVERY.items()}
    alike = [pair for pair in combinations(EVERY, 2) if np.linalg.norm(seen[pair[0]] - seen[pair[1]]) < CLEAR]
    assert len(EVERY) == 35 and alike  # the marks and lines are needed
    for a, b in alike:
        assert EVERY[a][1] != EVERY[b][1] and EVERY[a][2] != EVERY[b][2], (a, b)


def test_every_look_is_another_and_visible_on_both_papers():
    assert set(variants.METHOD_ORDER) <= set(METHODS) and len(METHODS) >= 16
    assert len(set(EVERY.values())) == len(EVERY) and len({colour for colour, _, _ in METHODS.values()}) == len(METHODS)
    for name, (colour, _, _) in EVERY.items():
        assert min(contrast(colour, theme.paper) for theme in (LIGHT, DARK)) > 2, name
    for theme in (LIGHT, DARK):
        assert contrast(theme.ink, theme.paper) > 7


def test_a_method_of_ones_own_has_the_same_look_in_every_report():
    """The CRC-32 of "123456789" is 0xCBF43926, the check value of its definition: 3421780262 = 12 · 285148355 + 2."""
    assert look("123456789") == OTHERS[2] and look("smp") == METHODS["smp"]


def test_the_unknown_methods_of_a_figure_have_different_looks():
    names = [f"mine {i}" for i in range(12)]
    found = looks(["smp", *names, "mine 3"])
    assert next(iter(found)) == "smp" and len(set(found.values())) == 13
    assert looks(reversed(names)) == {name: found[name] for name in names}
    assert len({look(name) for name in names}) < 12  # by name alone, some would be the same
    assert set(looks([f"mine {i}" for i in range(13)]).values()) == set(methods.OTHERS)
