"""Reports of odd runs have a page that answers what it can: one run, only dense, two devices, many and nasty names."""

import re
from dataclasses import replace

import pytest

from prunebert.report.collect import collect
from prunebert.report.page import sections, study
from prunebert.report.page.page import render

from .conftest import flat


@pytest.fixture
def page_of(run, tmp_path, study_of, draw):
    """Return a function that gives the sections and the HTML of the runs below tmp_path."""

    def make(*baselines):
        asked = study_of(collect([tmp_path]).runs, baselines=baselines)
        found = [s for s in sections.sections(asked, draw, []) if s.parts]
        return found, render("title", [study.sentence(asked.runs)], "", found)

    return make


def test_one_run_has_nothing_to_rank_and_no_empty_section(run, page_of):
    run("a", "smp")
    found, html = page_of()
    anchors = ["findings", "best", "score", "cost", "subgroups", "left", "runs", "reading", "provenance"]
    assert [s.anchor for s in found] == anchors
    assert "there is nothing to rank" in html and "The method smp on the task toy" in html
    assert not re.search(r"<tbody>\s*</tbody>", html)


def test_runs_that_remove_nothing_have_no_masks_and_one_tab_is_no_switch(run, page_of):
    for seed in (0, 1):
        run(str(seed), "dense", seed=seed, device=("cpu", "H200")[seed])
    found, html = page_of()
    assert "left" not in [s.anchor for s in found] and "nothing pruned, 2 seeds, 9 steps: 2 runs." in html
    assert 'type="radio"' not in html and ">H200<" in html and ">cpu<" in html  # a row of costs for each device


@pytest.mark.parametrize("name", ["電影の評価", "تقييم", "<b>&amp;", "a, b, c", "x" * 300])
def test_names_are_text_and_lead_to_no_other_place(run, page_of, name):
    for i, method in enumerate(("magnitude", name)):
        run(str(i), method, task=name, model=name)
    found, html = page_of("magnitude")
    assert "<b>" not in html.replace("<body>", "") and len(re.findall(r"\sid=.(\S+?).[ >]", html)) > len(found)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[a-z0-9-]+", word) for word in ids)


def test_of_twenty_tables_most_figures_are_folded(run, page_of):
    for i in range(20):
        for method in ("magnitude", "smp"):
            run(f"{method}{i}", method, task=f"t{i}", model="m")
    found, html = page_of("magnitude")
    parts = {s.anchor: flat(s.parts) for s in found}
    assert [sum(bool(p.folded) for p in parts[a]) for a in ("left", "overlap", "runs")] == [19, 19, 20]
    assert len(parts["score"]) == 20 and html.count("<h2") == len(found) == 10


def test_each_table_has_its_charts_and_only_where_there_is_something_to_show(run, tmp_path, study_of, draw):
    for task in "ab":
        run(task, "smp", task=task, model="m")
    asked = study_of(collect([tmp_path]).runs)
    contents = [{"curves": {}, "runs": []}, {"curves": {"1": 1}, "runs": []}]
    asked = replace(asked, charts={"training": contents, "predictions": [contents[0], {"runs": [1]}]})
    found = [(p.chart, p.chart_table) for s in sections.sections(asked, draw, []) for p in flat(s.parts) if p.chart]
    assert found == [
        *(("score", "a, m"), ("score", "b, m"), ("pareto", ""), ("training", "b, m")),
        *(("confusion", "b, m"), ("disagreement", "b, m")),
    ]
