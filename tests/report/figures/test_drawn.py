"""What a figure shows where: each value in its own cell, colours that mean the same everywhere, layers by number."""

import math
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from prunebert.report import cells, topologies
from prunebert.report.collect import collect
from prunebert.report.figures import allocation, costs, curves, literature, maps, style
from prunebert.report.published import numbers as published

THEME = style.LIGHT


@pytest.fixture(autouse=True)
def light():
    with matplotlib.rc_context(THEME.rc()):
        yield


def written(axes):
    """Return the text and its colour by (row, column)."""
    return {(round(t.get_position()[1]), round(t.get_position()[0])): (t.get_text(), t.get_color()) for t in axes.texts}


def grid(value, layers=2):
    """Return a network without multipliers that keeps the same fraction everywhere, layer × KINDS."""
    return np.where(
        np.array(topologies.KINDS) == "multiplier", math.nan, np.full((layers, len(topologies.KINDS)), value)
    )


def test_an_overlap_is_written_into_its_own_square_and_stands_out():
    """Both ends of the scale are dark, so white stands out there."""
    axes = maps.draw_overlap(["a", "b"], np.array([[0.9, -0.7], [0.3, -0.004]]), table="toy", theme=THEME).axes[0]
    assert written(axes) == {
        **{(0, 0): ("0.90", "white"), (0, 1): ("-0.70", "white")},
        **{(1, 0): ("0.30", "black"), (1, 1): ("0.00", "black")},
    }
    assert axes.images[0].get_clim() == (-1, 1)  # 0 is the middle: as by chance


def test_the_density_of_every_label_is_on_one_scale():
    dense, thin = grid(0.5), grid(0.02)
    dense[1, 0], thin[0, -1] = 0.2, math.nan
    outside = {"dense": {"pooler": 1.0, "embeddings": 0.25}, "thin": {}}
    figure = maps.draw_density({"dense": dense, "thin": thin}, outside, table="toy", theme=THEME)
    left, right = figure.axes[:2]
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0, 1)
    assert left.images[0].norm(0.125) == right.images[0].norm(0.125) == pytest.approx(0.5)  # the cube root
    shown = written(left)
    assert shown[0, 0] == ("50", "black") and shown[1, 0] == ("20", "black") and len(shown) == 12
    assert written(right)[1, 5] == ("2.0", "white") and (0, 5) not in written(right)
    assert (left.get_xlabel(), right.get_xlabel()) == ("embeddings 25.0% left", "")  # the pooler is whole
    assert [t.get_text() for t in left.get_xticklabels()][2::3] == ["value", "output"]


def test_a_gated_network_has_a_column_for_its_multiplier_and_one_layer_is_a_row():
    gated = {"ours": np.arange(7.0)[None] / 8}
    axes = maps.draw_density(gated, {"ours": {}}, table="toy", theme=THEME).axes[0]
    names = ["query", "key", "value", "att. out", "interm.", "mult.", "output"]
    assert [t.get_text() for t in axes.get_xticklabels()] == names and axes.get_yticks().tolist() == [0]
    assert axes.images[0].get_array().shape == (1, 7) and written(axes)[0, 5][0] == "62"
    both = maps.draw_density(gated | {"bert": grid(0.5, 1)}, {"ours": {}, "bert": {}}, table="t", theme=THEME)
    assert (0, 5) not in written(both.axes[1]) and written(both.axes[1])[0, 6][0] == "50"  # BERT has none


def drawn_lines(axes):
    return {line.get_label(): line for line in axes.get_lines()[:-1]}


def test_layers_are_in_the_order_of_their_numbers_and_go_from_dark_to_light():
    parts = ["10", "2", "0", "11", "1"]
    rows = [("smp", s, p, 1 + int(p) * s) for s in (0.9, 0.5) for p in parts]
    table = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    figure = allocation.draw_allocation(table, ["smp"], by="kinds", table="toy", theme=THEME)
    names = [f"layer {n}" for n in (0, 1, 2, 10, 11)]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == names
    lines = drawn_lines(figure.axes[0])
    lightness = [np.dot(colors.to_rgb(lines[n].get_color()), (0.2126, 0.7152, 0.0722)) for n in names]
    assert all(a < b for a, b in pairwise(lightness))
    assert lines["layer 10"].get_xdata().tolist() == [0.5, 0.9] and lines["layer 10"].get_ydata().tolist() == [6, 10]


def test_a_part_has_one_look_in_every_panel_and_a_name_of_its_own():
    kinds = (*topologies.KINDS, *allocation.OUTSIDE)
    rows = [("all", s, p, 2.0) for s in (0.5, 0.9) for p in kinds]
    rows += [("some", s, p, 2.0**-9) for s in (0.5, 0.9) for p in ("output", "key")]
    table = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    figure = allocation.draw_allocation(table, ["all", "some"], by="kinds", table="toy", theme=THEME)
    every, some = (drawn_lines(axes) for axes in figure.axes)
    assert list(every) == ["query", "key", "value", "att. out", "interm.", "mult.", "output", "pooler", "embeddings"]
    assert len({line.get_color() for line in every.values()}) == 9 and set(some) == {"key", "output"}
    for name, line in some.items():
        assert line.get_color() == every[name].get_color()
        assert line.get_ydata().tolist() == [2**-6] * 2  # lower ratios are drawn there
    without = allocation.draw_allocation(
        table[table["part"] != "multiplier"], ["all"], by="kinds", table="t", theme=THEME
    )
    looks = {name: (line.get_color(), line.get_marker()) for name, line in every.items() if name != "mult."}
    assert looks == {n: (x.get_color(), x.get_marker()) for n, x in drawn_lines(without.axes[0]).items()}


def test_an_allocation_below_1_is_as_far_from_uniform_as_one_above():
    rows = [("below", s, "key", 0.9) for s in (0.5, 0.9)] + [("near", s, "key", 1.01) for s in (0.5, 0.9)]
    table = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    assert allocation.split_uniform(table) == (["below"], ["near"])


def test_a_bar_of_costs_has_the_colour_and_the_costs_of_its_own_rows(run, tmp_path):
    for seed, seconds in ((0, 2.0), (1, 6.0)):
        measured = {"seconds": seconds, "seconds_per_step": seconds / 100, "peak_memory_bytes": int((1 + seed) * 2**30)}
        run(f"g{seed}", "gmp", seed=seed, **measured)
    run("s", "smp", seconds=1.0, seconds_per_step=0.5, peak_memory_bytes=2**29)
    for name, size in (("g0", 300_000), ("g1", 500_000), ("s", 1_200_000)):
        (tmp_path / name / "masks.safetensors").write_bytes(b"x" * size)
    figure = costs.draw_costs(collect([tmp_path]).runs, table="toy", theme=THEME)
    bars = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
    labels = ["seconds\nper step", "total seconds", "peak memory,\nGiB", "trained\nparameters", "size on disk,\nMB"]
    assert [axes.get_xlabel() for axes in figure.axes] == labels
    assert bars == [[pytest.approx(0.04), 0.5], [4, 1], [1.5, 0.5], [1000, 1000], [0.4, 1.2]]
    faces = [bar.get_facecolor()[:3] for bar in figure.axes[0].patches]
    assert faces == [colors.to_rgb(style.look(method)[0]) for method in ("gmp", "smp")]


def test_bands_are_one_standard_deviation_for_a_level_and_a_single_sparsity_too(run, tmp_path):
    for seed, wrong in enumerate((10, 14)):
        run(f"d{seed}", "dense", 0.0, seed, wrong=wrong)
        run(f"s{seed}", "smp", 0.9, seed, wrong=wrong + 20)
        run(f"g{seed}", "gmp", 0.9, seed, wrong=wrong + 20)
    run("s2", "smp", 0.9, 2, wrong=32)
    run("g2", "gmp", 0.5)
    means = cells.cells(collect([tmp_path]).runs)
    nothing = published.read_table()[:0]
    figure = curves.draw_scores(means, nothing, table="toy", metric="accuracy", constant_score=0.69, theme=THEME)
    (axes,) = figure.axes
    level = [p.get_extents() for p in axes.patches if p.get_alpha() == 0.15]
    box = axes.transData.inverted().transform(level[0].get_points())[:, 1]
    assert box.tolist() == pytest.approx([0.88 - 0.02 * 2**0.5, 0.88 + 0.02 * 2**0.5])
    bar = axes.collections[-1].get_segments()[0][:, 1]  # of 0.7, 0.66 and 0.68
    assert bar.tolist() == pytest.approx([0.66, 0.70])
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert {"smp, 3 seeds", "gmp, 1–2 seeds", "dense, 2 seeds", "constant baseline 0.69"} <= set(texts)


def cells_of(method, rows):
    """Return cells (label, sparsity, mean) of a method as `cells.cells` does."""
    table = pd.DataFrame(rows, columns=["label", "sparsity", "mean"])
    return table.assign(method=method, short_label=table["label"], denominator="encoder", sd=0.01, n=2)


def draw_scores(cell_means, points=(), constant_score=math.nan):
    columns = ["source", "method", "variant", "sparsity", "denominator", "kd", "score", "kind"]
    numbers = pd.DataFrame([[*point, "measured"] for point in points], columns=columns)
    figure = curves.draw_scores(
        cell_means, numbers, table="toy", metric="the metric", constant_score=constant_score, theme=THEME
    )
    return figure, figure.axes[0], [text.get_text() for text in figure.legends[0].get_texts()]


def test_two_variants_differ_in_the_fill_of_their_marks_and_more_are_numbered():
    for count, numbered in ((2, False), (3, True)):
        rows = [(f"smp {i}", s, 0.5 + i / 10) for i in range(count) for s in (0.5, 0.9)]
        _, axes, legend = draw_scores(cells_of("smp", rows))
        lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() != "None"]
        fills = [colors.to_rgb(line.get_markerfacecolor()) for line in lines]
        assert fills[:2] == [colors.to_rgb(style.look("smp")[0]), (1, 1, 1)] and len(lines) == count
        assert axes.get_ylabel() == "the metric"
        assert bool(axes.texts) == numbered and legend[0] == f"{'1: ' if numbered else ''}smp 0, 2 seeds"


def test_published_points_are_right_of_their_sparsity_with_a_mark_for_each_source():
    rows = [("smp", s, 0.8) for s in (0.5, 0.9)]
    points = [("A", "smp", "", 0.5, "encoder", "no", 0.7), ("B", "obert", "", 0.5, "encoder_pooler", "no", 0.6)]
    _, axes, legend = draw_scores(cells_of("smp", rows), points)
    found = [line for line in axes.lines if line.get_linestyle() == "None"]
    x = [float(line.get_xdata().item()) for line in found]
    assert 0.5 < x[0] < x[1] < 0.52 and len({line.get_marker() for line in found}) == 2
    expected = ["published: A", "published: B, of encoder and pooler", "obert: published only"]
    assert legend[-3:] == expected and "smp: published only" not in legend


def test_published_curves_are_dotted_without_a_teacher_and_have_marks_of_their_own():
    rows = [("smp", s, 0.8) for s in (0.5, 0.9)]
    points = [("A", "smp", "", s, "encoder", kd, 0.7) for kd in ("no", "logits") for s in (0.3, 0.5, 0.97)]
    _, axes, legend = draw_scores(cells_of("smp", rows), points)
    without, taught = [line for line in axes.lines if line.get_marker() in literature.CURVE_MARKS]
    assert taught.get_linestyle() == "-" != without.get_linestyle() and taught.get_marker() != without.get_marker()
    assert legend[-2:] == ["published: A, smp, no KD", "published: A, smp, KD"]
    low, high = axes.get_xlim()
    assert low < 0.3 and high > 0.97  # a curve ends inside


def test_one_cell_of_several_seeds_explains_the_band():
    means = cells_of("smp", [("smp", 0.5, 0.8), ("smp", 0.9, 0.7)]).assign(n=[1, 2])
    assert any("band: ±1 standard deviation" in text for text in draw_scores(means)[2])
    assert not any("band" in text for text in draw_scores(means.assign(n=1))[2])


def test_the_first_row_of_costs_is_at_the_top_with_a_tick_for_each_run(run, tmp_path):
    for seed, seconds in ((0, 2.0), (1, 6.0)):
        run(f"g{seed}", "gmp", seed=seed, seconds=seconds)
    run("s", "smp", seconds=1.0)
    first, axes, *_ = costs.draw_costs(collect([tmp_path]).runs, table="toy", theme=THEME).axes
    assert [t.get_text() for t in first.get_yticklabels()] == ["gmp", "smp"] and axes.yaxis_inverted()
    assert [list(line.get_xdata()) for line in axes.lines] == [[2, 6], [1]]


def test_an_allocations_uniform_level_is_marked_and_panels_keep_their_order():
    rows = [(label, s, "key", ratio) for label, ratio in (("z", 2.0), ("a", 0.5)) for s in (0.5, 0.9)]
    rows += [("other", s, "key", 2.0**-9) for s in (0.5, 0.9)]  # not shown, so it sets no ticks
    table = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    figure = allocation.draw_allocation(table, ["z", "a"], by="kinds", table="toy", theme=THEME)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["z", "a"]
    assert [list(axes.get_lines()[-1].get_ydata()) for axes in figure.axes] == [[1, 1]] * 2
    assert figure.axes[0].get_yscale() == "log"
    assert not any("64" in tick.get_text() for tick in figure.axes[0].get_yticklabels())


@pytest.mark.parametrize(("layers", "ticks"), [(12, list(range(12))), (13, [0, 4, 8, 12]), (24, [0, 4, 8, 12, 16, 20])])
def test_up_to_twelve_layers_are_all_numbered_and_of_more_every_fourth(layers, ticks):
    figure = maps.draw_density({"smp": grid(0.5, layers)}, {"smp": {}}, table="toy", theme=THEME)
    assert figure.axes[0].get_yticks().tolist() == ticks


def test_a_density_is_the_mean_and_small_ones_have_a_decimal():
    grids = [topologies.Topology(True, (grid(x), {"pooler": 10 * x}), {}) for x in (0.01, 0.01, 0.04)]
    runs = pd.DataFrame({"short_label": "smp", "directory": "d", "topology": grids})
    layer_means, outside_means, _ = maps.remaining(runs)
    assert layer_means["smp"][0, 0] == pytest.approx(0.02) and outside_means["smp"]["pooler"] == pytest.approx(0.2)
    assert written(maps.draw_density(layer_means, outside_means, table="toy", theme=THEME).axes[0])[0, 0][0] == "2.0"
