"""Test that the findings on the pages agree with results/, and the script that fills them in."""

import re
from pathlib import Path

import pytest

from tests.report.findings.conftest import runs, table
from tests.toys import script

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/results").glob("*.md"))]
results_pages = script("results_pages")


@pytest.mark.parametrize("page", [p for p in PAGES if results_pages.MARK.search(p.read_text())], ids=lambda p: p.stem)
def test_a_page_agrees_with_the_results(page):
    """If this fails, run scripts/results_pages.py on the page."""
    text = page.read_text()
    assert results_pages.fill(text) == text


def test_the_first_page_of_the_results_has_findings_limits_and_commands():
    marks = results_pages.MARK.findall((ROOT / "docs/results/index.md").read_text())
    assert {(name, kind) for name in ("tiny", "minilm") for kind in ("findings", "limits", "repeat")} <= set(marks)


def test_no_mark_is_mistyped():
    """A mark with another word would never be filled, by this script or by the ones that fill tables."""
    marks = [mark for page in PAGES for mark in re.findall(r"<!-- results/.*?-->", page.read_text())]
    others = [mark for mark in marks if not results_pages.MARK.fullmatch(mark)]
    assert len(marks) > len(others) > 5
    tables = "scores|means|shown|claims|steps|kept|overlap|tries"
    pattern = re.compile(rf"<!-- results/(speed( \w+)?|\w+ ({tables})) -->")
    assert not [mark for mark in others if not pattern.match(mark)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    rows = runs(("magnitude", 0.9, [0.7, 0.71, 0.73]), ("smp", 0.9, [0.8, 0.82, 0.83]))
    table(tmp_path / "mine/results.csv", rows)
    monkeypatch.setattr(results_pages, "RESULTS", tmp_path)
    results_pages.read.cache_clear()
    yield tmp_path
    results_pages.read.cache_clear()


def page_of(*kinds):
    return "# A\n\n" + "\n\n".join(f"<!-- results/mine {kind} -->\nold\n<!-- end -->" for kind in kinds) + "\n\nend\n"


def test_each_mark_gets_its_text_and_the_rest_stays(folder):
    filled = results_pages.fill(page_of("findings", "limits", "ranking", "repeat"))
    assert "\nold\n" not in filled and filled.startswith("# A\n\n<!--") and filled.endswith("<!-- end -->\n\nend\n")
    texts = re.split(r"<!-- results/mine \w+ -->\n|\n<!-- end -->", filled)[1::2]
    assert texts[0].startswith("- At sparsity 0.9, `smp` has the best mean accuracy, 0.817 ± 0.015 with 3 seeds")
    assert texts[1].startswith("- With 3 seeds, significance")
    assert "| smp       | **81.7 ± 1.5** |" in texts[2]
    assert texts[3].startswith("```text\nprunebert -m method=magnitude,smp seed=0,1,2 sparsity=0.9    # 6 runs\n```")
    assert results_pages.fill(filled) == filled


def test_a_wrong_mark_is_named(folder):
    with pytest.raises(ValueError, match=r"after <!-- results/mine findings --> there must be one"):
        results_pages.fill(page_of("findings").replace("<!-- end -->", ""))
    with pytest.raises(ValueError, match=r"results/yours: there are no rows of runs"):
        results_pages.fill(page_of("findings").replace("mine", "yours"))
    assert results_pages.fill("no mark, <!-- results/mine other -->") == "no mark, <!-- results/mine other -->"
