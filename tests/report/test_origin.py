"""No mean over runs that are not at hand is shown without a word: in tables, figures, LaTeX, Markdown and terminal."""

import shutil

import pytest

from prunebert.report import command, origin, rows, terminal
from prunebert.report.collect import collect
from prunebert.report.export.grid import Form
from prunebert.report.export.latex import Style, to_latex
from prunebert.report.export.plain import to_markdown
from prunebert.report.export.scores import by_sparsity
from prunebert.report.findings import results, summary

OTHER = {"labels": ["no", "yes"], "rows": {"train": 90, "validation": 100}, "fingerprint": {"validation": "w"}}


@pytest.fixture
def theirs(run, tmp_path, monkeypatch):
    """The results table of another person: two runs of the task toy, and one with other evaluation data."""
    monkeypatch.chdir(tmp_path)
    for seed, data in ((1, {}), (2, {}), (3, {"data": OTHER})):
        run(f"lab/{seed}", seed=seed, **data)
    file = tmp_path / "theirs.csv"
    file.write_text(rows.as_csv(command.flatten(collect([tmp_path / "lab"]).runs)))
    shutil.rmtree(tmp_path / "lab")
    return file


def test_every_form_of_a_report_says_which_runs_are_not_at_hand(undrawn, run, tmp_path, theirs, capsys):
    run("mine/a", seed=0)
    run("mine/b", "smp", seed=0)
    report = command.write([tmp_path / "mine", theirs], tmp_path / "out")
    some, every = "2 of 4 runs are rows of theirs.csv", "All runs are rows of theirs.csv, which are not at hand."
    latex = (tmp_path / "out/tables.tex").read_text()
    assert some in latex and every in latex and latex.count("which are not at hand.") >= 3
    assert "3 of 5 runs are rows of theirs.csv, which are not at hand." in (tmp_path / "out/summary.md").read_text()
    page = (tmp_path / "out/report.html").read_text()
    assert f"over seeds. {some}, which are not at hand." in page and f"over seeds. {every}" in page
    terminal.show_scores(report.runs)
    printed = capsys.readouterr().out
    assert "‡ The mean contains rows of theirs.csv" in printed and "All means are over rows of theirs.csv" in printed


def test_tables_of_runs_at_hand_and_summaries_of_a_table_alone_have_no_such_line(run, tmp_path, theirs):
    run("mine/a", seed=0)
    runs = collect([tmp_path / "mine"]).runs.assign(marks=None)
    assert origin.share(runs) == ""
    alone = results.of(collect([theirs]))
    assert "not at hand" not in summary.table(alone) and "Every run here is a row of" in summary.document(alone, "")
    (_, table_runs), *_ = alone.tables
    grid = by_sparsity(table_runs, "accuracy", Form())
    sentence = "All runs are rows of theirs.csv, which are not at hand."
    assert sentence in to_latex(grid, Style(), "tab:x") and sentence in to_markdown(grid)
