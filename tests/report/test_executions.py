"""Rows of another person's table beside runs: own runs confirm or refute them, and repeated runs are compared."""

import json
import os
import shutil

import pytest

from prunebert.report import command, rows
from prunebert.report.collect import collect

A, B, C = "a" * 32, "b" * 32, "c" * 32
SETTINGS = {"settings": {"fit": {"steps": 9}, "lr": 0.1, "on": True, "text": "1.0"}, "versions": {"torch": "2.1"}}
ENDINGS = pytest.mark.parametrize("ending", ["csv", "parquet"])


def write(table, file):
    file.parent.mkdir(exist_ok=True)
    table.to_parquet(file) if file.suffix == ".parquet" else file.write_text(rows.as_csv(table))
    return file


def contradictory(collected):
    return [(t.location.rpartition("/")[2], t.reason) for t in collected.troubles if t.kind == "contradictory"]


@pytest.fixture
def lab(run, tmp_path):
    """Two runs that differ in their seed, and the table of a report on them."""
    for seed, identity in enumerate((A, B)):
        changes = {"wrong": 10 + 10 * seed, "seconds": 10.25 + seed, "overlaps": ["seen", "again"]}
        run(f"lab/{seed}", seed=seed, identity=identity, **changes, **SETTINGS)
    return tmp_path / "lab", command.flatten(collect([tmp_path / "lab"]).runs)


@ENDINGS
def test_rows_that_agree_with_their_runs_are_those_runs(lab, tmp_path, ending):
    root, table = lab
    file = write(table, tmp_path / f"theirs/results.{ending}")
    for roots in ([root, file], [file, root], [root, tmp_path / "theirs"]):
        collected = collect(roots)
        assert collected.runs["has_files"].all() and collected.finished == 2 and collected.troubles == []
        assert dict(collected.agreeing) == {str(file): 2} and collected.repeats == []


EDITS = {
    "a score": (
        {"score": 0.95, "metrics.accuracy": 0.95},
        "score is 0.95 here and 0.9 there; metrics.accuracy is 0.95",
    ),
    "a cost": ({"seconds": 9.5}, "seconds is 9.5 here and 10.25 there"),
    "a setting": ({"settings.fit.steps": 10}, "settings.fit.steps is 10 here and 9 there"),
    "a setting that is missing": ({"settings.fit.steps": None}, "settings.fit.steps is nothing here and 9 there"),
    "a new setting": ({"settings.temperature": 2}, "settings.temperature is 2 here and nothing there"),
    "the model": ({"model": "other"}, "model is other here and bert-base-uncased there"),
    "the identity": ({"identity": C}, f"identity is {C} here and {A} there"),
    "a list": ({"overlaps": '["seen"]'}, "overlaps is ['seen'] here and ['seen', 'again'] there"),
    "the checksum": ({"checksum": "0" * 64}, f"checksum is {'0' * 60} here and "),
    "a version": ({"versions.torch": "2.2"}, "versions.torch is 2.2 here and 2.1 there"),
}


@ENDINGS
@pytest.mark.parametrize("name", EDITS)
def test_a_row_that_contradicts_its_run_is_left_out_and_named_with_what_differs(lab, tmp_path, name, ending):
    root, table = lab
    changes, reason = EDITS[name]
    edited = table.astype(object)
    edited.loc[0, list(changes)] = list(changes.values())
    edited = edited.infer_objects()
    file = write(edited, tmp_path / f"theirs.{ending}")
    for roots in ([root, file], [file]):  # the row names its directory, which is where it says
        collected = collect(roots)
        ((location, found),) = contradictory(collected)
        assert location == f"theirs.{ending}, row 1" and found.startswith("it is not what ") and reason in found
        assert f"{root}/0/result.json says: " in found
        assert len(collected.runs) == len(roots) and collected.repeats == []


def test_a_row_is_confirmed_by_the_directory_that_it_names_although_it_is_not_read(lab, tmp_path):
    root, table = lab
    shutil.rmtree(root / "1")
    collected = collect([write(table, tmp_path / "theirs.csv")])
    assert collected.runs["own_run"].tolist() == [root / "0", None] and not collected.runs["has_files"].any()
    assert dict(collected.agreeing) == {str(tmp_path / "theirs.csv"): 1}


def test_notes_and_columns_of_other_versions_are_no_contradiction(lab, tmp_path):
    root, table = lab
    changed = table.drop(columns=["device", "git_dirty", "settings.on"]).assign(notes="mine", source="elsewhere")
    collected = collect([root, write(changed, tmp_path / "theirs.csv")])
    assert contradictory(collected) == [] and collected.agreeing.total() == 2


def test_a_row_without_a_checksum_belongs_to_the_directory_that_it_names(lab, tmp_path):
    root, table = lab
    table.loc[0, ["score", "metrics.accuracy", "seconds"]] = [0.95, 0.95, 1.0]
    file = write(table.drop(columns="checksum"), tmp_path / "theirs.csv")
    for roots in ([root, file], [file]):
        assert [place for place, _ in contradictory(collect(roots))] == ["theirs.csv, row 1"]


def test_two_rows_of_one_run_with_different_numbers_are_both_left_out_unless_the_run_decides(lab, tmp_path):
    root, table = lab
    moved = table.assign(directory="/gone")
    edited = moved.copy()
    edited.loc[0, ["score", "metrics.accuracy"]] = 0.95
    first, second = write(moved, tmp_path / "first.csv"), write(edited, tmp_path / "second.csv")
    collected = collect([first, second])
    assert collected.runs["seed"].tolist() == [1] and collected.repeats == []
    (one, other) = contradictory(collected)
    assert one[0] == "first.csv, row 1" and other[0] == "second.csv, row 1"
    assert one[1].startswith(f"it is the same run as {second}, row 1: score is 0.9 here and 0.95 there")
    assert other[1].startswith(f"it is the same run as {first}, row 1: score is 0.9 there and 0.95 here")
    collected = collect([first, second, root])
    assert collected.runs["score"].tolist() == [0.9, 0.8] and [p for p, _ in contradictory(collected)] == [other[0]]
    third = write(moved, tmp_path / "third.csv")
    assert len(contradictory(collect([first, second, third]))) == 3
    assert contradictory(collect([first, third])) == []


def again(run, name, **changes):
    """Execute the lab's runs again: the same identities, and other scores, times and devices."""
    for seed, identity in enumerate((A, B)):
        facts = {"wrong": 13 + 10 * seed, "seconds": 5.5 + seed, **SETTINGS, **changes}
        run(f"{name}/{seed}", seed=seed, identity=identity, **facts)


def test_a_run_that_was_executed_elsewhere_is_compared_and_the_one_at_hand_counts(lab, run, tmp_path):
    root, _ = lab
    again(run, "theirs", device="1 × H200")
    theirs = write(command.flatten(collect([tmp_path / "theirs"]).runs), tmp_path / "theirs.csv")
    shutil.rmtree(tmp_path / "theirs")
    for roots in ([root, theirs], [theirs, root]):
        collected = collect(roots)
        assert collected.runs["score"].tolist() == [0.9, 0.8] and collected.troubles == []
        pairs = [(p.kept["score"], p.other["score"], p.other["device"]) for p in collected.repeats]
        assert sorted(pairs) == [(0.8, 0.77, "1 × H200"), (0.9, 0.87, "1 × H200")]


def test_of_two_tables_the_later_counts_and_of_two_directories_the_one_written_last(lab, run, tmp_path):
    root, table = lab
    table["directory"] = "/gone"
    mine = write(table, tmp_path / "mine.csv")
    again(run, "theirs", written=9e9)
    theirs = write(command.flatten(collect([tmp_path / "theirs"]).runs), tmp_path / "theirs.csv")
    collected = collect([root, tmp_path / "theirs"])
    assert collected.runs["score"].tolist() == [0.87, 0.77] and len(collected.repeats) == 2
    assert [t.kind for t in collected.troubles] == ["replaced"] * 2
    shutil.rmtree(tmp_path / "theirs")
    shutil.rmtree(root)
    assert collect([mine, theirs]).runs["score"].tolist() == [0.87, 0.77]
    assert collect([theirs, mine]).runs["score"].tolist() == [0.9, 0.8]


def test_a_copy_of_a_run_is_no_repetition(lab, tmp_path):
    root, _ = lab
    shutil.copytree(root, tmp_path / "copy")
    collected = collect([root, tmp_path / "copy"])
    assert collected.troubles == [] and collected.repeats == [] and collected.finished == 2


@pytest.mark.parametrize("content", ["damaged", "another run", "a pipe", "nothing"])
def test_a_directory_that_holds_something_else_does_not_decide(lab, run, tmp_path, content):
    root, table = lab
    file = write(table.head(1), tmp_path / "theirs.csv")
    shutil.rmtree(root / "0")
    if content == "another run":
        run("lab/0", seed=0, identity=C, wrong=30, seconds=77.5)
    elif content != "nothing":
        (root / "0").mkdir()
        os.mkfifo(root / "0/result.json") if content == "a pipe" else (root / "0/result.json").write_text("{")
    collected = collect([file])
    assert collected.runs["score"].tolist() == [0.9] and contradictory(collected) == []
    assert collected.runs["own_run"].tolist() == [None] and not collected.agreeing


def test_a_name_that_no_directory_can_have_is_no_error(lab, tmp_path):
    _, table = lab
    for name in ("x" * 5000, "", "a\0b"):
        collected = collect([write(table.head(1).assign(directory=name), tmp_path / "theirs.parquet")])
        assert len(collected.runs) == 1, json.dumps(name)


CLASHES = {
    "method": {"method": "smp", "command": "prunebert"},
    "seed": {"seed": 7, "command": "prunebert"},
    "sparsity": {"sparsity": 0.6, "command": "prunebert"},
    "weights_hash": {"weights_hash": "b" * 64},
    "data.fingerprint.validation": {"data.fingerprint.validation": "w"},
    "settings.fit.steps": {"settings.fit.steps": 10},
    "settings.on": {"settings.on": False},
}


@pytest.mark.parametrize("key", CLASHES)
def test_rows_of_another_experiment_with_the_identity_of_a_run_are_no_repetition_of_it(lab, run, tmp_path, key):
    root, _ = lab
    again(run, "theirs")
    rows_of_theirs = command.flatten(collect([tmp_path / "theirs"]).runs)
    shutil.rmtree(tmp_path / "theirs")
    edited = rows_of_theirs.astype(object)
    edited.loc[0, list(CLASHES[key])] = list(CLASHES[key].values())
    file = write(edited, tmp_path / "theirs.csv")
    collected = collect([root, file])
    ((location, reason),) = contradictory(collected)
    assert location == "theirs.csv, row 1" and f"it has the identity of {root}/0, but {key} is " in reason
    assert len(collected.repeats) == 1 and collected.runs["score"].tolist() == [0.9, 0.8]
    plain = write(rows_of_theirs.assign(checksum=["0" * 64, "1" * 64], seconds=[70.5, 71.5]), tmp_path / "plain.csv")
    collected = collect([file, plain])  # none decides
    assert [place for place, _ in contradictory(collected)] == ["theirs.csv, row 1", "plain.csv, row 1"]
    assert collected.runs["seed"].tolist() == [1]


def test_paths_in_settings_and_the_models_path_may_differ_between_executions(lab, run, tmp_path):
    root, _ = lab
    run("theirs", identity=A, seconds=5.5, model="/there/bert", settings=SETTINGS["settings"] | {"text": "/there"})
    file = write(command.flatten(collect([tmp_path / "theirs"]).runs), tmp_path / "theirs.csv")
    shutil.rmtree(tmp_path / "theirs")
    collected = collect([root, file])
    assert contradictory(collected) == [] and len(collected.repeats) == 1
