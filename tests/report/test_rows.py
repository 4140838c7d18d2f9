"""Test runs of which only the row of an earlier report is left: they are read back into the same tables."""

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.report.cell_values import parse_cell
from prunebert.report.collect import collect
from prunebert.report.command import flatten
from prunebert.report.page import tables
from prunebert.report.rows import column_names, parse_row, read
from prunebert.report.statistics import differences

PUBLISHED = Path(__file__).parents[2] / "results/tiny"
TASKS = ("qqp", "sst2", "stsb")
CELL = ["table", "label", "sparsity"]
BOTH = pytest.mark.parametrize("ending", ["csv", "parquet"])


def write_table(root, file, *, remove=False):
    """Write the table of a report on `root`. remove: delete `root` afterwards."""
    table = flatten(collect([root]).runs)
    table.to_csv(file, index=False) if file.suffix == ".csv" else table.to_parquet(file, index=False)
    if remove:
        shutil.rmtree(root)
    return file


def test_the_results_of_this_repository_give_the_same_tables():
    table = pd.concat(
        [pd.read_csv(file, low_memory=False) for file in (PUBLISHED / f"{task}.csv" for task in TASKS)],
        ignore_index=True,
    )
    collected = collect([PUBLISHED])
    assert len(collected.runs) == collected.finished == len(table) > 400 and not collected.runs["has_files"].any()
    stored = table.set_index("identity")[["table", "label"]].loc[collected.runs["identity"]]  # labels of their time
    pairs = set(zip(stored["table"], stored["label"], collected.runs["table"], collected.runs["label"], strict=True))
    assert len(pairs) == len({pair[:2] for pair in pairs}) == len({pair[2:] for pair in pairs}) == 60
    names = {pair[:2]: pair[3] for pair in pairs}
    table["label"] = [names[pair] for pair in zip(table["table"], table["label"], strict=True)]
    ours, theirs = (runs.groupby(CELL)["score"].agg(["mean", "std", "size"]) for runs in (collected.runs, table))
    pd.testing.assert_frame_equal(ours, theirs)
    assert [
        (t.location.rpartition("/")[2], t.reason.partition("rows: ")[0] + "rows: ")
        for t in collected.troubles
        if t.kind != "mixed"
    ] == [(f"{task}.csv", f"{len(rows)} rows: ") for task, rows in table.groupby("task")]


@BOTH
def test_a_row_is_read_back_as_the_runs_result(run, tmp_path, ending):
    settings = {"fit": {"steps": 5, "lr": 1e-5, "keep": None}, "on": True, "words": ["Yes", "1.0"], "sparsity": 0.5}
    versions = {"torch": "2.10", "python": "3"}
    lab = tmp_path / "lab"
    run_settings = [settings | {"temperature": 1.0}, settings | {"temperature": "paper", "at": {"end": 0.8, "n": 1}}]
    originals = {}
    for seed, changed in enumerate(run_settings):
        root = run(f"lab/{seed}", "smp", 0.5, seed, settings=changed, versions=versions, git_commit="123e4567")
        row = json.loads((root / "result.json").read_text())
        del row["settings"]["fit"]["keep"]  # a table cannot distinguish null from a missing value
        originals[str(root)] = row
    names, lines = read(write_table(lab, tmp_path / f"results.{ending}"))
    rows = [parse_row(names, line) for line in lines]
    assert {row.pop("of") for row in rows} == {"encoder"}
    assert {row.pop("disk_bytes") for row in rows} == {Path(root, "masks.safetensors").stat().st_size}
    assert {row.pop("directory"): row for row in rows} == originals
    kinds = {key: type(value) for key, value in rows[0]["settings"]["fit"].items()}
    assert kinds == {"steps": int, "lr": float} and type(rows[0]["seed"]) is int and rows[0]["git_dirty"] is False


CELLS = [("1.0", 1), ("300", 300), ("1e-05", 1e-5), ("True", True), ("false", False), ('["a", 1]', ["a", 1])]
CELLS += [("paper", "paper"), ("null", "null"), ("[open", "[open"), ('{"a": 1}', '{"a": 1}'), (2.0, 2), (True, True)]


@pytest.mark.parametrize(("cell", "expected"), CELLS, ids=[str(c) for c, _ in CELLS])
def test_a_cell_is_read_as_a_number_list_or_boolean(cell, expected):
    assert parse_cell(cell) == expected and type(parse_cell(cell)) is type(expected)


@BOTH
def test_rows_and_directories_with_the_same_settings_are_one_variant_with_one_label(run, tmp_path, ending):
    settings = {"masks": None, "temperature": 1.0, "version": "2.0", "keep_pretrained": False, "head": "linear"}
    for seed in (0, 1):
        run(f"lab/{seed}", "smp", 0.5, seed, wrong=10 + seed, settings=settings)
        run(f"lab/m{seed}", "smp", 0.5, seed, wrong=30 + seed, settings=settings | {"masks": "runs/x", "head": "words"})
    table = write_table(tmp_path / "lab", tmp_path / f"results.{ending}", remove=True)
    for seed in (2, 3):
        run(f"own/{seed}", "smp", 0.5, seed, wrong=10 + seed, settings=settings)
    for roots in ([table, tmp_path / "own"], [tmp_path / "own", table]):
        runs = collect(roots).runs
        assert runs.groupby("label")["seed"].apply(sorted).to_dict() == {
            "smp (head=linear)": [0, 1, 2, 3],
            "smp (head=words)": [0, 1],
        }
        assert runs["variant"].nunique() == 2
        assert runs[runs["seed"] > 1]["has_files"].all() and not runs[runs["seed"] < 2]["has_files"].any()
        mean = runs[runs["label"].str.contains("linear")]["score"].mean()
        assert mean == pytest.approx((0.90 + 0.89 + 0.88 + 0.87) / 4)


def test_a_row_older_than_a_setting_gets_the_default_of_the_method_with_its_name(run, tmp_path):
    """The setting is gmp's train_embeddings, true in its signature. prunebert has no method `theirs`."""
    for method in ("gmp", "theirs"):
        run(f"lab/{method}", method, settings={})
    table = write_table(tmp_path / "lab", tmp_path / "results.csv", remove=True)
    for method in ("gmp", "theirs"):
        run(f"own/{method}", method, seed=1, settings={"train_embeddings": True})
    assert collect([table, tmp_path / "own"]).runs.groupby("method")["variant"].nunique().to_dict() == {
        "gmp": 1,
        "theirs": 2,
    }


@BOTH
def test_encoder_pooler_of_a_model_without_a_pooler_stays_the_encoder(run, tmp_path, ending):
    for seed in (0, 1):
        root = run(f"lab/{seed}", seed=seed, prunable="encoder_pooler")
        topology = json.loads((root / "topology.json").read_text())
        del topology["kinds"]["pooler"]
        (root / "topology.json").write_text(json.dumps(topology))
    table = write_table(tmp_path / "lab", tmp_path / f"results.{ending}")
    shutil.rmtree(tmp_path / "lab/0")
    runs = collect([tmp_path / "lab", table]).runs
    assert set(runs["denominator"]) == {"encoder"} and runs["variant"].nunique() == 1 and len(runs) == 2


def test_of_a_run_given_twice_the_directory_counts_or_else_the_last_table(run, tmp_path):
    """The tables have other executions than the directories: other seconds, scores and checksums."""
    tables = []
    for number, name in enumerate(("first", "second", "a")):
        run(f"{name}/0", wrong=10, identity="a" * 32, seconds=10.5 + number)
        run(f"{name}/1", wrong=20 + 5 * number, seed=1, identity="b" * 32, seconds=20.5 + number)
        if name != "a":
            tables.append(write_table(tmp_path / name, tmp_path / f"{name}.csv", remove=True))
    first, second = tables
    collected = collect([second, tmp_path / "a", first])
    assert collected.runs["score"].tolist() == [0.9, 0.7] and collected.runs["has_files"].all()
    assert collected.troubles == [] and collected.finished == 2 and len(collected.repeats) == 4
    for roots, score in (([first, second], 0.75), ([second, first], 0.8)):
        collected = collect(roots)
        assert collected.runs["score"].tolist() == [0.9, score] and len(collected.repeats) == 2
        assert [(t.kind, t.location) for t in collected.troubles] == [("scores only", str(roots[1]))]


def test_examples_are_tested_over_the_seeds_with_predictions(run, tmp_path):
    """For seed 1, smp has ten right that magnitude has wrong. For seed 0 it is the reverse, but only rows are left."""
    for method, wrong in (("magnitude", (20, 20)), ("smp", (30, 10))):
        for seed in (0, 1):
            run(f"{seed}/{method}", method, seed=seed, wrong=wrong[seed])
    table = write_table(tmp_path / "0", tmp_path / "results.csv", remove=True)
    gaps = differences.differences(collect([tmp_path / "1", table]).runs, ["magnitude"])
    (test,) = gaps["examples"]
    assert (test.p, test.wins, test.part) == (2 * 0.5**10, "10 : 0", "1 of 2 seeds")
    assert gaps["difference"].tolist() == pytest.approx([0.0]) and gaps["seeds"].tolist() == [2]
    assert "10 : 0 (1 of 2 seeds)" in [cell.text for cell in tables.differences(gaps).rows[0]]


def test_a_row_with_another_identity_in_the_same_cell_is_replaced_and_reported(run, tmp_path):
    old = run("a/0", wrong=10, identity="a" * 32, written=9e9)
    table = write_table(tmp_path / "a", tmp_path / "results.csv", remove=True)
    new = run("b/0", wrong=20, identity="b" * 32, written=1)
    collected = collect([tmp_path / "b", table])
    assert collected.runs["score"].tolist() == [0.8] and collected.runs["directory"].tolist() == [new]
    assert [(t.kind, t.location) for t in collected.troubles] == [("replaced", f"{old} (a row of {table})")]
    assert collected.troubles[0].reason == f"same settings and seed as {new}, which was written later"


def test_rows_without_an_identity_are_all_used_and_of_two_in_one_cell_the_last(run, tmp_path):
    """Tables of early versions have no identities and checksums. The reason names the table, because both are rows."""
    for seed in (0, 1):
        run(f"a/{seed}", seed=seed, wrong=10)
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    table = pd.read_csv(write_table(tmp_path / "a", first)).drop(columns="checksum")
    table.to_csv(first, index=False)
    second.write_text(first.read_text().replace("0.9,", "0.7,"))
    collected = collect([first, second])
    assert collected.runs["score"].tolist() == [0.7, 0.7] and collected.finished == 4
    replaced = [t.reason for t in collected.troubles if t.kind == "replaced"]
    assert len(replaced) == 2 and all(reason.endswith(f", a later row of {second}") for reason in replaced)


def test_what_a_spreadsheet_or_an_early_version_writes_is_read(run, tmp_path):
    """A byte order mark, empty lines, and a device in other words. Hashes of digits alone stay text."""
    facts = {"git_commit": "1234567", "identity": "0" * 30 + "12", "device": "cpu, 1 threads"}
    data = {"rows": {"train": 9}, "fingerprint": {"train": "0123", "validation": "1e5"}}
    package = {"name": "glue", "version": "1.0", "extra": "2.0", "path": "x", "model": "y", "sha256": {"a": "77"}}
    checkpoint = {"name": "m", "revision": "007", "package": package}
    run("lab/0", data=data, checkpoint=checkpoint, settings={"big": float(2**60)}, **facts)
    table = write_table(tmp_path / "lab", tmp_path / "results.csv", remove=True)
    table.write_text("\ufeff" + table.read_text().replace("\n", "\n\n"), encoding="utf-8")
    (row,) = collect([table]).runs["row"]
    assert row["git_commit"] == "1234567" and row["identity"] == "0" * 30 + "12" and row["device"] == "cpu, 1 thread"
    assert row["data"]["fingerprint"] == data["fingerprint"] and row["checkpoint"]["package"] == package
    assert row["checkpoint"]["revision"] == "007"
    assert type(row["settings"]["big"]) is float and row["settings"]["big"] == 2.0**60
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match="no finished run"):  # a folder is searched for runs, whatever its name
        collect([tmp_path / "folder.csv"])


def assert_same_runs(a, b):
    """Compare two frames of runs, ignoring the files that they were read from."""
    facts = ["row", "facts", "metrics", "settings", "source", "position"]
    pd.testing.assert_frame_equal(a.drop(columns=facts), b.drop(columns=facts))
    assert all(a[key].tolist() == b[key].tolist() for key in facts[:-2])


@BOTH
def test_a_table_written_twice_is_read_as_the_same_runs(run, tmp_path, ending):
    run("lab/0", "smp", 0.9, settings={"b": 1.0, "a": [1.5], "fit": {"lr": 0.1}}, metrics={"accuracy": 0.8, "f1": 1.0})
    run("lab/1", "smp", 0.9, settings={"a": [], "b": "paper", "c": False}, git_commit="")
    file = write_table(tmp_path / "lab", tmp_path / "own.csv")
    read_once = collect([PUBLISHED, file]).runs
    second_file = tmp_path / f"second.{ending}"
    table = flatten(read_once)
    table.to_csv(second_file, index=False) if ending == "csv" else table.to_parquet(second_file, index=False)
    assert_same_runs(read_once, collect([second_file]).runs)


DAMAGE = {
    "no score": ("score", "", "it is damaged: score is missing, and must be a number"),
    "a word for a score": ("score", "high", "it is damaged: score is high, not a number"),
    "half a seed": ("seed", "0.5", "it is damaged: seed is 0.5, not a whole number"),
    "no command": ("command", "", "it is damaged: command is missing, and must be text"),
    "value and group": ("settings.head.x", "1", "it is damaged: head in settings.head.x is a value and a group of"),
    "group and value": ("metrics", "1", "it is damaged: metrics is a value and a group of values"),
}


@pytest.mark.parametrize(("column", "cell", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_is_a_line_under_not_used(run, tmp_path, column, cell, message):
    for seed in (0, 1):
        run(f"lab/{seed}", seed=seed)
    file = write_table(tmp_path / "lab", tmp_path / "results.csv")
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[1][column] = cell
    with file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[1]), restval="")
        table.writeheader()
        table.writerows(rows)
    collected = collect([file])
    assert collected.runs["seed"].tolist() == [0]
    trouble = collected.troubles[0]
    assert (trouble.kind, trouble.location) == ("not used", f"{file}, row 2") and trouble.reason.startswith(message)


def test_a_truncated_table_keeps_its_complete_rows(run, tmp_path):
    for seed in (0, 1):
        run(f"lab/{seed}", seed=seed)
    file = write_table(tmp_path / "lab", tmp_path / "results.csv")
    file.write_text(file.read_text()[:-80])
    collected = collect([file])
    assert collected.runs["seed"].tolist() == [0] and " cells for " in collected.troubles[0].reason


BAD = {
    "empty.csv": (b"", "it lacks the columns command, method,"),
    "bytes.csv": (b"\xff\xfe", "cannot be read: 'utf-8' codec"),
    "quote.csv": (b'a,b\n"1,2\n', "cannot be read: unexpected end of data"),
    "bytes.parquet": (b"PAR1 no", "cannot be read: "),
}


@pytest.mark.parametrize(("name", "content", "message"), [(name, *rest) for name, rest in BAD.items()], ids=BAD)
def test_a_file_that_is_no_results_table_is_bad_input(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as error:
        collect([tmp_path / name])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_table_that_a_spreadsheet_saved_with_a_mark_of_its_encoding_is_read(run, tmp_path):
    run("lab/0", "smp", 0.5, 0)
    table = write_table(tmp_path / "lab", tmp_path / "results.csv")
    names = column_names(table)
    table.write_bytes("\ufeff".encode() + table.read_bytes())
    assert column_names(table) == names == read(table)[0] and len(names) > 20


def test_an_empty_file_has_no_columns(tmp_path):
    (tmp_path / "results.csv").touch()
    assert column_names(tmp_path / "results.csv") == []
