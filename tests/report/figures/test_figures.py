"""Test the contents of the figures with matplotlib: values, marks and constant colours."""

import math
from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from prunebert.report import cells
from prunebert.report.collect import collect
from prunebert.report.figures import costs, curves, literature, maps, style
from prunebert.report.published import numbers as published
from tests.report.conftest import OVERLAP


@pytest.fixture(autouse=True, params=[style.LIGHT, style.DARK], ids=lambda t: t.name)
def theme(request):
    with matplotlib.rc_context(request.param.rc()):
        yield request.param


def draw_curves(run, tmp_path, theme, task="mnli", constant_score=0.35):
    for method, level in (("smp", 10), ("magnitude", 20)):
        for sparsity in (0.5, 0.9):
            for seed in (0, 1):
                wrong = level + seed + int(10 * sparsity)
                run(
                    f"{method}{sparsity}{seed}",
                    method,
                    sparsity,
                    seed,
                    task=task,
                    metric="accuracy_matched",
                    wrong=wrong,
                )
    run("d", "dense", 0.0, task=task, metric="accuracy_matched", wrong=5)
    cell_means = cells.cells(collect([tmp_path]).runs)
    points = published.points(published.read_table(), "bert-base-uncased", task, "accuracy_matched")
    figure = curves.draw_scores(
        cell_means, points, table="toy", metric="accuracy_matched", constant_score=constant_score, theme=theme
    )
    figure.canvas.draw()
    return figure, points


def test_lines_bands_levels_and_published_points(run, tmp_path, theme):
    figure, points = draw_curves(run, tmp_path, theme)
    (axes,) = figure.axes
    lines = {(line.get_color(), len(line.get_xdata())): line for line in axes.lines if line.get_linestyle() == "-"}
    smp = lines[style.look("smp")[0], 2]
    assert smp.get_xdata().tolist() == [0.5, 0.9] and smp.get_ydata() == pytest.approx([0.845, 0.805])
    bands = [c.get_paths()[0].vertices[:, 1] for c in axes.collections]
    sd = math.sqrt(0.5) * 0.01
    assert any(b.min() == pytest.approx(0.805 - sd) and b.max() == pytest.approx(0.845 + sd) for b in bands)
    assert any(set(line.get_ydata()) == {0.95} for line in axes.lines)  # dense, a level
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    group = points.groupby(["source", "method", "variant", "kd"])["sparsity"].transform("nunique")
    single = points[group < 3]
    assert len(marks) == len(single) > 20
    assert sorted(float(m.get_ydata()[0]) for m in marks) == pytest.approx(sorted(single["score"]))
    hollow = sum(m.get_markerfacecolor() == theme.paper for m in marks)
    assert hollow == (single["kd"] == "no").sum()
    faint = [line for line in axes.lines if line.get_marker() in literature.CURVE_MARKS]
    smp_curves = points[(group >= 3) & (points["method"] == "smp")].groupby(["source", "variant", "kd"])["score"]
    drawn = sorted(sorted(line.get_ydata()) for line in faint)
    assert drawn == sorted(sorted(scores) for _, scores in smp_curves) and len(faint) == 7
    assert all(line.get_color() == style.look("smp")[0] and line.get_alpha() < 0.6 for line in faint)
    assert all(line.get_linewidth() < smp.get_linewidth() for line in faint)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    for text in ("smp, 2 seeds", "dense, 1 seed", "published: SMP Table 2", "obert: published only"):
        assert text in texts
    assert "published: SMP Table 1, smp, allocation=score, KD" in texts
    assert "published: SMP ablations, smp, allocation=global, no KD" in texts
    assert not [text for text in texts if "movement sheet" in text]  # of methods without a run
    assert any("±1 standard deviation" in text for text in texts)
    low, high = axes.get_ylim()
    assert low < 0.35 < 0.8 < high and "constant baseline 0.35" in texts


def test_ticks_do_not_overlap_and_nothing_is_cut_off(run, tmp_path, theme):
    figure, _ = draw_curves(run, tmp_path, theme)
    (axes,) = figure.axes
    ticks = axes.get_xticklabels()
    assert {".5", ".9", ".95", ".97"} <= {tick.get_text() for tick in ticks}
    boxes = [tick.get_window_extent() for tick in ticks]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    width = figure.get_figwidth() * figure.dpi
    assert all(line.get_window_extent().x1 <= axes.bbox.x1 + 1 for line in axes.lines if line.get_linestyle() == "None")
    assert figure.legends[0].get_window_extent().x1 <= width and figure.legends[0].get_window_extent().x0 >= 0


def test_the_axis_begins_at_the_lowest_sparsity_and_line_numbers_do_not_overlap(run, tmp_path, theme):
    run("d", "dense", 0.0)
    for k in range(6):
        for sparsity in (0.5, 0.9):
            run(f"{k}{sparsity}", "smp", sparsity, settings={"k": k}, wrong=20 + k // 5)
    cell_means = cells.cells(collect([tmp_path]).runs)
    figure = curves.draw_scores(
        cell_means, published.read_table()[:0], table="toy", metric="accuracy", constant_score=math.nan, theme=theme
    )
    figure.canvas.draw()
    (axes,) = figure.axes
    assert axes.get_xticklabels()[0].get_text() == ".5"
    boxes = sorted((t.get_window_extent() for t in axes.texts), key=lambda box: box.y0)
    assert len(boxes) == 6 and all(a.y1 < b.y0 for a, b in pairwise(boxes))


def test_long_labels_stay_within_the_figure_and_a_dollar_is_no_formula(run, tmp_path, theme):
    run("dense", "dense", 0.0)
    for k in range(12):
        run(
            f"low{k}",
            "smp",
            0.2,
            settings={"a_long_name": f"value $\\{k}", "another_long_name": f"some {k} words " * 6},
        )
        run(str(k), "smp", settings={"a_long_name": f"value $\\{k}", "another_long_name": f"some {k} words " * 6})
    cell_means = cells.cells(collect([tmp_path]).runs)
    figure = curves.draw_scores(
        cell_means, published.read_table()[:0], table="toy", metric="accuracy", constant_score=math.nan, theme=theme
    )
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.get_figwidth() * figure.dpi
    assert figure.axes[0].bbox.height > 200


def test_density_is_the_mean_of_the_runs(run, tmp_path, theme):
    import json

    for seed, fraction in ((0, 0.2), (1, 0.4)):
        root = run(f"s{seed}", "smp", 0.5, seed)
        topology = json.loads((root / "topology.json").read_text())
        topology["matrices"]["layer.1.key"]["remaining"] = fraction
        topology["matrices"]["pooler"] = {"layer": -1, "kind": "pooler", "remaining": fraction}
        (root / "topology.json").write_text(json.dumps(topology))
    (run("m", "magnitude") / "topology.json").write_text("{}")
    layer_means, outside_means, messages = maps.remaining(collect([tmp_path]).runs)
    first, second = layer_means["smp"].tolist()
    assert math.isnan(first.pop(5)) and math.isnan(second.pop(5))  # no network here has a multiplier
    assert (first, second) == ([0.5] * 6, [0.5, pytest.approx(0.3), 0.5, 0.5, 0.5, 0.5])
    assert outside_means == {"smp": {"pooler": pytest.approx(0.3)}} and len(messages) == 1
    figure = maps.draw_density(layer_means, outside_means, table="toy", theme=theme)
    image = figure.axes[0].images[0]
    assert image.get_array().tolist() == [first, second] and image.get_clim() == (0, 1)
    assert figure.axes[0].get_xlabel() == "pooler 30.0% left"
    assert [t.get_text() for t in figure.axes[0].texts][7] == "30"


@pytest.mark.parametrize("n", [2, 12, 20])
def test_overlap_is_the_matrix_it_is_given(theme, n):
    values = np.linspace(-0.2, 1, n * n).reshape(n, n)
    figure = maps.draw_overlap([f"method {i}" for i in range(n)], values, table="toy", theme=theme)
    figure.canvas.draw()
    assert np.allclose(figure.axes[0].images[0].get_array(), values)
    assert len(figure.axes[0].texts) == (n * n if n <= maps.MAX_NUMBERED else 0)
    for ticks in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [t.get_text() for t in ticks] == [f"method {i}" for i in range(n)]


def test_labels_too_long_for_the_overlap_are_numbered(theme):
    figure = maps.draw_overlap(
        ["short", "long " * 20], np.eye(2), table="toy", theme=theme, diagonal="a run with itself"
    )
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1", "2"]
    assert figure.legends[0].get_texts()[0].get_text() == "1: short"
    assert figure.axes[0].get_xlabel() == "on the diagonal: a run with itself"


def test_runs_that_removed_nothing_or_are_damaged_are_left_out_of_the_overlap(run):
    runs = [run("a", "smp"), run("b", "dense"), run("c", "magnitude"), run("d", "gmp")]
    (runs[3] / "masks.safetensors").write_bytes(b"no")
    indices, values, messages = OVERLAP(dict.fromkeys(runs))
    assert indices == [0, 2] and np.allclose(values, 1)  # all masks made by hand are equal
    assert len(messages) == 1 and "d/masks.safetensors" in messages[0]


def test_costs_are_means_and_each_device_has_a_bar(run, tmp_path, theme):
    run("a", "smp", seed=0, seconds=2.0)
    run("b", "smp", seed=1, seconds=4.0)
    run("c", "smp", seed=2, seconds=1.0, device="GPU", peak_memory_bytes=None)
    figure = costs.draw_costs(collect([tmp_path]).runs, table="toy", theme=theme)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["smp on cpu, 1 thread", "smp on GPU"]
    assert [bar.get_width() for bar in figure.axes[1].patches] == [3, 1]
    assert [bar.get_width() for bar in figure.axes[2].patches] == [1]
    assert [text.get_text() for text in figure.axes[2].texts] == ["–"]  # unknown is not 0


def test_a_topology_with_unknown_kinds_is_reported(run, tmp_path):
    (run("a") / "topology.json").write_text('{"matrices": {"x": {"layer": 0, "kind": "other", "remaining": 1}}}')
    layer_means, _, messages = maps.remaining(collect([tmp_path]).runs)
    assert layer_means == {} and len(messages) == 1
