"""Spectra in a report: the table beside dense and random, the figure, and runs that lack them or have odd ones."""

import json
import math

import numpy as np
import pytest

from prunebert.report import topologies
from prunebert.report.collect import collect
from prunebert.report.figures.spectral import draw_spectra, means
from prunebert.report.figures.style import LIGHT
from prunebert.report.page import spectral as page
from tests.drawing.legible import faults, rc
from tests.report.conftest import finished

QUERY, OUTPUT = topologies.KINDS.index("query"), topologies.KINDS.index("output")


def spectrum(first, second, random):
    return {"sigma_1": first, "sigma_2": second, "random": {"sigma_1": 10.0, "sigma_2": random}}


def add_spectra(root, matrices):
    """Give a finished run spectra of the matrices of layer 0 and of the pooler."""
    content = json.loads((root / "topology.json").read_text())
    content["matrices"]["pooler"] = {"layer": -1, "kind": "pooler", "remaining": 0.5}
    (root / "topology.json").write_text(
        json.dumps(content | {"spectral": {"weights": "trained", "matrices": matrices}})
    )
    return root


def entry(unweighted, weighted=None, difference=None):
    return {"unweighted": unweighted, "weighted": weighted, "difference_of_bound": difference}


@pytest.fixture
def runs(tmp_path):
    """Two seeds of smp, a dense run, and one of an earlier version."""
    for seed, second in ((0, 4.0), (1, 6.0)):
        add_spectra(
            finished(tmp_path / f"smp{seed}", "smp", 0.5, seed),
            {
                "layer.0.query": entry(spectrum(10.0, second, 2.0), spectrum(8.0, 2.0, 1.0), 1.5),
                "layer.0.output": entry(spectrum(10.0, 0.0, 0.0)),
                "pooler": entry(spectrum(99.0, 98.0, 1.0)),
            },
        )
    add_spectra(finished(tmp_path / "dense", "dense"), {"layer.0.query": entry(spectrum(10.0, 0.0, 0.0))})
    finished(tmp_path / "old", "imp", 0.5)
    return collect([tmp_path]).runs


def test_values_are_means_over_seeds_by_layer_and_kind(runs):
    found, messages = means(runs[runs["sparsity"] > 0])
    assert list(found) == ["smp"] and messages == []
    grids = found["smp"]
    # seeds: σ₂ 4 and 6 of σ₁ 10, the null's 2 of 10
    assert grids["unweighted gap"][0, QUERY] == pytest.approx((0.6 + 0.4) / 2)
    assert grids["unweighted random gap"][0, QUERY] == pytest.approx(0.8)
    assert grids["unweighted ratio"][0, QUERY] == pytest.approx((2 + 3) / 2)
    assert grids["weighted gap"][0, QUERY] == pytest.approx(0.75) and grids["weighted ratio"][0, QUERY] == 2
    assert grids["unweighted gap"][0, OUTPUT] == 1 and math.isnan(grids["unweighted ratio"][0, OUTPUT])
    assert math.isnan(grids["weighted gap"][0, OUTPUT]) and math.isnan(grids["difference of bound"][0, OUTPUT])
    assert np.isnan(grids["unweighted gap"]).sum() == grids["unweighted gap"].size - 2  # no pooler


def test_the_page_has_dense_and_random_beside_each_method(runs, study_of, draw, drawings):
    troubles = []
    found = page.section(study_of(runs), draw, troubles)
    (tab,) = found.parts[1].parts[0].parts
    table = tab.parts[0].table
    assert found.parts[0].text.count("cannot tell") == 1 and tab.heading == "0.5" and troubles == []
    assert table.columns[:4] == ["method", "gap", "gap, random", "σ₂ ÷ random"]
    lines = [[cell.text for cell in row] for row in table.rows]
    assert lines == [
        ["dense", "1.000", "1.000", "–", "–", "–", "–", "–"],
        ["smp", "0.750", "0.900", "2.50", "0.750", "0.900", "2.00", "+1.50"],
    ]
    assert [drawing.name for drawing in drawings] == ["spectra-toy-bert-base-uncased-0.5"]


def test_the_figure_has_two_panels_a_label_on_one_scale(runs):
    with rc(LIGHT):
        figure = draw_spectra(means(runs[runs["sparsity"] > 0])[0], table="toy", theme=LIGHT)
        assert faults(figure) == []
    plain, weighted = figure.axes[:2]
    assert [axes.get_title() for axes in (plain, weighted)] == ["smp", "smp, weighted"]
    assert plain.images[0].get_clim() == weighted.images[0].get_clim() == (0.25, 4)
    assert plain.images[0].norm(1) == pytest.approx(0.5)
    assert [(*text.get_position(), text.get_text()) for text in plain.texts] == [(0, 0, "2.5")]
    assert [label.get_text() for label in plain.get_xticklabels()] == ["query"]  # alone it has a ratio


def test_without_spectra_there_is_no_section_and_odd_ones_are_named(tmp_path, study_of, draw):
    finished(tmp_path / "old", "imp", 0.5)
    assert page.section(study_of(collect([tmp_path]).runs), draw, []).parts == []
    odd = add_spectra(finished(tmp_path / "odd", "smp", 0.5), {"layer.0.query": entry(spectrum(1.0, 1.0, 1.0))})
    content = json.loads((odd / "topology.json").read_text())
    content["matrices"]["layer.0.query"]["kind"] = "gate"
    (odd / "topology.json").write_text(json.dumps(content))
    troubles = []
    assert page.section(study_of(collect([tmp_path]).runs), draw, troubles).parts == []
    (trouble,) = troubles
    assert trouble.kind == "not among the spectra" and "odd cannot be read" in trouble.reason
