"""The section on calibration, and its figure."""

import numpy as np
import pandas as pd
import pytest

from prunebert.report import collect
from prunebert.report.figures.calibration import LEAST, draw_calibration
from prunebert.report.figures.style import LIGHT
from prunebert.report.page import calibration as page
from prunebert.report.statistics import calibration
from tests.drawing.legible import faults, rc
from tests.report.conftest import finished
from tests.report.statistics.test_calibration import with_scores


@pytest.fixture
def runs(tmp_path):
    for name, sparsity, confidence in (("dense", 0.0, 0.9), ("smp", 0.9, 0.8)):
        logits = np.tile(np.log([confidence, 1 - confidence]), (100, 1))
        with_scores(finished(tmp_path / name, name, sparsity), logits, [0] * 90 + [1] * 10)
    finished(tmp_path / "other", "smp", 0.9, task="numbers")  # without scores
    return collect.collect([tmp_path]).runs


def test_the_page_has_the_measures_beside_a_figure_and_names_what_is_left_out(runs, study_of, draw, drawings):
    troubles = []
    found = page.section(study_of(runs), draw, troubles)
    assert "so not here: numbers, bert-base-uncased." in found.parts[0].text and len(found.parts) == 2
    table = found.parts[1].parts[0].table
    lines = [[cell.text for cell in row] for row in table.rows]
    assert table.columns[:4] == ["method", "sparsity", "ECE, equal width", "ECE, equal mass"]
    assert "evaluation rows: 100" in table.note
    # confidence .9 is right 9 times of 10: ECE 0; of .8 it is .1. Brier: .9 (.1² + .1²) + .1 (.9² + .9²) = .18
    assert lines[0][:5] == ["dense", "0", "0.0000 (1)", lines[0][3], "0.1800 (1)"]
    assert lines[1][:3] == ["smp", "0.9", "0.1000 (1)"] and lines[1][-1] == "0.8000 (1)"
    assert [drawing.name for drawing in drawings] == ["calibration-toy-bert-base-uncased"] and not troubles


def test_damaged_predictions_are_listed_and_no_probabilities_add_nothing(runs, study_of, draw):
    root = runs["directory"][runs["method"] == "dense"].iloc[0]
    with_scores(root, [[np.inf, 0.0]] * 100, [0] * 100)
    troubles = []
    page.section(study_of(runs), draw, troubles)
    assert [trouble.kind for trouble in troubles] == ["not in the calibration"]
    only = runs[runs["task"] == "numbers"]
    assert page.section(study_of(only), draw, []).parts == []


def test_the_figure_has_the_bins_of_enough_predictions_in_a_panel_for_each_sparsity():
    bins = pd.DataFrame({"rows": [LEAST, LEAST - 1, 20], "confidence": [6.0, 6.3, 18.0], "right": [7.0, 6.0, 15.0]})
    cell = {"bins": bins, "order": 0}
    rows = [("dense", 0.0), ("smp", 0.9)]
    means = pd.DataFrame([{"method": name, "label": name, "sparsity": s} | cell for name, s in rows])
    with rc(LIGHT):
        (axes,) = draw_calibration(means, table="toy", theme=LIGHT).axes
        assert axes.get_title() == "sparsity 0.9" and len(axes.lines) == 3  # the diagonal, dense and smp
        assert np.allclose(axes.lines[1].get_xydata(), [[0.6, 0.7], [0.9, 0.75]])
        names = {s: "m" * 60 + str(s) for s in np.linspace(0.1, 0.9, 9)}
        many = pd.concat([means.assign(sparsity=s, method=m, label=m) for s, m in names.items()])
        assert faults(draw_calibration(many, table="W" * 90, theme=LIGHT)) == []


def test_variants_of_a_method_have_dashes_of_their_own_which_the_legend_names():
    bins = pd.DataFrame({"rows": [20], "confidence": [18.0], "right": [15.0]})
    names = [f"smp (steps={k})" for k in range(4)]
    means = pd.DataFrame([{"method": "smp", "label": name, "sparsity": 0.9, "bins": bins} for name in names])
    with rc(LIGHT):
        figure = draw_calibration(means, table="toy", theme=LIGHT)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*names, "confidence = accuracy"]
    drawn = [line.get_linestyle() for line in figure.axes[0].lines[:4]]
    assert len(set(drawn)) == 4 and [line.get_linestyle() for line in legend.get_lines()][:4] == drawn


def test_measures_are_those_of_the_statistics(runs):
    means = calibration.cells(calibration.of_runs(runs[runs["task"] == "toy"]))
    assert means["label"].tolist() == ["dense", "smp"] and means["ece"].tolist() == pytest.approx([0, 0.1])
