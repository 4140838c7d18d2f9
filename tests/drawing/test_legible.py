"""Every figure, with 2 to 14 methods and 2 to 12 layers: no text leaves the canvas, and no two texts overlap."""

import itertools

import numpy as np
import pandas as pd
import pytest

from prunebert.commands import compare_figure
from prunebert.drawing.theme import LIGHT
from prunebert.report.figures import allocation, costs, curves, maps
from prunebert.report.published import numbers as published
from tests.drawing.legible import faults, rc

METHODS = (
    *("dense", "random", "magnitude", "imp", "gmp", "movement", "soft_movement", "l0"),
    *("sparsebert", "tamt", "abp", "smp", "mine", "another_method_of_mine"),
)
EVERY_SHAPE = list(itertools.product(range(2, 15), range(2, 13)))
TABLE = "sst2, bert-base-uncased"
LONG = "smp (" + "a_setting_with_a_long_name=1.5e-05, " * 5 + "x)"  # 187 letters
NAMES = [LONG, "W" * 200, "剪枝方法" * 40, "$x_1$ " + "🔥🧠" * 60]
POINTS = published.points(published.read_table(), "bert-base-uncased", "mnli", "accuracy_matched")
NOTHING = POINTS[:0]


def labels_of(count):
    return [f"{method} (keep_pretrained=true)" if i % 3 == 2 else method for i, method in enumerate(METHODS[:count])]


def score(labels, layers=2, points=NOTHING, sparsities=(0.5, 0.8, 0.9, 0.95, 0.97), constant=0.5, metric="accuracy"):
    """Return a score figure. The method's number of seeds is as large as the number of layers, which it lacks."""
    rows = [
        (METHODS[i % len(METHODS)], label, s, 0.79 - s**4 * (i % 7 + 1) / 30)
        for i, label in enumerate(labels)
        for s in ((0.0,) if label == "dense" else sparsities)
    ]
    cells = pd.DataFrame(rows, columns=["method", "label", "sparsity", "mean"])
    cells = cells.assign(short_label=cells["label"], denominator="encoder", sd=0.02, n=layers)
    return curves.draw_scores(cells, points, table=TABLE, metric=metric, constant_score=constant, theme=LIGHT)


def dots(labels, layers=2):
    return score(labels, layers, sparsities=(0.9,))


def cost(labels, layers=2):
    values = {q: 1.7e9 / 7 ** np.arange(len(labels)) for q in costs.QUANTITIES}
    runs = pd.DataFrame({"method": METHODS[0], "short_label": labels, "device": "cpu", **values})
    return costs.draw_costs(runs, table=TABLE, theme=LIGHT)


def density(labels, layers=2):
    grids = {label: np.geomspace(0.0004, 1, 7 * layers).reshape(layers, 7) for label in labels}
    outside = {label: {"pooler": 0.1234, "embeddings": 0.5} for label in labels}
    return maps.draw_density(grids, outside, table=f"{TABLE}, sparsity 0.9", theme=LIGHT)


def overlap(labels, layers=2):
    values = np.linspace(-1, 1, len(labels) ** 2).reshape(len(labels), -1)
    diagonal = "other seeds of the same row"
    return maps.draw_overlap(labels, values, table=f"{TABLE}, sparsity 0.9", diagonal=diagonal, theme=LIGHT)


def allocated(labels, parts, by):
    rows = [
        (label, s, part, 2.0 ** (4 * np.sin(3 * i + k)))
        for i, label in enumerate(labels)
        for s in (0.5, 0.8, 0.9, 0.95, 0.97)
        for k, part in enumerate(parts)
    ]
    table = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    return allocation.draw_allocation(table, labels, by=by, table=TABLE, theme=LIGHT)


def by_kind(labels, layers=2):
    return allocated(labels, [*maps.KINDS, *allocation.OUTSIDE], "kinds")


def by_layer(labels, layers=2):
    return allocated(labels, [str(i) for i in range(layers)], "layers")


def compared(labels, layers=2):
    n = len(labels)
    runs = [
        {"method": METHODS[i % 14], "layers": {str(k): 0.1 + k / 20 for k in range(layers)}, "size": 8, "kept": 2}
        for i in range(n)
    ]
    linkage = [[i if i == 0 else n + i - 1, i + 1, 0.1 * (i + 1), i + 2] for i in range(n - 1)]
    overlaps = np.linspace(-1, 1, n * n).reshape(n, n).tolist()
    return compare_figure.draw(
        {"labels": labels, "beyond_chance": overlaps, "order": list(range(n)), "linkage": linkage, "runs": runs}
    )


DRAWINGS = [score, dots, cost, density, overlap, by_kind, by_layer, compared]
EXTREME = [(score, (14, 2)), (dots, (14, 2)), (overlap, (14, 2)), (by_layer, (2, 12)), (compared, (2, 12))]
names = pytest.mark.parametrize("draw", DRAWINGS, ids=lambda draw: draw.__name__)


@pytest.fixture(autouse=True)
def light():
    with rc(LIGHT):
        yield


@pytest.mark.parametrize(("draw", "shape"), EXTREME, ids=lambda value: getattr(value, "__name__", str(value)))
def test_no_text_is_cut_or_overlaps(draw, shape):
    assert faults(draw(labels_of(shape[0]), shape[1])) == []


@pytest.mark.slow
@names
@pytest.mark.parametrize("shape", EVERY_SHAPE, ids=str)
def test_no_text_is_cut_or_overlaps_at_any_number_of_panels(draw, shape):
    assert faults(draw(labels_of(shape[0]), shape[1])) == []


@names
def test_long_and_unusual_names_stay_within_the_figure(draw):
    assert faults(draw(NAMES)) == []


@pytest.mark.slow
@pytest.mark.parametrize("draw", [dots, cost, overlap, compared], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("rows", [25, 60, 120])
def test_many_rows_are_legible(draw, rows):
    assert faults(draw([f"smp (k={i})" for i in range(rows)])) == []


def test_numbered_lines_published_numbers_and_a_compressed_axis_are_legible():
    figure = score([f"smp (k={i})" for i in range(20)], 3, POINTS, constant=-5.0, metric="W" * 60)
    assert faults(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 20, 60])
@pytest.mark.parametrize("constant", [-5.0, 0.02, 0.5, 9.0])
@pytest.mark.parametrize("sparsities", [(0.9,), (0.5, 0.9), (0.9, 0.91, 0.92, 0.93), (0.1, 0.5, 0.99, 0.9999)])
def test_the_baseline_is_legible_above_below_and_far_from_any_number_of_lines(count, constant, sparsities):
    figure = score([f"smp (k={i})" for i in range(count)], 3, POINTS, sparsities, constant=constant)
    assert faults(figure) == []


def test_the_check_finds_text_that_is_cut_or_overlaps():
    figure = score(["smp", "gmp"])
    for place, text in ((0.5, "first text"), (0.51, "second text"), (0.98, "a text at the edge")):
        figure.text(place, 0.5, text).set_in_layout(False)
    found = faults(figure)
    assert any("'first text' overlaps 'second text'" in fault for fault in found)
    assert any("'a text at the edge' leaves the canvas" in fault for fault in found)
