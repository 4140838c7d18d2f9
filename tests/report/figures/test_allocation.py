"""Test the allocation against sparsity: ratios of topology.json, averaged by hand, and the figure's contents."""

import json

import matplotlib
import numpy as np
import pytest

from prunebert.report.collect import collect
from prunebert.report.figures import allocation, maps, style
from prunebert.report.page import masks


def write_allocation(root, kinds, layers):
    topology = json.loads((root / "topology.json").read_text())
    topology["budget"] = {k: {p: {"ratio": r} for p, r in v.items()} for k, v in (("kinds", kinds), ("layers", layers))}
    (root / "topology.json").write_text(json.dumps(topology))


@pytest.fixture
def runs(run, tmp_path):
    for sparsity, key in ((0.5, 0.9), (0.9, 0.25)):
        for seed in (0, 1):
            kinds = {"key": key + 0.1 * seed, "query": 1.5, "embeddings": 1.0}
            write_allocation(run(f"smp{sparsity}{seed}", "smp", sparsity, seed), kinds, {"0": 1.2, "1": 0.8, "-1": 1.0})
            write_allocation(
                run(f"gmp{sparsity}{seed}", "gmp", sparsity, seed), {"key": 1.01, "query": 0.99}, {"0": 1.0, "1": 1.0}
            )
    write_allocation(run("once", "imp", 0.9), {"key": 0.1, "query": 2.0}, {"0": 2.0, "1": 0.1})
    (run("damaged", "l0") / "topology.json").write_text('{"budget": {"kinds": []}}')
    return collect([tmp_path]).runs


def test_ratios_are_means_over_seeds_and_leave_out_what_is_no_layer(runs):
    kinds, messages = allocation.ratios(runs, "kinds")
    ratios = kinds.set_index(["label", "sparsity", "part"])["ratio"]
    assert ratios["smp", 0.5, "key"] == pytest.approx(0.95) and ratios["smp", 0.9, "key"] == pytest.approx(0.3)
    assert ratios["smp", 0.9, "embeddings"] == 1 and "l0" not in ratios.index.get_level_values("label")
    assert set(allocation.ratios(runs, "layers")[0]["part"]) == {"0", "1"}
    assert len(messages) == 1 and "damaged" in messages[0]
    assert allocation.split_uniform(kinds) == (["smp"], ["gmp"])  # imp has only one sparsity


@pytest.mark.parametrize("theme", [style.LIGHT, style.DARK], ids=lambda t: t.name)
def test_the_figure_has_a_line_per_part_and_names_them(runs, theme):
    table, _ = allocation.ratios(runs, "kinds")
    with matplotlib.rc_context(theme.rc()):
        figure = allocation.draw_allocation(table, ["smp"], by="kinds", table="toy", theme=theme)
        figure.canvas.draw()
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["key"].get_xdata().tolist() == [0.5, 0.9]
    assert lines["key"].get_ydata().tolist() == pytest.approx([0.95, 0.3])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["query", "key", "embeddings"]
    assert axes.get_title() == "smp"


def test_the_report_draws_kinds_and_layers_and_lists_uniform_methods(runs):
    captions, troubles = [], []
    masks._allocation("toy", runs, lambda drawing: captions.append(drawing.caption), troubles)
    assert len(captions) == 2 and all("Uniform, not drawn: gmp." in caption for caption in captions)
    assert not any("drawn at" in caption for caption in captions)
    assert [t.kind for t in troubles] == ["not in the allocation figure"]


def test_the_caption_reports_ratios_too_low_to_draw(run, tmp_path):
    for sparsity in (0.5, 0.9):
        write_allocation(run(f"l0{sparsity}", "l0", sparsity), {"key": 0.001, "query": 2.0}, {"0": 1.0, "1": 1.0})
    drawings = []
    masks._allocation("toy", collect([tmp_path]).runs, drawings.append, [])
    (drawing,) = drawings
    assert "Ratios below ×1/64 are drawn at ×1/64." in drawing.caption
    with matplotlib.rc_context(style.LIGHT.rc()):
        figure = drawing.draw(theme=style.LIGHT)
        figure.canvas.draw()
    assert {"≤ ×1/64", "×1"} <= {tick.get_text() for tick in figure.axes[0].get_yticklabels()}


def test_a_layer_kept_whole_and_one_removed_whole_are_drawn_where_they_are(run, tmp_path):
    """At sparsity s a layer kept whole has the ratio 1 / (1 - s)."""
    for sparsity in (0.5, 0.9, 0.97):
        whole = 1 / (1 - sparsity)
        write_allocation(run(f"gmp{sparsity}", "gmp", sparsity), {"key": 1.0}, {"0": whole, "1": 0.0, "2": 0.5})
    table, _ = allocation.ratios(collect([tmp_path]).runs, "layers")
    with matplotlib.rc_context(style.LIGHT.rc()):
        figure = allocation.draw_allocation(table, ["gmp"], by="layers", table="toy", theme=style.LIGHT)
        figure.canvas.draw()
    (axes,) = figure.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
    assert lines["layer 0"] == pytest.approx([2, 10, 100 / 3]) and lines["layer 1"] == [1 / 64] * 3
    assert axes.get_ylim()[0] < 1 / 64 and axes.get_ylim()[1] > 100 / 3
    assert {"≤ ×1/64", "×1", "×4"} <= {tick.get_text() for tick in axes.get_yticklabels()}


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0.7, 1.3, [0.5, 1, 2]),
        (1 / 64, 33.3, [1 / 64, 1 / 16, 1 / 4, 1, 4, 16, 64]),
        (1 / 64, 1000, [1 / 64, 1 / 8, 1, 8, 64, 512]),
        (0.9, 1000, [1, 4, 16, 64, 256, 1024]),
        (1, 1, [1]),
    ],
)
def test_the_ratios_of_the_axis_are_few_and_1_is_among_them(lowest, highest, expected):
    assert allocation.ratio_ticks(lowest, highest) == expected


def test_every_column_of_panels_shows_its_sparsities(run, tmp_path):
    for method in ("smp", "l0", "imp", "gmp", "abp"):
        for sparsity in (0.5, 0.9):
            write_allocation(
                run(f"{method}{sparsity}", method, sparsity), {"key": 0.5, "query": 2.0}, {"0": 1.0, "1": 1.0}
            )
    table, _ = allocation.ratios(collect([tmp_path]).runs, "kinds")
    with matplotlib.rc_context(style.LIGHT.rc()):
        figure = allocation.draw_allocation(
            table, allocation.split_uniform(table)[0], by="kinds", table="toy", theme=style.LIGHT
        )
        figure.canvas.draw()
    visible = [[t.label1.get_visible() for t in axes.xaxis.get_major_ticks()] for axes in figure.axes]
    assert len(visible) == 5 and not any(visible[0]) and all(all(visible[i]) for i in (1, 2, 3, 4))


def test_many_runs_are_compared_as_means_over_seeds(run, tmp_path, monkeypatch):
    for method in ("smp", "gmp"):
        for seed in range(13):
            run(f"{method}{seed}", method, 0.5, seed)
    values = np.full((26, 26), 0.25)  # gmp with smp
    values[:13, :13], values[13:, 13:] = 0.5, 0.75
    monkeypatch.setattr(maps, "overlap_table", lambda runs: (list(range(len(runs))), values, []))
    drawings = []
    masks._overlap("toy", 0.5, collect([tmp_path]).runs, drawings.append, [])
    assert "compares the seeds of one row" in drawings[0].caption
    assert drawings[0].draw.args[0] == ["gmp", "smp"]
    assert drawings[0].draw.args[1].tolist() == [[0.5, 0.25], [0.25, 0.75]]


def test_means_over_seeds_leave_a_run_with_itself_out():
    values = np.array([[1, 0.2, 0.3, 0.4], [0.2, 1, 0.5, 0.6], [0.3, 0.5, 1, 0.7], [0.4, 0.6, 0.7, 1]])
    names, means = maps.over_seeds(["a", "a", "b", "c"], values)
    assert names == ["a", "b", "c"] and np.isnan(means[1, 1]) and np.isnan(means[2, 2])
    assert means[0, 0] == 0.2 and means[0, 1:].tolist() == pytest.approx([0.4, 0.5]) and means[1, 2] == 0.7
    assert np.array_equal(means, means.T, equal_nan=True)
