"""Which method is best: the ranking's marks and order as given, its tabs, the scores' tables and what they warn of."""

import math
import re

import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.export.document import document
from prunebert.report.page import best, comparisons
from prunebert.report.statistics import ranking as rankings_of
from prunebert.report.statistics.ranking import Entry, Ranking, Row

from .conftest import flat


def row(label, cells, mean=None, mean_rank=None, wins=0, denominator="encoder"):
    return Row(label, label.split()[0], denominator, cells, mean, mean_rank, wins)


@pytest.fixture
def ranking():
    """Two tasks with metrics of their own. smp is best with support on a, gmp on b without; dense is the reference."""
    rows = [
        row("smp", {"a, tiny": Entry(0.9, 0.01, 3, 1, "best"), "b, tiny": Entry(0.5, 0.1, 3, 2, "tied")}, 0.7, 1.5, 1),
        row("gmp", {"a, tiny": Entry(0.8, 0.02, 3, 2, ""), "b, tiny": Entry(0.6, math.nan, 1, 1, "tied")}, 0.7, 1.5, 1),
        row("l0", {"a, tiny": Entry(0.7, 0.02, 3, None, "")}),
        row("tamt", {"a, tiny": Entry(0.6, 0.02, 2, None, "other denominator")}, denominator="encoder, pooler"),
        row("dense", {"a, tiny": Entry(0.95, 0.0, 3, None, "reference")}, denominator="–"),
    ]
    metrics = {"a, tiny": "accuracy", "b, tiny": "f1"}
    return Ranking(0.9, ["a, tiny", "b, tiny"], metrics, rows, ["smp is best on 1 of 2 tasks.", "Too few tasks."])


def test_a_ranking_has_its_marks_its_order_and_a_dash_where_a_row_has_no_run(ranking):
    table = best._ranking(ranking, {"a, tiny": "a", "b, tiny": "b"})
    assert table.columns == ["method", "a: accuracy", "b: f1", "mean", "mean rank"]
    assert [[cell.text.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in table.rows] == [
        ["smp", "0.9000", "≈ 0.5000", "0.7000", "1.5"],
        ["gmp", "0.8000", "≈ 0.6000", "0.7000", "1.5"],
        ["l0", "0.7000", "–", "–", "–"],
        ["tamt", "0.6000", "–", "–", "–"],
        ["dense", "0.9500", "–", "–", "–"],
    ]
    assert [row[1].kind for row in table.rows] == ["best", "", "", "muted", "muted"]
    assert [row[1].sort for row in table.rows] == [0.9, 0.8, 0.7, 0.6, 0.95]
    spreads = [row[1].below.text for row in table.rows] + [table.rows[1][2].below.text]
    assert spreads == ["± 0.0100 (3)", "± 0.0200 (3)", "± 0.0200 (3)", "± 0.0200 (2)", "± 0.0000 (3)", "(1)"]
    notes = [row[0].below.text if row[0].below else "" for row in table.rows]
    assert notes == ["", "", "", "not ranked: sparsity of encoder, pooler", "not ranked: removes nothing"]


def test_one_tab_for_each_sparsity_with_its_sentences_and_the_one_with_most_rows_first(
    ranking, run, tmp_path, study_of
):
    for task in "ab":
        run(task, "smp", 0.9, task=task, model="tiny")
    runs = collect([tmp_path]).runs
    few = Ranking(0.5, ranking.tables, ranking.metrics, ranking.rows[:1], ["Only one."])
    high = Ranking(0.97, ranking.tables, ranking.metrics, ranking.rows, [])
    asked = study_of(runs, [few, ranking, high])
    part = best._rankings(asked)
    assert (part.choice, part.chosen, [tab.heading for tab in part.parts]) == ("Sparsity", 1, ["0.5", "0.9", "0.97"])
    assert part.parts[1].text == "smp is best on 1 of 2 tasks. Too few tasks."  # above the table
    assert best._rankings(study_of(runs)).text == best.NO_RANKING


def tables_of(parts):
    return {part.folded: part for part in flat(parts)}


def marked(table):
    return {(row[0].text, cell.text) for row in table.rows for cell in row if cell.kind == "best"}


def test_of_a_perplexity_the_lowest_is_best_and_of_other_metrics_the_highest(run, tmp_path, study_of, draw):
    """The tests separate them: 100 of 100 examples differ, under one seed."""
    right, wrong = {"wrong": 0}, {"wrong": 100}
    for name, perplexity, accuracy, predictions in (("smp", 7.0, 0.3, right), ("gmp", 9.0, 0.4, wrong)):
        metrics = {"perplexity": perplexity, "accuracy": accuracy}
        run(name, name, metric="perplexity", score=perplexity, metrics=metrics, majority_score=99.0, **predictions)
    runs = collect([tmp_path]).runs
    found = tables_of([best._every_table(study_of(runs))])
    (scores,) = [part for part in flat([best._every_table(study_of(runs))]) if part.text.startswith("perplexity on")]
    assert marked(scores.table) == {("smp", "7.0000 (1)")}
    assert scores.text == "perplexity on 100 examples of validation. The constant baseline scores 99.0000."
    assert [row[1].text for row in found["The same for accuracy"].table.rows] == ["0.4000 (1)", "0.3000 (1)"]


def test_a_warning_names_its_rows_unless_it_holds_for_all(run, tmp_path):
    run("a", "smp", overlaps=["all of it", "only this"])
    run("b", "gmp", overlaps=["all of it"])
    text = best._described(collect([tmp_path]).runs)
    assert text.splitlines()[1:] == ["Warning: all of it.", "Warning: only this (of smp)."]


def test_what_is_missing_is_said(run, tmp_path, study_of, draw):
    run("a", "smp", 0.5, task="squad", metric="f1", metrics={"f1": 0.8}, model="another")
    run("b", "magnitude", 0.9, task="squad", metric="f1", metrics={"f1": 0.8}, model="another")
    runs = collect([tmp_path]).runs
    (part,) = comparisons.forests(study_of(runs), draw)
    assert part.text.startswith("No baseline: magnitude did not run")
    (part,) = comparisons.forests(study_of(runs, baselines=["magnitude"]), draw)
    assert part.heading == "Differences to magnitude"
    assert part.parts[0].text == "squad, another: no other row shares a sparsity with a run of magnitude."
    expected = "No published number matches a run; those for this task are of bert-base-uncased."
    assert expected in [part.text for part in flat([best._every_table(study_of(runs))])]


def test_the_settings_behind_a_name_are_listed(run, tmp_path):
    for k in (1, 2):
        run(str(k), "smp", settings={"alpha": k, "beta": k})
    run("gmp", "gmp")
    (part,) = best._names(collect([tmp_path]).runs)
    assert [[cell.text for cell in row] for row in part.table.rows] == [
        ["smp (alpha=1)", "alpha=1, beta=1"],
        ["smp (alpha=2)", "alpha=2, beta=2"],
    ]


def test_differences_have_a_figure_for_each_baseline_and_of_many_rows_one_for_each_sparsity(
    run, tmp_path, study_of, draw, drawings
):
    for i, sparsity in enumerate((0.5, 0.8, 0.9, 0.97)):
        for method in ("magnitude", "random", "smp", "gmp", "l0", "abp", "imp"):
            run(f"{method}{i}", method, sparsity, settings={"sparsity": sparsity})
    runs = collect([tmp_path]).runs
    gmp, magnitude = comparisons.forests(study_of(runs, baselines=["gmp", "magnitude"]), draw)
    assert (gmp.heading, magnitude.heading) == ("Differences to gmp", "Differences to magnitude")
    (tabs,) = gmp.parts  # 24 rows are more than 20
    assert [tab.heading for tab in tabs.parts] == ["0.5", "0.8", "0.9", "0.97"] and tabs.chosen == 2
    assert [set(d.draw.args[0]["sparsity"]) for d in drawings[:4]] == [{0.5}, {0.8}, {0.9}, {0.97}]
    assert len(drawings) == 8 and len({d.name for d in drawings}) == 8
    two = runs[runs["sparsity"] < 0.85]
    (part,) = comparisons.forests(study_of(two, baselines=["gmp"]), draw)
    assert len(part.parts[0].parts) == 1 and set(drawings[-1].draw.args[0]["sparsity"]) == {0.5, 0.8}


def test_tables_in_latex_have_the_bold_of_the_page(run, tmp_path, study_of):
    run("a", "smp", wrong=0)
    run("b", "gmp", wrong=100)
    asked = study_of(collect([tmp_path]).runs)
    rankings = [rankings_of.rank(asked.runs, sparsity) for sparsity in rankings_of.sparsities(asked.runs)]
    on_page = [part.table for part in flat([best._every_table(asked)]) if part.table]
    (bold,) = {pair for table in on_page for pair in marked(table)}
    assert bold == ("smp", "1.0000 (1)")
    assert re.findall(r"^(.*?) &.*bfseries (\S+)", document(asked.runs, {}, rankings), re.M) == [("smp", "100.0")]


def test_of_many_tables_the_first_differences_are_open(run, tmp_path, study_of, draw):
    for i in range(6):
        for method in ("magnitude", "smp"):
            run(f"{method}{i}", method, task=f"t{i}")
    (part,) = comparisons.forests(study_of(collect([tmp_path]).runs, baselines=["magnitude"]), draw)
    assert [bool(table.folded) for table in part.parts] == [False] * 4 + [True] * 2
    assert isinstance(part.parts[5].parts[0].figure.name, str) and "t5" in part.parts[5].folded


def test_an_empty_frame_of_differences_has_no_table():
    assert comparisons.numbers(pd.DataFrame(columns=["baseline"]), "accuracy", "toy") == []
