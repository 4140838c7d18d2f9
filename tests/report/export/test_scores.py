"""The tables of a paper out of finished runs: rows, captions and notes, by hand."""

import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.export import scores
from prunebert.report.export.document import document
from prunebert.report.export.grid import Form
from prunebert.report.statistics import paired
from prunebert.report.statistics.ranking import Entry, Ranking
from prunebert.report.statistics.ranking import Row as RankedRow

FORM = Form(1)


def texts(grid):
    return {row.label: [cell.text for cell in row.cells] for row in grid.rows}


@pytest.fixture
def runs(run, tmp_path):
    """Two tasks. On `a` smp has 78, 80 and 82 %, magnitude 70 % under one seed, abp other matrices."""
    for seed, wrong in enumerate((22, 20, 18)):
        run(f"s{seed}", "smp", 0.5, seed, task="a", wrong=wrong)
    run("m", "magnitude", 0.5, 0, task="a", wrong=30)
    run("p", "abp", 0.5, 0, task="a", wrong=40, prunable="encoder_pooler_embeddings")
    run("d", "dense", task="a", wrong=5)
    run("b", "smp", 0.9, 0, task="b", metrics={"perplexity": 9.25}, metric="perplexity", score=9.25)
    return collect([tmp_path]).runs


def test_scores_by_sparsity_with_seeds_and_denominators_that_differ_as_notes(runs):
    task = runs[runs["task"] == "a"]
    grid = scores.by_sparsity(task, "accuracy", FORM)
    assert texts(grid) == {
        "dense": ["95.0", "–"],
        "magnitude": ["–", "70.0"],
        "abp": ["–", "60.0"],
        "smp": ["–", "80.0"],
    }
    rows = {row.name: row for row in grid.rows}
    assert rows["smp"].cells[1].deviation == "2.0" and rows["smp"].cells[1].mark == "best"
    assert rows["magnitude"].cells[1].mark == ""  # on the common seed it lost 10 examples, and won none
    assert rows["smp"].notes == ("3 seeds",) and rows["magnitude"].notes == ()
    assert rows["abp"].notes == ("sparsity of encoder, pooler, embeddings",)
    assert grid.caption.startswith("Accuracy in percent on a, bert-base-uncased, by sparsity (of encoder). ")
    assert "1 seed, unless noted" in grid.caption


def test_a_perplexity_is_not_in_percent(runs):
    grid = scores.by_sparsity(runs[runs["task"] == "b"], "perplexity", FORM)
    assert texts(grid) == {"smp": ["9.250"]} and "percent" not in grid.caption


def test_tasks_by_methods_with_mean_rank_marks_and_references(runs):
    tested = {"a, x": Entry(0.8, 0.02, 3, 1.0, "best"), "b, x": Entry(0.6, 0.01, 3, 2.0, "tied")}
    rows = [
        RankedRow("smp", "smp", "encoder", tested, 0.7, 1.5, 1),
        RankedRow("magnitude", "magnitude", "encoder", {"a, x": Entry(0.7, 0.02, 3, 2.0, "")}, None, None, 0),
        RankedRow("dense", "dense", "–", {"a, x": Entry(0.95, float("nan"), 1, None, "reference")}, None, None, 0),
    ]
    ranking = Ranking(0.5, ["a, x", "b, x"], {"a, x": "accuracy", "b, x": "pearson"}, rows, ["One sentence."])
    grid = scores.by_task(ranking, runs, FORM)
    assert [column.title for column in grid.columns] == ["a", "b", "mean", "rank"]
    expected = {"smp": ["80.0", "60.0", "70.0", "1.5"], "magnitude": ["70.0", "–", "–", "–"]}
    assert texts(grid) == expected | {"dense": ["95.0", "–", "–", "–"]}
    assert [cell.mark for cell in grid.rows[0].cells] == ["best", "tied", "", ""]
    assert grid.rows[2].notes == ("not pruned, for reference", "1 seed") and grid.rows[2].cells[0].mark == ""
    assert grid.caption.startswith("Accuracy in percent (b: Pearson correlation) of x at sparsity 0.5")
    assert grid.remarks == ["One sentence."]


def test_differences_have_intervals_and_p_or_the_reason_why_not(runs):
    task = runs[runs["task"] == "a"]
    row = {"baseline": "magnitude", "label": "smp", "sparsity": 0.5, "against": "magnitude", "other_denominator": False}
    row |= {"seeds": 3, "difference": 0.1, "by_seed": paired.Test(0.02), "by_seed_holm": 0.04}
    row |= {"seeds_low": 0.05, "seeds_high": 0.15, "examples_low": float("nan"), "examples_high": float("nan")}
    row |= {"examples": paired.Test(None, "predictions not available"), "examples_holm": None}
    (grid,) = scores.of_differences(pd.DataFrame([row]), task, FORM)
    assert texts(grid) == {"smp": ["0.5", "+10.0", "+5.0 to +15.0", ".040"]}
    assert grid.caption.endswith("No p, examples: predictions not available.")
    text = document(task, {"a, bert-base-uncased": pd.DataFrame([row])}, [])
    assert text.count(r"\caption") == 2 and r"\label{tab:a-bert-base-uncased-difference-to-magnitude}" in text


def test_titles_leave_out_what_all_tables_share():
    assert scores.task_titles(["qnli, tiny", "qqp, tiny"]) == ({"qnli, tiny": "qnli", "qqp, tiny": "qqp"}, "tiny")
    assert scores.task_titles(["a, x", "a, y"])[0] == {"a, x": "a, x", "a, y": "a, y"}
