"""`prunebert report --format`: which table is printed, and how. Scores and deviations are by hand."""

import csv
import io

import pytest

from prunebert.errors import BadInput
from prunebert.report import entry
from prunebert.report.export import one, plain
from prunebert.report.export.grid import Cell, Column, Grid, Row
from prunebert.report.export.options import Choice
from tests.report.conftest import finished, started


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two tasks; of the first also F1. smp has 80, 82 and 84 % of `a` at 0.5."""
    root = tmp_path_factory.mktemp("runs")
    for task, add in (("a", 0), ("b", 10)):
        extra = {"metrics": {"accuracy": 0.95, "f1": 0.5}} if task == "a" else {}
        finished(root / f"d{task}", "dense", seed=0, task=task, wrong=5, **extra)
        for seed in range(3):
            finished(root / f"s{task}{seed}", "smp", 0.5, seed, task=task, wrong=20 + add - 2 * seed)
            finished(root / f"m{task}{seed}", "magnitude", 0.5, seed, task=task, wrong=50 + seed)
        finished(root / f"s{task}9", "smp", 0.9, 0, task=task, wrong=60)
    return root


def printed(root, format="csv", **options):
    return one.one_table([root], Choice(format, **options))[0]


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_several_tasks_are_columns_and_each_sparsity_has_its_rows(root):
    rows = {(row["method"], row["sparsity"]): row for row in table(printed(root))}
    assert set(rows) == {("dense", "0.0"), ("smp", "0.5"), ("magnitude", "0.5"), ("smp", "0.9")}
    smp = rows["smp", "0.5"]
    assert float(smp["a mean"]) == pytest.approx(0.82) and float(smp["a sd"]) == pytest.approx(0.02)
    assert float(smp["b mean"]) == pytest.approx(0.72) and float(smp["mean"]) == pytest.approx(0.77)
    assert (smp["a seeds"], float(smp["mean rank"])) == ("3", 1.0)
    assert (rows["smp", "0.9"]["a sd"], rows["dense", "0.0"]["a seeds"]) == ("", "1")


def test_one_task_has_a_column_for_each_sparsity_and_any_metric(root):
    rows = {row["method"]: row for row in table(printed(root, table="b"))}
    assert float(rows["smp"]["0.5 mean"]) == pytest.approx(0.72) and rows["magnitude"]["0.9 mean"] == ""
    assert rows["magnitude"]["0.9 seeds"] == "0"
    (dense,) = table(printed(root, table="a, bert-base-uncased", metric="f1"))
    assert (dense["method"], dense["0 mean"]) == ("dense", "0.5")
    assert {"0 mean", "0.9 mean"} == {
        name for name in table(printed(root, table="b", sparsity=0.9))[0] if "mean" in name
    }


def test_markdown_is_aligned_and_in_percent(root):
    lines = printed(root, "markdown", sparsity=0.5).splitlines()
    body = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in body}) == 1 and set(body[1]) == set("|-: ")
    smp = next(line for line in body if line.startswith("| smp"))
    assert "82.0 ± 2.0" in smp and "72.0 ± 2.0" in smp and "77.0" in smp
    assert lines[0].startswith("Accuracy in percent of bert-base-uncased at sparsity 0.5 (of encoder).")


def test_latex_has_a_table_for_each_sparsity(root):
    assert printed(root, "latex").count(r"\begin{table*}") == 2
    text = printed(root, "latex", sparsity=0.5)
    assert text.count(r"\begin{table*}") == 1 and r"82.0 & \sd{2.0}" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 0.42}, "--sparsity=0.42: allowed are 0.5, 0.9$"),
        ({"sparsity": 0.0}, "--sparsity=0: allowed are 0.5, 0.9$"),
        ({"table": "c"}, "--table=c: allowed are a, b$"),
        ({"metric": "f1"}, "--metric=f1 needs --table=NAME, because there are several: a, b$"),
        ({"metric": "f1", "table": "b"}, "--metric=f1: allowed are accuracy$"),
    ],
)
def test_what_no_run_has_is_refused_with_what_is_allowed(root, options, message):
    with pytest.raises(BadInput, match=message):
        printed(root, **options)


def test_networks_that_were_not_pruned_have_no_common_table(run, tmp_path):
    run("a", "dense", task="a")
    run("b", "dense", task="b")
    with pytest.raises(BadInput, match="no run was pruned: a, b have no common table"):
        printed(tmp_path)
    assert table(printed(tmp_path, table="a"))[0]["0 mean"] == "0.8"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "md"], "--format=md: allowed are markdown, csv, latex"),
        (
            ["--format", "csv", "--sparsity", "half"],
            "--sparsity=half: allowed are fractions from 0 to 1 that runs have",
        ),
        (["--format", "csv", "--out", "x"], "--out=x has no effect with --format"),
        (["--format", "csv", "--all-figures"], "--all-figures has no effect with --format"),
        (["--sparsity", "0.5"], "--sparsity=0.5 needs --format=markdown|csv|latex"),
        (["--decimals", "7"], "--decimals=7: allowed are whole numbers from 0 to 6"),
        (["--width", "3"], "--width=3: allowed are column, page, or points from 150 to 2000"),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_written(cli, root, words, message):
    status, text = cli("report", str(root), *words)
    assert status == 2 and message in text and text.count("\n") <= 1 and not (root / "report").exists()


def test_the_command_prints_the_table_alone_and_writes_nothing(run, tmp_path, capsys):
    run("lab/a", "smp", wrong=25)
    started(tmp_path / "lab/b", [], "ERROR x")
    entry.main([str(tmp_path / "lab"), "--format", "csv"])
    printed = capsys.readouterr()
    assert printed.out == "method,0.5 mean,0.5 sd,0.5 seeds\nsmp,0.75,,1\n"
    assert "1 run not in the table" in printed.err and not (tmp_path / "lab/report").exists()


def test_a_spreadsheet_takes_no_cell_for_a_formula_and_markdown_obeys_no_name():
    name = "=1+1|*x*_a_[b](c)<i>\x1b"
    grid = Grid("", "", [Column(name, (name,))], [Row(name, "", [Cell("1", numbers=(1,))])])
    lines = plain.to_csv(grid).splitlines()
    assert lines[0].count("'=1+1") == 1 and lines[1].startswith("'=1+1")
    escaped = r"=1+1\|\*x\*\_a\_\[b\](c)\<i\>\\x1b"
    assert f"| {escaped} |" in plain.to_markdown(grid)
