"""One sparsity gives a row of dots for each variant; many lines have whiskers that stay apart; costs have units."""

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from prunebert.drawing.methods import look
from prunebert.drawing.theme import LIGHT
from prunebert.report.figures import costs, curves
from prunebert.report.published import numbers as published

COLUMNS = ["source", "method", "variant", "sparsity", "denominator", "kd", "score", "kind"]


@pytest.fixture(autouse=True)
def light():
    with matplotlib.rc_context(LIGHT.rc()):
        yield


def draw(rows, points=(), n=3, sd=0.02):
    """Draw cells (method, sparsity, mean)."""
    cells = pd.DataFrame(rows, columns=["method", "sparsity", "mean"])
    cells = cells.assign(label=cells["method"], short_label=cells["method"], denominator="encoder", sd=sd, n=n)
    numbers = pd.DataFrame(points, columns=COLUMNS)
    return curves.draw_scores(cells, numbers, table="sst2, bert", metric="accuracy", constant_score=0.5, theme=LIGHT)


def dots_of(axes):
    """Return the (score, mark, fill) by the row's name."""
    names = dict(zip(axes.get_yticks(), (t.get_text().replace("\n", " ") for t in axes.get_yticklabels()), strict=True))
    found = [line for line in axes.lines if line.get_marker() not in ("|", "None", None) and len(line.get_xdata()) == 1]
    return {
        names[line.get_ydata()[0]]: (line.get_xdata()[0], line.get_marker(), line.get_markerfacecolor())
        for line in found
    }


def test_one_sparsity_has_a_row_of_its_own_for_each_variant_with_the_best_at_the_top():
    figure = draw([("gmp", 0.9, 0.7), ("smp", 0.9, 0.8), ("dense", 0.0, 0.75)])
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["smp, 3 seeds", "dense, 3 seeds", "gmp, 3 seeds"]
    assert axes.yaxis_inverted() and figure.get_suptitle() == "sst2, bert: accuracy at sparsity 0.9"
    found = dots_of(axes)
    assert {name: dot[:2] for name, dot in found.items()} == {
        "smp, 3 seeds": (0.8, look("smp")[1]),
        "dense, 3 seeds": (0.75, look("dense")[1]),
        "gmp, 3 seeds": (0.7, look("gmp")[1]),
    }
    whiskers = sorted(tuple(s[:, 0].round(3)) for c in axes.collections for s in c.get_segments())
    assert whiskers == [(0.68, 0.72), (0.73, 0.77), (0.78, 0.82)]
    assert axes.get_xlim()[0] < 0.5  # the constant baseline


def test_published_numbers_of_the_sparsity_have_rows_and_the_others_are_counted():
    points = [
        ("A", "smp", "", 0.9, "encoder_pooler", "no", 0.72, "measured"),
        ("A", "smp", "", 0.5, "encoder", "no", 0.8, "measured"),
        ("A", "gmp", "", 0.9, "encoder", "no", 0.1, published.ANOTHER_SPARSITY),
    ]
    figure = draw([("smp", 0.9, 0.7)], points)
    found = dots_of(figure.axes[0])
    assert found["published: A, smp, no KD, of encoder and pooler"] == (0.72, look("smp")[1], LIGHT.paper)
    assert len(found) == 2
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert "1 published number at other sparsities: not drawn" in legend


@pytest.mark.parametrize("count", [3, 4, 12])
def test_few_lines_have_bands_and_many_have_whiskers_that_stay_apart(count):
    methods = ["smp", "gmp", "imp", *(f"mine {i}" for i in range(9))][:count]
    figure = draw([(m, s, 0.8 - i / 100) for i, m in enumerate(methods) for s in (0.5, 0.9)])
    (axes,) = figure.axes
    bands = [c for c in axes.collections if isinstance(c, matplotlib.collections.PolyCollection)]
    whiskers = [c for c in axes.collections if isinstance(c, matplotlib.collections.LineCollection)]
    assert (len(bands), len(whiskers)) == ((count, 0) if count == 3 else (0, count))
    if count > 3:
        x = [c.get_segments()[0][0, 0] for c in whiskers]
        assert len(set(np.round(x, 6))) == count and np.mean(curves.to_axis(x)) == pytest.approx(-math.log10(0.5))
        assert axes.get_xlim()[0] < min(x) and max(x) < axes.get_xlim()[1]
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert (curves.BAND in legend, curves.WHISKERS in legend) == (count == 3, count > 3)


def test_costs_have_the_largest_unit_that_suits_and_size_on_disk_only_if_it_is_known():
    runs = pd.DataFrame({"method": ["smp", "gmp"], "short_label": ["smp", "gmp"], "device": "cpu"})
    runs = runs.assign(seconds_per_step=[0.02, 0.04], seconds=[7200, 3600], peak_memory_bytes=[2**29, 2**28])
    runs = runs.assign(trained_parameters=[4_400_000, math.nan], disk_bytes=[2.5e6, 4e5])
    figure = costs.draw_costs(runs, table="sst2, bert", theme=LIGHT)
    shown = {axes.get_xlabel().replace("\n", " "): [bar.get_width() for bar in axes.patches] for axes in figure.axes}
    assert shown == {
        "milliseconds per step": pytest.approx([20, 40]),
        "total hours": [2, 1],
        "peak memory, GiB": [0.5, 0.25],
        "trained parameters, 10⁶": [4.4],
        "size on disk, MB": [2.5, 0.4],
    }
    assert [colors.to_hex(bar.get_facecolor()).upper() for bar in figure.axes[1].patches] == [
        look(m)[0] for m in runs["method"]
    ]
    assert len(costs.draw_costs(runs.drop(columns="disk_bytes"), table="t", theme=LIGHT).axes) == 4
    assert len(costs.draw_costs(runs.assign(disk_bytes=math.nan), table="t", theme=LIGHT).axes) == 4
