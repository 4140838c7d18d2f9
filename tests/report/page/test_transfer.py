"""Transferred masks in a report: the section, its figure, and nothing where no run has another run's masks."""

import numpy as np
import pytest

from prunebert.analysis import transfer
from prunebert.analysis.transfer import Cell, Matrix, Target
from prunebert.report import collect
from prunebert.report.figures.style import LIGHT
from prunebert.report.figures.transfer import draw_transfer, rows_of, shares
from prunebert.report.page import transfer as page
from tests.drawing.legible import faults, rc
from tests.report.conftest import finished


def from_mask(root, wrong, task="sst2", seed=0, shuffled=False):
    settings = {"fit": {"steps": 9}, "sparsity": 0.5, "seed": seed, "shuffled": shuffled, "masks": f"{task}-{seed}"}
    origin = {"method": "smp", "task": task, "seed": seed, "sparsity": 0.5}
    return finished(root, "fixed_mask", 0.5, seed, wrong=wrong, settings=settings, masks_from=origin)


@pytest.fixture
def runs(tmp_path):
    for name, wrong, more in (
        ("a", 20, {}),
        ("b", 30, {"seed": 1}),
        ("c", 40, {"shuffled": True}),
        ("d", 10, {"task": "mnli"}),
    ):
        from_mask(tmp_path / name, wrong, **more)
    finished(tmp_path / "dense", "dense", 0.0, wrong=5)
    collected = collect.collect([tmp_path])
    assert collected.troubles == [] and len(collected.runs) == 5
    return collected.runs


def test_the_section_has_the_scores_between_dense_and_the_constant_baseline(runs, study_of, draw, drawings):
    troubles = []
    found = page.section(study_of(runs), draw, troubles)
    table = found.parts[1].parts[0].table
    assert found.title == "Transfer of masks" and table.columns == ["mask of", "toy (accuracy)"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["dense", "0.9500 (1)"],
        ["smp, mnli", "0.9000 (1)"],
        ["shuffled", "–"],
        ["smp, sst2", "0.7500 ± 0.0707 (2)"],  # .8 and .7
        ["shuffled", "0.6000 (1)"],
        ["constant baseline", "0.5000"],
    ]
    assert [drawing.name for drawing in drawings][-1].startswith("transfer-weights-and-head-trained")
    assert troubles == []


def test_runs_without_transferred_masks_have_no_section(tmp_path, study_of, draw):
    finished(tmp_path / "a", "smp", 0.5)
    assert page.section(study_of(collect.collect([tmp_path]).runs), draw, []).parts == []


def matrix(sources, tasks):
    targets = [Target(task, "accuracy") for task in tasks]
    scores = {(s, t): Cell(0.6 + 0.1 * i, 0.01, 2) for s in sources for i, t in enumerate(targets)}
    constants = dict.fromkeys(targets, 0.5)
    return Matrix("a way", sources, targets, scores, {}, {targets[0]: Cell(0.9, None, 1)}, constants, {})


def test_small_differences_have_light_colours():
    """0.51 - 0.5 is a fifth of the least range, 0.05."""
    target = Target("x", "accuracy")
    near = Matrix("a way", ["one"], [target], {("one", target): Cell(0.51, None, 1)}, {}, {}, {target: 0.5}, {})
    assert shares(near)[[1, 3], 0] == pytest.approx([0.2, 0.0])


def test_colours_go_from_the_lowest_to_the_highest_score_of_a_column():
    found = shares(matrix(["one"], ["x", "y"]))
    assert [name for name, _ in rows_of(matrix(["one"], ["x", "y"]))] == [
        "dense",
        "one",
        "shuffled",
        "constant baseline",
    ]
    assert found[:, 0] == pytest.approx([1, 0.25, np.nan, 0], nan_ok=True)  # of .9, .6, none, .5
    assert found[:, 1] == pytest.approx([np.nan, 1, np.nan, 0], nan_ok=True)  # of none, .7, none, .5


def test_the_figure_writes_every_score_and_overlap():
    overlap = np.array([[np.nan, 0.25], [0.25, 0.5]])
    scores, beside = draw_transfer(matrix(["one", "two"], ["x"]), overlap, theme=LIGHT).axes
    written = [text.get_text() for text in scores.texts]
    assert (
        written.count("0.600\n± 0.010") == 2 and written.count("–") == 2 and "0.900" in written and "0.500" in written
    )
    assert sorted(text.get_text() for text in beside.texts) == ["0.25", "0.25", "0.50", "–"]


@pytest.mark.parametrize("names", [["smp, sst2"], ["W" * 90, "movement, 剪枝方法" * 9, "smp, mnli, sparsity 0.95"]])
def test_no_text_of_the_figure_is_cut_or_overlaps(names):
    overlap = np.eye(len(names)) if len(names) > 1 else None
    with rc(LIGHT):
        assert faults(draw_transfer(matrix(names, ["rte", "a_task_with_a_long_name", "x"]), overlap, theme=LIGHT)) == []


def test_transfer_knows_every_way_by_name():
    assert set(transfer.WAYS) == {(train, start) for train in ("all", "head") for start in ("pretrained", "run")}
