"""What the page says of a table: its warnings, its texts where something is missing, and which runs are compared."""

import numpy as np
import pytest

from prunebert.report import command
from prunebert.report.collect import Collected, Trouble, collect
from prunebert.report.figures import maps
from prunebert.report.page import sections
from prunebert.report.published import numbers as published
from prunebert.report.statistics import differences


def section(runs, baseline=None):
    """Return the section of one table, and its drawings, which are not drawn."""
    drawings = []
    gaps = differences.differences(runs, [baseline] if baseline else [])
    found = sections.table_section("toy", runs, gaps, [baseline] if baseline else [], drawings.append, [])
    return {part.heading or part.folded: part for part in found.parts}, {d.name.split("-")[0]: d for d in drawings}


def best(table):
    return {(row[0].text, cell.text) for row in table.rows for cell in row if cell.kind == "best"}


def test_of_a_perplexity_the_lowest_is_best_and_of_other_metrics_the_highest(run, tmp_path):
    for name, perplexity, accuracy in (("smp", 7.0, 0.3), ("gmp", 9.0, 0.4)):
        metrics = {"perplexity": perplexity, "accuracy": accuracy}
        wrong = {"smp": 10, "gmp": 30}[name]
        run(name, name, metric="perplexity", score=perplexity, metrics=metrics, majority_score=99.0, wrong=wrong)
        run(f"o{name}", name, task="other", metric="accuracy", score=accuracy, metrics=metrics, wrong=40 - wrong)
    runs = collect([tmp_path]).runs
    toy, other = (runs[runs["task"] == task] for task in ("toy", "other"))
    parts, _ = section(toy)
    assert best(parts["Scores"].table) == {("smp", "7.0000 (1)")}
    assert best(parts["The same for accuracy"].table) == set()  # there gmp has the better mean and fewer right answers
    assert best(section(other)[0]["Scores"].table) == {("gmp", "0.4000 (1)")}
    assert parts["Scores"].text == "perplexity on 100 examples of validation. The constant baseline scores 99.0000."
    for table_runs, bold in ((toy, r"\textbf{7.0000 (1)}"), (other, r"\textbf{0.4000 (1)}")):
        text = "\n".join(command._latex_tables("toy", table_runs, differences.differences(table_runs, [])))
        assert bold in text and text.count("textbf") == 1


def test_a_warning_names_its_rows_unless_it_holds_for_all(run, tmp_path):
    run("a", "smp", overlaps=["all of it", "only this"])
    run("b", "gmp", overlaps=["all of it"])
    text = section(collect([tmp_path]).runs)[0]["Scores"].text
    assert text.splitlines()[1:] == ["Warning: all of it.", "Warning: only this (of smp)."]


def test_what_is_missing_is_said(run, tmp_path):
    run("a", "smp", 0.5, task="squad", metric="f1", metrics={"f1": 0.8}, model="another")
    run("b", "magnitude", 0.9, task="squad", metric="f1", metrics={"f1": 0.8}, model="another")
    runs = collect([tmp_path]).runs
    parts, _ = section(runs)
    assert parts["Differences to a baseline"].text.startswith("No baseline: magnitude did not run")
    parts, _ = section(runs, "magnitude")
    assert parts["Differences to magnitude"].text == "No other row shares a sparsity with a run of magnitude."
    expected = "No published number matches a run; those for this task are of bert-base-uncased."
    assert parts["Published results"].text == expected
    for troubles, end in (([], ", every one that was started."), ([Trouble("missing", "x", "y")], "runs.")):
        (part,) = sections.trouble_section(Collected(runs, troubles, 2), troubles).parts
        assert part.text.startswith("The tables contain 2 runs") and part.text.endswith(end)


def test_the_figure_has_the_published_numbers_of_its_own_metric(run, tmp_path):
    run("a", "smp", 0.9, task="squad", metric="f1", metrics={"f1": 0.8})
    score = section(collect([tmp_path]).runs)[1]["score"]
    cell_means, points = score.draw.args
    numbers = published.read_table()
    f1 = numbers[(numbers["task"] == "squad") & (numbers["metric"] == "f1")]
    f1 = f1[(f1["method"] != "smp") | (f1["variant"] == "")]  # the run has no setting that a variant names
    assert points["score"].sum() == pytest.approx(f1["score"].sum()) and cell_means["method"].tolist() == ["smp"]
    assert score.draw.keywords == {"table": "toy", "metric": "f1", "constant_score": 0.5}


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
        parts = sections._overlap("toy", 0.5, runs, drawings.append, [])
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
    monkeypatch.setattr(sections, "MAX_COMPARED", 5)
    monkeypatch.setattr(sections, "MAX_SINGLE", 7)
    compared, (labels, _, diagonal, caption) = drawn_overlap(collect([tmp_path]).runs)
    assert compared == ["gmp0", "gmp1", "smp0", "smp1"] and labels == ["gmp", "smp"]
    assert diagonal == "other seeds of the same row"
    assert caption.endswith("Of 8 runs, the 4 with the lowest seeds are compared.")


def test_names_of_files_stay_apart():
    assert sections.slug("score MNLI, bert-base (a)") == "score-mnli-bert-base-a"
    texts = ["电影 a", "影评 a", "x" * 200, "x" * 201]
    assert len({sections.slug(text) for text in texts}) == 4
    assert all(len(sections.slug(text)) <= sections.MAX_SLUG for text in texts)
