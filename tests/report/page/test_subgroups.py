"""The section on classes and groups, and its figure."""

import pandas as pd
import pytest

from prunebert.report import collect
from prunebert.report.figures.style import LIGHT
from prunebert.report.figures.subgroups import MOST, draw_subgroups
from prunebert.report.page import subgroups as page
from prunebert.report.statistics import subgroups
from tests.drawing.legible import faults, rc
from tests.report.conftest import LABELS, finished


@pytest.fixture
def runs(tmp_path):
    """Dense is right everywhere but twice; smp never predicts class 1."""
    finished(tmp_path / "dense", "dense", 0.0, wrong=2)
    finished(tmp_path / "smp", "smp", 0.9, prediction=[0] * len(LABELS))
    return collect.collect([tmp_path]).runs


def test_the_page_names_the_lowest_class_and_the_loss_against_dense(runs, study_of, draw, drawings):
    found = page.section(study_of(runs), draw)
    summary, figure, every = found.parts[1].parts
    lines = [[cell.text for cell in row] for row in summary.table.rows]
    # Wilson's intervals of 49/50 and 0/50
    assert lines[0] == ["dense", "0", "no", "50", "0.9800 (1)", "0.8950 to 0.9965", "–", "–", "–"]
    assert lines[1][:6] == ["smp", "0.9", "yes", "50", "0.0000 (1)", "0.0000 to 0.0713"]
    assert lines[1][6:8] == ["yes", "-0.9800"] and every.folded == "All 2 classes"
    assert [cell.text for cell in every.table.rows[2]][2:7] == ["yes", "50", "0.0000 (1)", "0.0000 to 0.0713", "0.9800"]
    assert figure.figure is not None and len(drawings) == 1


def test_tasks_without_classes_have_no_section(tmp_path, study_of, draw):
    finished(tmp_path / "a", labels=[0.5, 1.5] * 50)
    assert page.section(study_of(collect.collect([tmp_path]).runs), draw).parts == []


def test_the_figure_has_the_groups_that_lost_most_and_no_text_overlaps(runs):
    cells = subgroups.cells(subgroups.by_class(runs))
    many = [cells.assign(group=cells["group"] + "W" * 60 + str(i), gap=cells["gap"] + i / 100) for i in range(9)]
    with rc(LIGHT):
        (axes,) = draw_subgroups(cells, title="toy", value="recall", theme=LIGHT).axes
        assert [text.get_text() for text in axes.get_yticklabels()] == ["no (50)", "yes (50)"]
        marks = [tuple(line.get_xdata()) for line in axes.lines if line.get_marker() != "None"]
        assert marks == [(1.0,), (0.0,)]  # smp's; dense is a line
        figure = draw_subgroups(pd.concat(many), title="W" * 90, value="recall", theme=LIGHT)
        assert faults(figure) == [] and len(figure.axes[0].get_yticks()) == MOST
