"""Scores on other tasks in a report: table, figure, LaTeX, results.csv; nothing where no run has one."""

import json

import numpy as np
import pandas as pd
import pytest

from prunebert.report import collect, command, rows
from prunebert.report.export import elsewhere as export
from prunebert.report.export.grid import Form
from prunebert.report.figures.elsewhere import draw_elsewhere
from prunebert.report.figures.style import LIGHT
from prunebert.report.page import elsewhere as page
from prunebert.report.statistics import elsewhere
from prunebert.runs import artifacts, evaluations
from tests.drawing.legible import faults, rc
from tests.report.conftest import finished

# method, sparsity, seed: wrong predictions of 100 on the own task, and the score on HANS
RUNS = {
    ("magnitude", 0.5, 0): (20, 0.55),
    ("magnitude", 0.5, 1): (10, 0.45),
    ("magnitude", 0.9, 0): (30, 0.5),
    ("smp", 0.9, 0): (40, 0.625),
}


def keep(root, score, task="hans", metric="accuracy", **more):
    metrics = {metric: score, "accuracy_lexical_overlap": score / 2}
    found = {"task": task, "metric": metric, "score": score, "metrics": metrics, "majority": {metric: 0.5}}
    found["data"] = {"fingerprint": {"train": "x", "validation": f"rows of {task}"}}
    return evaluations.keep(root, artifacts.result(root), found | more)


@pytest.fixture
def folder(tmp_path):
    """The four runs, and one of smp without an evaluation."""
    for (method, sparsity, seed), (wrong, score) in RUNS.items():
        keep(finished(tmp_path / f"{method}-{sparsity}-{seed}", method, sparsity, seed, wrong=wrong), score)
    finished(tmp_path / "without", "smp", 0.9, 1)
    return tmp_path


@pytest.fixture
def runs(folder):
    collected = collect.collect([folder])
    assert collected.troubles == [] and len(collected.runs) == 5
    return collected.runs


def test_means_and_differences_are_over_the_seeds_that_have_the_evaluation(runs):
    means = elsewhere.cells(elsewhere.evaluations(runs)).set_index(["label", "sparsity"])
    cell = means.loc[("magnitude", 0.5)]
    assert cell[["here", "there", "gap", "constant", "n"]].tolist() == pytest.approx([0.85, 0.5, -0.35, 0.5, 2])
    # own scores .8 and .9, there .55 and .45, so the differences are -.25 and -.45
    assert cell[["here_sd", "there_sd", "gap_sd"]].tolist() == pytest.approx(
        [np.std(pair, ddof=1) for pair in ([0.8, 0.9], [0.55, 0.45], [-0.25, -0.45])]
    )
    assert means.loc[("smp", 0.9), ["here", "there", "n"]].tolist() == pytest.approx([0.6, 0.625, 1])  # seed 0 alone


def test_the_page_has_the_table_and_every_metric_beside_a_figure(runs, study_of, draw, drawings):
    found = page.section(study_of(runs), draw)
    inner = found.parts[1].parts
    table = inner[0].table
    assert found.title == "Out of distribution"
    assert table.columns == ["method", "sparsity", "own score", "score there", "difference"]
    assert "evaluated on: hans; metric: accuracy; constant baseline there: 0.5000" in table.note
    lines = [[cell.text for cell in row] for row in table.rows]
    assert lines == [
        ["magnitude", "0.5", "0.8500 ± 0.0707 (2)", "0.5000 ± 0.0707 (2)", "-0.3500 ± 0.1414"],
        ["magnitude", "0.9", "0.7000 (1)", "0.5000 (1)", "-0.2000"],
        ["smp", "0.9", "0.6000 (1)", "0.6250 (1)", "+0.0250"],
    ]
    every = inner[2].table
    assert inner[2].folded == "Every metric on hans" and every.columns[2:] == ["accuracy", "accuracy_lexical_overlap"]
    assert [cell.text for cell in every.rows[0]] == ["magnitude", "0.5", "0.5000", "0.2500"]
    assert [cell.text for cell in every.rows[-1]] == ["constant baseline", "–", "0.5000", "–"]
    assert [drawing.name for drawing in drawings] == ["elsewhere-toy-bert-base-uncased"]


def test_the_figure_has_a_mark_for_each_cell_at_its_two_means(runs):
    means = elsewhere.cells(elsewhere.evaluations(runs))
    (axes,) = draw_elsewhere(means, table="toy", theme=LIGHT).axes
    marks = {
        (round(float(x), 6), round(float(y), 6))
        for line in axes.lines
        if line.get_marker() not in ("None", "|", "_")
        for x, y in zip(*line.get_data(), strict=True)
    }
    assert {(0.85, 0.5), (0.7, 0.5), (0.6, 0.625)} <= marks and len(marks) == 3
    assert any(line.get_linestyle() == ":" or list(line.get_ydata()) == [0.5, 0.5] for line in axes.lines)
    assert axes.get_title() == "hans" and axes.get_xlabel() == "own task: accuracy"


def test_other_metrics_have_no_difference_and_sets_of_one_name_are_told_apart(tmp_path):
    root = finished(tmp_path / "a", metric="matthews", metrics={"matthews": 0.8})
    keep(root, 0.75)
    keep(root, 0.25, data={"fingerprint": {"test": "others"}})
    runs = collect.collect([tmp_path]).runs
    means = elsewhere.cells(elsewhere.evaluations(runs))
    assert means["gap"].isna().all() and sorted(means["there"]) == [0.25, 0.75]
    assert means["other"].nunique() == 2 and means["other"].str.match(r"hans \(rows-[0-9a-f]{8}\)").all()
    assert "No difference: the two scores are different metrics" in page.scores(means).note


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        ("accuracy_matched", "accuracy", True),
        ("accuracy", "accuracy", True),
        ("f1", "accuracy", False),
        ("accuracy", "acc", False),
    ],
)
def test_a_split_does_not_make_another_metric(own, other, expected):
    assert elsewhere.are_comparable(own, other) is elsewhere.are_comparable(other, own) is expected


def test_latex_has_a_table_for_each_other_task(runs):
    (grid,) = export.of_evaluations(runs, Form())
    assert "evaluated on hans (accuracy in percent)" in grid.caption
    assert [[cell.text for cell in row.cells] for row in grid.rows] == [
        ["0.5", "85.0", "50.0", "-35.0", "50.0"],
        ["0.9", "70.0", "50.0", "-20.0", "50.0"],
        ["0.9", "60.0", "62.5", "+2.5", "50.0"],
    ]
    assert grid.rows[0].cells[1].deviation == "7.1"


def test_results_csv_keeps_them_for_a_later_report(runs, tmp_path):
    table = command.flatten(runs)
    assert table["evaluations.hans.score"].dropna().tolist() == [0.55, 0.45, 0.5, 0.625]
    (tmp_path / "results.csv").write_text(rows.as_csv(table))
    again = collect.collect([tmp_path / "results.csv"]).runs
    columns = ["other", "label", "sparsity", "here", "there", "gap", "constant", "n"]
    expected, found = (elsewhere.cells(elsewhere.evaluations(each))[columns] for each in (runs, again))
    pd.testing.assert_frame_equal(found, expected)


def test_a_damaged_evaluation_is_listed_and_left_out_and_none_adds_nothing(folder, study_of, draw):
    for root in folder.iterdir():
        for file in (root / "evaluations").glob("*"):
            file.write_text(json.dumps(json.loads(file.read_text()) | {"score": 1.0}))
    collected = collect.collect([folder])
    assert {trouble.kind for trouble in collected.troubles} == {"not among the evaluations"}
    assert len(collected.troubles) == 4 and len(collected.runs) == 5
    assert page.section(study_of(collected.runs), draw).parts == []
    assert export.of_evaluations(collected.runs, Form()) == []
    assert not [name for name in command.flatten(collected.runs) if name.startswith("evaluations")]


def test_ticks_of_a_single_score_do_not_overlap():
    row = {"method": "smp", "label": "smp", "sparsity": 0.9, "metric": "accuracy", "own_metric": "accuracy"}
    numbers = {"here": 0.6457, "there": 0.5307, "here_sd": np.nan, "there_sd": np.nan, "constant": 0.5271, "gap": -0.1}
    cells = pd.DataFrame([row | numbers | {"other": other} for other in ("hans", "rte", "paws")])
    with rc(LIGHT):
        figure = draw_elsewhere(cells, table="toy", theme=LIGHT)
        assert faults(figure) == []
    assert all(axes.get_xlim()[1] - axes.get_xlim()[0] >= 0.02 - 1e-9 for axes in figure.axes)


@pytest.mark.parametrize("others", [["hans"], ["W" * 90, "hans", "剪枝方法" * 20, "paws"]], ids=["one", "four"])
def test_no_text_of_the_figure_is_cut_or_overlaps(others):
    names = ["dense", "magnitude", "soft_movement", "another_method_of_mine"]
    cells = pd.DataFrame([(o, m, s) for o in others for m in names for s in (0.5, 0.9)])
    cells.columns = ["other", "method", "sparsity"]
    cells = cells.assign(label=cells["method"], metric="accuracy_" + "x" * 40, own_metric="W" * 60, constant=0.5)
    cells = cells.assign(here=0.81 - cells["sparsity"] / 9, there=0.6, here_sd=0.01, there_sd=np.nan, gap=-0.2)
    with rc(LIGHT):
        assert faults(draw_elsewhere(cells, table="sst2, bert-base-uncased", theme=LIGHT)) == []
