"""compare.png shows each run in its own row: its name, its overlaps, its layers and its branch of the tree."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from prunebert.commands import compare, compare_figure
from prunebert.drawing.methods import look

NAMES = ["first", "second", "third"]
METHODS = {"first": "smp", "second": "imp", "third": "of_my_own"}
OVERLAPS = [[1.0, 0.1, 0.7], [0.1, 1.0, -0.3], [0.7, -0.3, 1.0]]
# The run of row 0 keeps half of layer 0; relative to its density of 1/4 that is twice.
LAYERS = {"second": (0.5, 0.125), "first": (0.25, 0.25), "third": (0.0625, 0.5)}
LINKAGE = [[0, 2, 0.3, 2], [1, 3, 1.1, 3]]  # first and third at 1 - 0.7; second at the mean of 0.9 and 1.3
ORDER = [1, 0, 2]


@pytest.fixture(scope="module")
def figure():
    found = []

    def keep(self, *_, **__):
        found.append(self)

    runs = [
        {"method": METHODS[n], "layers": dict(zip("01", LAYERS[n], strict=True)), "size": 8, "kept": 2} for n in NAMES
    ]
    content = {"labels": NAMES, "beyond_chance": OVERLAPS, "order": ORDER, "linkage": LINKAGE, "runs": runs}
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context():
        patch.setattr(Figure, "savefig", keep)
        compare_figure.png(content)
    return found[0]


def test_every_row_has_the_overlaps_of_its_own_run(figure):
    heat_map = figure.axes[1]
    shown = [NAMES[i] for i in ORDER]
    assert [t.get_text() for t in heat_map.get_yticklabels()] == shown
    assert [t.get_text() for t in heat_map.get_xticklabels()] == shown
    nan = np.nan  # a run with itself
    expected = [[nan, 0.1, -0.3], [0.1, nan, 0.7], [-0.3, 0.7, nan]]
    assert np.array_equal(np.ma.filled(heat_map.images[0].get_array(), nan), expected, equal_nan=True)
    assert heat_map.images[0].get_clim() == (-1, 1)  # as in the report, so that noise is pale
    assert heat_map.images[0].get_cmap().name == "PuOr_r"
    texts = {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in heat_map.texts}
    assert {place: t.get_text() for place, t in texts.items()} == {
        **{(0, 1): "0.10", (1, 0): "0.10", (0, 2): "-0.30", (2, 0): "-0.30", (1, 2): "0.70", (2, 1): "0.70"}
    }
    assert {text.get_color() for text in texts.values()} == {"black"}  # none of the colours is dark


def test_every_row_has_the_layers_of_its_own_run(figure):
    layers = figure.axes[2]
    assert [t.get_text() for t in layers.get_xticklabels()] == ["0", "1"]
    assert layers.images[0].get_array().tolist() == [[1, -1], [0, 0], [-2, 1]]  # log2 of the ratio to 1/4
    assert layers.images[0].get_clim() == (-2, 2)  # white means as the whole run
    assert [figure.axes[4].xaxis.get_major_formatter()(x, 0) for x in (-1, 0, 2)] == ["×1/2", "×1", "×4"]


def test_a_branch_joins_its_rows_at_their_distance(figure):
    """Rows are at 5, 15 and 25. A joint is between the two that it joins."""
    (tree,) = figure.axes[0].collections
    near, far = (segment.tolist() for segment in tree.get_segments())
    assert near == [[0, 15], [0.3, 15], [0.3, 25], [0, 25]]
    assert far == [[0, 5], [1.1, 5], [1.1, 20], [0.3, 20]]
    assert figure.axes[0].get_ylim() == (30, 0) and figure.axes[0].xaxis_inverted()


def test_every_leaf_has_the_mark_of_its_method_and_the_report_uses_the_same(figure):
    marks = {line.get_ydata()[0]: (line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    expected = [look(METHODS[NAMES[i]])[:2] for i in ORDER]
    assert [marks[y] for y in (5, 15, 25)] == expected and len(set(expected)) == 3


def test_a_strong_favour_does_not_wash_out_the_others():
    runs = [{"method": "smp", "layers": {"0": x, "1": 0.5}, "size": 4, "kept": 2} for x in (0.5, 2.0**-11)]
    content = {"labels": ["a", "b"], "beyond_chance": np.eye(2), "order": [0, 1], "linkage": [[0, 1, 0.9, 2]]}
    layers = compare_figure.draw(content | {"runs": runs}).axes[2].images[0]
    assert layers.get_array().min() == -10 and layers.get_clim() == (-6, 6)


def test_every_column_has_its_own_number_and_the_largest_overlap_comes_first(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    numbers = {"jaccard": 0.11, "expected_jaccard": 0.22, "layer_budget_correlation": 0.55}
    pairs = [
        {"a": 0, "b": i, **numbers, "beyond_chance": x, "within": {"beyond_chance": 0.44}}
        for i, x in enumerate((0.31, None, 0.33, -0.2))
    ]
    rest = {"pairs_not_listed": 0, "different_sets": {"pairs": 0}, "left_out": list("x" * 23), "damaged": []}
    compare.show({"labels": ["p", "q", "r", "s"], "pairs": pairs, "runs": [], **rest})
    lines = capsys.readouterr().out.splitlines()
    head, _, *table = lines[2:8]
    assert head.split() == ["a", "b", "Jaccard", "chance", "chance", "allocations", "allocations", "r"]
    assert [line.split()[1:] for line in table] == [
        [name, "0.1100", "0.2200", x, "0.4400", "0.5500"]
        for name, x in (("r", "0.3300"), ("p", "0.3100"), ("q", "–"), ("s", "-0.2000"))
    ]
    reason = "left out of the masks, because they removed nothing or everything: "
    assert " ".join(lines[8:]) == reason + "x, " * 20 + "3 more, which compare.json names"


def test_the_pairs_that_have_no_row_are_counted(capsys, monkeypatch):
    monkeypatch.setattr(compare, "MAX_ROWS", 2)
    pair = {"jaccard": 0.1, "expected_jaccard": 0.1, "layer_budget_correlation": 0.1, "within": {"beyond_chance": 0.1}}
    pairs = [{"a": 0, "b": i, **pair, "beyond_chance": i / 10} for i in range(5)]
    rest = {"pairs_not_listed": 0, "different_sets": {"pairs": 0}, "left_out": [], "damaged": []}
    compare.show({"labels": list("vwxyz"), "pairs": pairs, "runs": [], **rest})
    printed = capsys.readouterr().out
    assert "with smaller overlap, 3 more pairs in compare.json" in printed and "0.2000" not in printed
