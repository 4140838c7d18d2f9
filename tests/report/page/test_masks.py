"""Which runs' masks are compared, how they are called, and what is folded or drawn at each sparsity."""

import numpy as np
import pytest

from prunebert.report.collect import collect
from prunebert.report.figures import maps
from prunebert.report.page import masks


@pytest.fixture
def drawn_overlap(monkeypatch):
    """Return a function that gives the labels, values, diagonal and caption of a figure of overlaps."""

    def call(runs, readable=None):
        def overlaps(compared):
            compared_runs.extend(directory.name for directory in compared)
            indices = [i for i in range(len(compared)) if readable is None or i in readable]
            return indices, np.arange(len(indices) ** 2).reshape(len(indices), -1), []

        compared_runs, drawings = [], []
        monkeypatch.setattr(maps, "overlap_table", overlaps)
        parts = masks._overlap("toy", 0.5, runs, drawings.append, [])
        if not parts:
            return compared_runs, None
        (drawing,) = drawings
        return compared_runs, (*drawing.draw.args, drawing.draw.keywords["diagonal"], drawing.caption)

    return call


def test_overlaps_name_the_seed_where_there_are_several(run, tmp_path, drawn_overlap):
    for method, seed in (("smp", 1), ("smp", 0), ("gmp", 0)):
        run(f"{method}{seed}", method, 0.5, seed)
    runs = collect([tmp_path]).runs
    _, (labels, _, diagonal, _) = drawn_overlap(runs)
    assert labels == ["gmp, seed 0", "smp, seed 0", "smp, seed 1"] and diagonal == "a run with itself"
    _, (labels, values, *_) = drawn_overlap(runs, readable=[0, 2])
    assert labels == ["gmp, seed 0", "smp, seed 1"] and values.shape == (2, 2)
    assert drawn_overlap(runs[runs["seed"] == 0])[1][0] == ["gmp", "smp"]
    assert drawn_overlap(runs, readable=[1])[1] is None


def test_of_too_many_runs_those_with_the_lowest_seeds_are_compared(run, tmp_path, drawn_overlap, monkeypatch):
    for method in ("smp", "gmp"):
        for seed in (3, 0, 2, 1):
            run(f"{method}{seed}", method, 0.5, seed)
    monkeypatch.setattr(masks, "MAX_COMPARED", 5)
    monkeypatch.setattr(masks, "MAX_SINGLE", 7)
    compared, (labels, _, diagonal, caption) = drawn_overlap(collect([tmp_path]).runs)
    assert compared == ["gmp0", "gmp1", "smp0", "smp1"] and labels == ["gmp", "smp"]
    assert diagonal == "other seeds of the same row"
    assert caption.endswith("Of 8 runs, the 4 with the lowest seeds are compared.")


def test_the_first_tables_maps_are_open_and_those_of_others_folded(run, tmp_path, study_of, draw):
    for task in "abc":
        for sparsity in (0.5, 0.9):
            for method in ("magnitude", "smp"):
                facts = {"has_files": False} if task == "b" else {}
                run(f"{task}{method}{sparsity}", method, sparsity, task=task, **facts)
    runs = collect([tmp_path]).runs
    runs.loc[runs["task"] == "b", "has_files"] = False  # such a table has no masks
    asked = study_of(runs)
    for section in (masks.left_section(asked, draw, []), masks.overlap_section(asked, draw, [])):
        first, second = section.parts
        assert (first.heading, first.folded) == ("a, bert-base-uncased", "")
        assert (second.heading, second.folded) == ("", "c, bert-base-uncased")
        tabs = first.parts[0]
        assert [tab.heading for tab in tabs.parts] == ["0.5", "0.9"] and tabs.chosen == 1
        assert all(tab.figure and tab.heading in tab.figure.name for tab in tabs.parts)
