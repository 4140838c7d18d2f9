"""What a report prints: the scores at every width, and which runs are in no table."""

import pandas as pd
import pytest
from rich.cells import cell_len

from prunebert.report import terminal
from prunebert.report.collect import Trouble, collect
from prunebert.report.findings import text


@pytest.fixture
def many(tmp_path, run):
    """Two methods, one with a long name, at seven sparsities with two seeds each; one run is missing."""
    for i in range(7):
        for seed in (0, 1):
            run(f"a{i}{seed}", "magnitude", 0.5 + i / 20, seed, wrong=i + seed)
            if i:
                run(f"b{i}{seed}", "a_method_of_ones_own_with_a_long_name", 0.5 + i / 20, seed, wrong=2 * i)
    return collect([tmp_path]).runs


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_scores_have_one_line_a_method(width, many, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    terminal.show_scores(many)
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if " ± 0" in line]
    assert len(table) == 2 and max(map(cell_len, lines)) <= width and "all: sparsity of encoder" in lines
    head = next(line for line in lines if line.startswith("method"))
    assert head.split()[-1] == "0.8"  # the largest sparsity stays longest
    assert table[0].endswith("0.9350 ± 0.0071 (2)") and table[1].endswith("0.8800 ± 0.0000 (2)")
    assert ("0.5" in head.split()) == (width == 200) == ("not shown" not in "".join(lines))
    terminal.show_scores(many, wide=True)
    wide = capsys.readouterr().out
    assert "a_method_of_ones_own_with_a_long_name" in wide and wide.count(" ± 0") == 7 + 6 and "–" in wide


def test_runs_in_no_table_are_counted_with_the_first_reason(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    troubles = [
        Trouble("off target", "c", "requested 0.5"),
        Trouble("replaced", "a", "as b"),
        Trouble("replaced", "d", "as e"),
        *(Trouble(kind, "f", "g") for kind in ("not used", "did not finish", "missing", "mixed")),
    ]
    terminal.show_troubles(pd.DataFrame({"x": [1]}), troubles)
    assert capsys.readouterr().out.splitlines() == [
        "1 run in the tables, 5 not:",
        "  2 replaced: a: as b; and 1 more, which the page lists",
        *(f"  1 {kind}: f: g" for kind in ("not used", "did not finish", "missing")),
        "  1 off target: c: requested 0.5",
        "  1 mixed: f: g",
    ]
    terminal.show_troubles(pd.DataFrame({"x": [1, 2]}), [])
    assert capsys.readouterr().out == "2 runs in the tables\n"


def test_one_cell_of_several_seeds_explains_the_deviation_and_dense_is_a_fraction_of_nothing(run, tmp_path, capsys):
    for name, method, sparsity, seed in (("a", "smp", 0.5, 0), ("b", "smp", 0.5, 1), ("c", "dense", 0.0, 0)):
        run(name, method, sparsity, seed, prunable="encoder_pooler" if method == "dense" else "encoder")
    terminal.show_scores(collect([tmp_path]).runs)
    printed = capsys.readouterr().out
    assert "accuracy, mean ± standard deviation (seeds)" in printed and "all: sparsity of encoder\n" in printed


def test_many_tables_are_cut(many, capsys):
    runs = pd.concat(many.assign(table=f"task {i}, model") for i in range(terminal.MAX_TABLES + 2))
    terminal.show_scores(runs)
    printed = capsys.readouterr().out
    assert "task 7, model" in printed and "task 8" not in printed and "2 more tables on the page" in printed


def test_the_first_finding_is_printed_without_its_marks(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal.show_finding(f"At sparsity 0.9, {text.name('smp')} has the best accuracy, 0.870.")
    assert capsys.readouterr().out.splitlines() == ["At sparsity 0.9, smp has the best", "accuracy, 0.870."]
    terminal.show_finding("")
    assert capsys.readouterr().out == ""
