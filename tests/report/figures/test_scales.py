"""The constant baseline is always in the range of a score figure, and a compressed axis keeps the order of scores."""

import math
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from prunebert.drawing.theme import LIGHT
from prunebert.report.figures.scales import score_axis, sparsity_axis


def drawn_axis(along, scores, constant_score):
    axes = Figure(layout="none").subplots()
    handles = score_axis(axes, along, scores, constant_score, LIGHT)
    limits = axes.get_xlim() if along == "x" else axes.get_ylim()
    scale = (axes.xaxis if along == "x" else axes.yaxis).get_transform()
    place = lambda value: np.interp(scale.transform([value])[0], scale.transform(limits), (0, 1))  # noqa: E731
    return axes, handles, limits, place


@pytest.mark.parametrize("along", "xy")
@pytest.mark.parametrize("constant_score", [-40.0, 0.0, 0.35, 0.5, 0.77, 0.9, 30000.0])
def test_the_baseline_and_all_scores_are_in_the_range(along, constant_score):
    axes, (handle,), (low, high), place = drawn_axis(along, (0.75, 0.79), constant_score)
    assert low < min(constant_score, 0.75) and max(constant_score, 0.79) < high
    assert 0.02 < place(constant_score) < 0.98
    line = axes.lines[-1]
    assert {*(line.get_xdata() if along == "x" else line.get_ydata())} == {constant_score}
    assert handle.get_label().startswith(f"constant baseline {constant_score:.4g}")


def test_the_distance_from_chance_is_true_where_the_scores_take_a_quarter_of_the_axis():
    _, (handle,), _, place = drawn_axis("y", (0.65, 0.8), 0.5)
    assert handle.get_label() == "constant baseline 0.5"
    assert (place(0.8) - place(0.65)) / (place(0.65) - place(0.5)) == pytest.approx(1)


@pytest.mark.parametrize("constant_score", [-5.0, 20.0])
def test_a_far_baseline_compresses_only_what_lies_between(constant_score):
    axes, (handle,), _, place = drawn_axis("y", (0.75, 0.79), constant_score)
    assert "compressed in the grey band" in handle.get_label()
    assert place(0.79) - place(0.75) > 0.7  # the scores take most of the axis
    assert place(0.79) - place(0.77) == pytest.approx(place(0.77) - place(0.75))
    assert all(place(a) < place(b) for a, b in pairwise(sorted([constant_score, 0.75, 0.77, 0.79])))
    (band,) = axes.patches
    edges = sorted(band.get_extents().transformed(axes.transData.inverted()).intervaly)
    assert not any(edges[0] < score < edges[1] for score in (0.75, 0.79, constant_score))
    assert constant_score in axes.get_yticks()


def test_an_unknown_baseline_has_no_line_and_equal_scores_have_a_range():
    axes, handles, (low, high), _ = drawn_axis("y", (0.5, 0.5), math.nan)
    assert handles == [] and len(axes.lines) == 0 and low < 0.5 < high


@pytest.mark.parametrize("score", [0.0, 0.5, -3.0])
def test_scores_that_all_equal_the_baseline_have_a_range(score):
    _, (handle,), (low, high), place = drawn_axis("x", (score, score), score)
    assert low < score < high and place(score) == pytest.approx(0.5)
    assert handle.get_label() == f"constant baseline {score:g}"


def test_the_ticks_of_a_narrow_panel_are_apart():
    wide, narrow = (Figure().subplots() for _ in range(2))
    shown = [0.5, 0.8, 0.9, 0.95, 0.97]
    for axes, width in ((wide, 400), (narrow, 60)):
        sparsity_axis(axes, shown, width=width)
    assert set(shown) <= set(wide.get_xticks()) and len(narrow.get_xticks()) < 5
    assert narrow.get_xticks()[0] == 0.5
