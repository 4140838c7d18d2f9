"""Results tables are found in a folder among other files, and every odd table is read right or refused in one line."""

import gzip
import shutil

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.report import command, rows, table_files
from prunebert.report.collect import collect


@pytest.fixture
def table(run, tmp_path):
    """The table of a report on two runs of two tasks whose directories are gone."""
    for seed, task in enumerate(("sst2", "qqp")):
        run(f"lab/{task}", task=task, seed=seed)
    found = command.flatten(collect([tmp_path / "lab"]).runs)
    shutil.rmtree(tmp_path / "lab")
    return found


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "main").mkdir()
    return tmp_path / "main"


def reasons(collected):
    return [(t.kind, t.location, t.reason) for t in collected.troubles if t.kind != "scores only"]


def test_every_results_table_of_a_folder_is_read_and_other_files_are_passed_over(table, folder, tmp_path):
    for task, part in table.groupby("task"):
        (folder / f"{task}.csv").write_text(rows.as_csv(part))
    (folder / "overlap.csv").write_text("task,sparsity,a,b\nqnli,0.5,abp,abp\n")
    (folder / "data.csv").write_text("sentence;label\nfine;1\n")
    (folder / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    (folder / "empty.csv").touch()
    (folder / ".hidden.csv").write_text(rows.as_csv(table.replace({"seed": 1}, 2)))
    pd.DataFrame({"id": [1]}).to_parquet(folder / "predictions.parquet")
    (folder / "report").mkdir()
    (folder / "report/results.csv").write_text(rows.as_csv(table.assign(seed=[5, 6])))
    collected = collect([folder])
    assert sorted(collected.runs["task"]) == ["qqp", "sst2"] and reasons(collected) == []
    assert [path.name for path in collected.tables] == ["qqp.csv", "sst2.csv"]
    assert collect([folder / "sst2.csv"]).runs["task"].tolist() == ["sst2"]
    assert len(collect([folder, folder / "sst2.csv", folder]).runs) == 2


def test_a_folder_may_have_runs_and_tables(table, folder, run):
    run("main/own", seed=7)
    (folder / "theirs.csv").write_text(rows.as_csv(table))
    found = collect([folder]).runs
    assert found.groupby("has_files")["seed"].apply(sorted).to_dict() == {False: [0, 1], True: [7]}


def test_the_same_rows_as_csv_and_parquet_count_once(table, folder):
    table.drop(columns="checksum").to_csv(folder / "results.csv", index=False)
    table.drop(columns="checksum").to_parquet(folder / "results.parquet")
    collected = collect([folder])
    assert collected.finished == 2 and reasons(collected) == []


def test_a_table_in_a_folder_that_cannot_be_read_is_named(table, folder):
    (folder / "a.csv").write_text(rows.as_csv(table))
    table.to_csv(folder / "b.csv", sep=";", decimal=",", index=False)
    (folder / "results.csv").write_text("method,score\nsmp,0.5\n")
    (first, second) = reasons(collect([folder]))
    assert first[:2] == ("not used", str(folder / "b.csv")) and "separated by semicolons" in first[2]
    assert second[1] == str(folder / "results.csv") and "lacks the columns command" in second[2]


def test_a_folder_without_results_names_the_folders_that_have_tables(table, folder, tmp_path):
    (folder / "a.csv").write_text(rows.as_csv(table))
    with pytest.raises(BadInput, match=r"no finished run .*; there are results tables in .*main: name that folder"):
        collect([tmp_path])
    (folder / "a.csv").unlink()
    with pytest.raises(BadInput, match=r"that can be read$"):
        collect([tmp_path])


def test_the_table_that_a_report_replaces_is_not_read_and_one_that_is_read_is_not_replaced(table, folder, run, undrawn):
    run("main/own", seed=7)
    (folder / "results.csv").write_text(rows.as_csv(table))
    with pytest.raises(BadInput, match=r"--out=.*main: the report reads .*results\.csv and would replace it"):
        command.write([folder], folder)
    assert not (folder / "report.html").exists()
    (folder / "results.csv").unlink()
    command.write([folder], folder)
    run("main/other", seed=8)
    command.write([folder], folder)
    assert sorted(pd.read_csv(folder / "results.csv")["seed"]) == [7, 8]
    shutil.rmtree(folder / "other")
    command.write([folder], folder)
    assert sorted(pd.read_csv(folder / "results.csv")["seed"]) == [7]
    assert pd.read_csv(folder / "results.csv")["source"].tolist() == ["run"]


def test_a_table_is_read_whatever_wrote_it(table, folder):
    """Windows line ends, a byte order mark, another order of columns, notes, an unnamed index, empty lines."""
    changed = table[[*reversed(table.columns)]].assign(notes="fine", directory="C:\\runs\\a, b").reset_index()
    changed = changed.rename(columns={"index": ""}).drop(columns=["git_commit", "disk_bytes", "table", "measured"])
    text = "sep=,\n" + rows.as_csv(changed) + "," * (len(changed.columns) - 1) + "\n"
    with gzip.open(folder / "results.csv.gz", "wb") as stream:
        stream.write(("\ufeff" + text.replace("\n", "\r\n")).encode())
    for source in (folder, folder / "results.csv.gz"):
        collected = collect([source])
        assert reasons(collected) == [] and sorted(collected.runs["seed"]) == [0, 1]
        assert set(collected.runs["directory"]) == {"C:\\runs\\a, b"} and set(collected.runs["git_commit"]) == {""}


def text_of(table, **options):
    return table.to_csv(index=False, **options)


ODD = {
    "semicolons": (lambda t: text_of(t, sep=";"), r"line 1: the cells are separated by semicolons, .*: table;label;"),
    "tabs": (lambda t: text_of(t, sep="\t"), "separated by tabs"),
    "sep=;": (lambda t: "sep=;\n" + text_of(t, sep=";"), "line 1: the cells are separated by semicolons.*: sep=;"),
    "a column twice": (lambda t: text_of(t).replace("seed,", "score,", 1), "the column score is there twice"),
    "no rows": (lambda t: text_of(t.head(0)), "results.csv not used, it has no rows"),
    "a cut header": (lambda t: text_of(t)[:200], "it lacks the columns"),
    "decimal commas": (lambda t: text_of(t, decimal=","), "row 1 not used, it is damaged: .* a decimal comma"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(table, folder, name):
    make, message = ODD[name]
    (folder / "results.csv").write_text(make(table))
    with pytest.raises(BadInput, match=message) as error:
        collect([folder / "results.csv"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"a,b\n" * 99, mtime=0)[:-12]], ids=["no gzip", "cut"])
def test_a_damaged_compressed_table_is_refused(folder, content):
    (folder / "results.csv.gz").write_bytes(content)
    with pytest.raises(BadInput, match=r"results\.csv\.gz cannot be read: \w+"):
        collect([folder / "results.csv.gz"])


def test_a_table_with_too_much_text_is_refused(table, folder, monkeypatch):
    (folder / "results.csv").write_text(rows.as_csv(table))
    monkeypatch.setattr(rows, "LARGEST", 1 << 10)
    with pytest.raises(BadInput, match="more than 0 MiB of text"):
        collect([folder / "results.csv"])


def test_a_spreadsheets_numbers_are_read_right_or_named_with_row_and_column(table, folder):
    table = table.astype(object)
    table["score"] = table["metrics.accuracy"] = "8.00E-01"
    table["git_dirty"] = "FALSE"
    table.loc[1, "settings.fit.steps"] = "09. Jan"
    table.to_csv(folder / "results.csv", index=False)
    collected = collect([folder])
    assert collected.runs["score"].tolist() == [0.8] and collected.runs["row"][0]["git_dirty"] is False
    assert reasons(collected) == [
        (
            "not used",
            f"{folder}/results.csv, row 2",
            "it is damaged: settings.fit.steps is 09. Jan, a date that a spreadsheet wrote",
        )
    ]


def test_a_date_in_a_parquet_table_is_no_missing_value(table, folder):
    table["score"] = [pd.Timestamp("2026-09-01"), pd.NaT]
    table.to_parquet(folder / "results.parquet")
    with pytest.raises(BadInput, match=r"score is 2026-09-01 00:00:00, a Timestamp; .*row 2 .*score is missing"):
        collect([folder])


def test_a_row_that_is_cut_short_is_named_and_the_others_stay(table, folder):
    text = rows.as_csv(table)
    (folder / "results.csv").write_text(text[: text.rindex("{") if "{" in text else -100])
    collected = collect([folder])
    assert len(collected.runs) == 1 and "cells for" in reasons(collected)[0][2]


def test_header_is_read_without_the_rest(table, folder):
    (folder / "a.csv").write_text(rows.as_csv(table) + '"never closed')
    assert table_files.is_results_table(folder / "a.csv")
    assert rows.column_names(folder / "a.csv") == list(table)
