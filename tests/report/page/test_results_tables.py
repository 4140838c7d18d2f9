"""What a reader sees of rows whose runs are not at hand, and of runs that were executed more than once."""

import shutil

import pytest

from prunebert.report import command, origin, rows
from prunebert.report.collect import collect
from prunebert.report.page import best, every_run, provenance, results_tables
from prunebert.report.statistics import marks, ranking

from .conftest import flat


@pytest.fixture
def mixed(run, tmp_path, monkeypatch):
    """Own runs of seeds 0 and 1; from a table, seed 2 of smp, and seed 0 of smp once more on another machine."""
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        run(f"mine/m{seed}", "magnitude", seed=seed, identity=f"{seed:032x}", wrong=30)
        run(f"mine/s{seed}", "smp", seed=seed, identity=f"{9 + seed:032x}", wrong=20, versions={"torch": "2.1"})
    for seed, wrong in ((0, 24), (2, 10)):
        facts = {"device": "1 × H200", "versions": {"torch": "2.2", "prunebert": "0.1"}, "git_commit": "d" * 40}
        run(f"theirs/s{seed}", "smp", seed=seed, identity=f"{9 + seed:032x}", wrong=wrong, seconds=77.5 + seed, **facts)
    table = command.flatten(collect([tmp_path / "theirs"]).runs)
    shutil.rmtree(tmp_path / "theirs")
    (tmp_path / "theirs.csv").write_text(rows.as_csv(table))
    return collect([tmp_path / "mine", tmp_path / "theirs.csv"])


@pytest.fixture
def from_table(mixed, tmp_path):
    return collect([tmp_path / "theirs.csv"])


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def study_of_collected(study_of, collected):
    runs = marks.add_marks(collected.runs)
    asked = study_of(collected.runs, [ranking.rank(runs, s) for s in ranking.sparsities(runs)])
    asked.collected.repeats.extend(collected.repeats)
    asked.collected.tables.extend(collected.tables)
    asked.collected.agreeing.update(collected.agreeing)
    return asked


def test_a_mean_over_rows_of_a_table_has_a_mark_and_one_explanation(mixed, study_of):
    asked = study_of_collected(study_of, mixed)
    parts = flat(best.section(asked, lambda drawing: drawing).parts)
    tables = [part.table for part in parts if (part.table and "0.5" in part.table.columns) or part.heading == "0.5"]
    shown = [cell.text + (cell.below.text if cell.below else "") for t in tables for row in t.rows for cell in row]
    assert len(tables) == 2
    assert [text for text in shown if "‡" in text] == ["0.8333± 0.0577 (3)‡", "0.8333 ± 0.0577 (3)‡"]
    for table in tables:
        assert table.note.count("‡ The mean contains rows of theirs.csv, whose runs are not at hand.") == 1


def test_where_all_runs_are_rows_one_sentence_says_so_and_nothing_is_marked(from_table, study_of):
    asked = study_of_collected(study_of, from_table)
    for part in flat(best.section(asked, lambda drawing: drawing).parts):
        for row in part.table.rows if part.table else []:
            assert not any("‡" in cell.text + (cell.below.text if cell.below else "") for cell in row)
    sentence = "Every run here is a row of theirs.csv. The runs are not at hand, so masks, topology and predictions"
    assert origin.sentence(from_table.runs).startswith(sentence)
    assert origin.note(from_table.runs) == "All means are over rows of theirs.csv. Their runs are not at hand."


def test_runs_at_hand_have_no_mark_no_note_and_no_part(run, tmp_path, study_of):
    run("lab/a")
    collected = collect([tmp_path / "lab"])
    assert origin.marked(collected.runs) == set() and results_tables.parts(collected) == []
    assert origin.note(collected.runs) == origin.sentence(collected.runs) == origin.counted_rows(collected.runs) == ""


def test_every_run_says_which_runs_are_not_at_hand_and_links_only_to_others(mixed, tmp_path):
    table = every_run.table(mixed.runs, tmp_path / "report")
    below = [row[-1].below for row in table.rows]
    assert [cell.link for cell in below] == ["../mine/m0", "../mine/m1", "../mine/s0", "../mine/s1", ""]
    assert below[-1].text == f"run not at hand: a row of theirs.csv; its directory was {tmp_path}/theirs/s2"


def test_a_row_whose_run_is_in_its_directory_links_to_it(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("lab/a", identity="a" * 32)
    (tmp_path / "t.csv").write_text(rows.as_csv(command.flatten(collect([tmp_path / "lab"]).runs)))
    (row,) = every_run.table(collect([tmp_path / "t.csv"]).runs, tmp_path / "report").rows
    assert row[-1].below.link == "../lab/a"
    assert row[-1].below.text == "a row of t.csv, which agrees with its run in lab/a; the run was not read"
    run("lab/b", seed=1, identity="b" * 32)
    (tmp_path / "t.csv").write_text(rows.as_csv(command.flatten(collect([tmp_path / "lab"]).runs)))
    assert "Their runs were not read." in origin.note(collect([tmp_path / "t.csv"]).runs)
    shutil.rmtree(tmp_path / "lab/b")
    assert "Their runs were not read, or are not at hand." in origin.note(collect([tmp_path / "t.csv"]).runs)


def test_provenance_counts_rows_and_lists_every_repetition(mixed, study_of):
    asked = study_of_collected(study_of, mixed)
    parts = {part.heading: part for part in provenance.section(asked, mixed.troubles).parts}
    assert texts(parts["Rows of results tables"].table) == [["theirs.csv", "1", "0", "ddddddd", "1 × H200", "0.1"]]
    repeated = parts["Executed more than once"]
    assert repeated.text.startswith(
        "1 run was executed again, with the same settings, data, weights and seed. The scores differ by 0.0400 "
        "(cpu, 1 thread with torch 2.1 in the tables, 1 × H200 with torch 2.2, prunebert 0.1 again)."
    )
    (pair,) = repeated.parts
    machines = ["cpu, 1 thread with torch 2.1", "1 × H200 with torch 2.2, prunebert 0.1"]
    line = ["toy, bert-base-uncased", "smp", "0.5", "0", "0.8000", "0.7600", "-0.0400", *machines, "theirs.csv, row 1"]
    assert pair.folded and texts(pair.table) == [line]


def test_the_largest_and_the_mean_difference_are_named(mixed):
    (repeat,) = mixed.repeats

    def pair(kept, other, identity):
        facts = repeat.kept | {"identity": identity}
        return type(repeat)(facts | {"score": kept}, facts | {"score": other})

    pairs = [pair(0.8, 0.7, "a"), pair(0.5, 0.52, "b"), pair(0.5, 0.5, "b")]
    assert "2 runs were executed again" in origin.repeated(pairs)
    assert "differ by 0.1000 at most, and by 0.0400 on average (all on cpu, 1 thread)" in origin.repeated(pairs)
    assert "All scores are the same" in origin.repeated([pair(0.5, 0.5, "a")]) and origin.repeated([]) == ""


def test_the_table_of_a_report_says_which_runs_are_rows_and_of_which_table(mixed):
    table = command.flatten(mixed.runs)
    assert table["source"].tolist() == ["run"] * 4 + ["theirs.csv"]
    assert list(table)[:7] == ["table", "label", "of", "measured", "disk_bytes", "directory", "source"]


def test_the_terminal_marks_cells_explains_the_mark_and_names_what_was_repeated(mixed, cli, undrawn):
    status, printed = cli("report", "mine", "theirs.csv", "--out", "out")
    lines = printed.splitlines()
    assert status == 0 and sum("‡" in line for line in lines) == 2
    assert any(line.startswith("smp") and line.endswith("0.8333 ± 0.0577 (3)‡") for line in lines)
    assert "1 run was executed again" in printed and "differ by 0.0400" in " ".join(printed.split())
    status, printed = cli("report", "theirs.csv", "--out", "other")
    assert status == 0 and "‡" not in printed and "1 scores only: theirs.csv: 2 rows" in printed
    status, printed = cli("report", "mine", "theirs.csv", "--format", "csv")
    assert "rows of theirs.csv, whose runs are not at hand: 1 of 5 runs" in printed
