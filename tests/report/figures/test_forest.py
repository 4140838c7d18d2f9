"""The forest plot: no text leaves the picture or overlaps, and each row shows its own numbers."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from prunebert.report.figures import forest
from prunebert.report.figures.style import LIGHT, look

LONG = "a_method (fit=paper, distill=tinybert, method.keep_pretrained=false, method.allocation=local, fit.lr=0.001)"


def gaps(rows, sparsities=1, label="{}", **changes):
    """Return rows as `differences` has them, `rows` for each sparsity."""
    methods = ["random", "smp", "gmp", "movement", "l0", "my_method"]
    facts = {"difference": 0.02, "seeds_low": -0.01, "seeds_high": 0.05, "examples_low": 0.01, "examples_high": 0.03}
    facts |= {
        "by_seed_holm": 0.2,
        "examples_holm": 0.0001,
        "against": "magnitude",
        "other_denominator": False,
        **changes,
    }
    return pd.DataFrame(
        [
            {"short_label": label.format(f"m{i}"), "method": methods[i % 6], "sparsity": 0.5 + s / 10, **facts}
            for s in range(sparsities)
            for i in range(rows)
        ]
    )


def drawn(table, metric="accuracy", baseline="magnitude"):
    with matplotlib.rc_context(LIGHT.rc()):
        figure = forest.draw_forest(table, table="toy, bert", metric=metric, baseline=baseline, theme=LIGHT)
        FigureCanvasAgg(figure).draw()
    return figure


def test_a_row_names_its_own_baseline_and_another_denominator():
    table = gaps(2).assign(against=["magnitude (a)", "magnitude (b)"], other_denominator=[False, True])
    figure = drawn(table)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()][1:] == [
        "m0 against magnitude (a)",
        "m1 † against magnitude (b)",
    ]
    assert "†: the two sparsities are fractions" in figure.axes[0].get_xlabel()
    plain = drawn(gaps(2))
    assert [t.get_text() for t in plain.axes[0].get_yticklabels()][1:] == ["m0", "m1"]
    assert "†" not in plain.axes[0].get_xlabel()


def boxes(figure):
    renderer = figure.canvas.get_renderer()
    (axes,) = figure.axes
    texts = [*axes.get_yticklabels(), *axes.texts, *axes.get_xticklabels(), axes.xaxis.label]
    texts += [figure._suptitle, *figure.legends[0].get_texts()]
    return {(i, text.get_text()): text.get_window_extent(renderer) for i, text in enumerate(texts) if text.get_text()}


@pytest.mark.parametrize(
    ("rows", "sparsities", "label", "baseline"),
    [(1, 1, "{}", "dense"), (3, 1, LONG + "{}", LONG), (15, 4, "{}", "magnitude"), (6, 2, LONG + "{}", "smp")],
)
def test_no_text_leaves_the_picture_or_overlaps_another(rows, sparsities, label, baseline):
    figure = drawn(gaps(rows, sparsities, label), baseline=baseline)
    found = boxes(figure)
    width, height = figure.canvas.get_width_height()
    for name, box in found.items():
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, name
    names = list(found)
    overlapping = [
        (a, b) for i, a in enumerate(names) for b in names[i + 1 :] if found[a].padded(-1).overlaps(found[b].padded(-1))
    ]
    assert not overlapping and len(found) > 2 * rows * sparsities


def test_a_row_shows_its_effect_intervals_and_p_in_points():
    figure = drawn(gaps(1))
    (axes,) = figure.axes
    spans = [list(line.get_xdata()) for line in axes.lines]
    assert [pytest.approx(ends) for ends in ([-1, 5], [1, 3], [2], [0, 0])] == spans  # seeds, examples, effect, zero
    thick, thin = axes.lines[:2]
    assert thin.get_linewidth() < thick.get_linewidth()
    assert [text.get_text().strip() for text in axes.texts] == [
        ".200",
        "<0.001",
        "magnitude",
        "p, seeds",
        "p, examples",
    ]
    assert axes.get_xlabel() == "accuracy minus that of magnitude, points; above 0 is better"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["sparsity 0.5", "m0"]


@pytest.mark.parametrize(
    ("seeds", "examples", "filled"), [(0.2, 0.0001, False), (0.01, 0.9, True), (None, 0.01, True), (None, None, False)]
)
def test_the_marker_is_filled_only_where_the_deciding_test_separates(seeds, examples, filled):
    (axes,) = drawn(gaps(1, by_seed_holm=seeds, examples_holm=examples)).axes
    effect = axes.lines[2]
    assert to_rgb(effect.get_markeredgecolor()) == to_rgb(look("random")[0])
    assert (to_rgb(effect.get_markerfacecolor()) == to_rgb(look("random")[0])) == filled
    assert filled or to_rgb(effect.get_markerfacecolor()) == to_rgb(LIGHT.paper)


def test_a_perplexity_keeps_its_unit_and_what_was_not_tested_has_no_column():
    table = gaps(1, difference=-3.0, by_seed_holm=None, seeds_low=np.nan, seeds_high=np.nan)
    (axes,) = drawn(table, metric="perplexity").axes
    assert axes.get_xlabel() == "perplexity minus that of magnitude; below 0 is better"
    assert axes.lines[2].get_xdata().tolist() == [-3.0]
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend[0] == "95 % interval over examples" and len(legend) == 3
    assert [text.get_text().strip() for text in axes.texts] == ["<0.001", "magnitude", "p, examples"]


def test_of_too_many_rows_the_figure_says_how_many_it_leaves_out(monkeypatch):
    monkeypatch.setattr(forest, "MAX_LINES", 3)
    (axes,) = drawn(gaps(2, 2)).axes
    assert axes.get_xlabel().endswith("\nnot drawn: 1 more row of the table below")
    assert len([text for text in axes.get_yticklabels() if text.get_text().startswith("m")]) == 3
