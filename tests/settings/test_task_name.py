"""The name of a user's own task: a label in results, tables and headings, and no part of the run's identity."""

import json

import pytest

from prunebert.errors import BadInput
from prunebert.report import collect
from prunebert.settings import overrides, task_name

FILE = {"seed_name": "file", "name": None}


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ({"train": "sick.csv"}, "sick"),
        ({"train": "/data/my films.v2.JSONL"}, "my_films.v2"),
        ({"train": "a/$(x) [y],z.tsv"}, "x_y_z"),
        ({"train": "été.parquet"}, "été"),
        ({"train": "...csv"}, "file"),
        ({"train": "mnli.csv"}, "mnli_file"),  # published numbers are about MNLI
        ({"train": "file.csv"}, "file"),
        ({"data_dir": "glue/films/"}, "films"),
        ({"hub": {"path": "someone/films"}}, "films"),
        ({}, "file"),
        ({"path": "fancyzhx/ag_news", "train": "train"}, "ag_news"),
        ({"path": "stanfordnlp/sst2", "train": "train"}, "sst2_hub"),
        ({"train": "sick.csv", "name": "SICK 2014"}, "SICK 2014"),
    ],
)
def test_the_name_is_task_name_or_the_file_s(node, name):
    assert task_name.of(FILE | node, "file", []) == name


def test_other_tasks_keep_their_option_s_name_unless_the_command_line_names_them():
    node = {"name": "films"}
    assert task_name.of(node, "films2", ["seed=1"]) == "films2"
    with pytest.raises(BadInput, match=r"task\.name=films: only a task on your own file takes a name"):
        task_name.of(node, "sst2", ["task.name=films"])
    node["train"] = "films.json"
    assert (
        task_name.of(node, "squad", ["task.name=films"])
        == task_name.of(node, "squad", ["++task.name=films"])
        == "films"
    )


@pytest.mark.parametrize("name", ["a/b", "-x", "", "x" * 81, "a\nb", "a,b", "rte", "mlm"])
def test_names_that_files_cannot_hold_or_others_have_are_refused(name):
    with pytest.raises(BadInput, match=r"^task\.name="):
        overrides.checked(["task=file", "task.train=x.csv", f"task.name='{name}'"])


def test_a_name_stands_in_the_result_and_the_report_and_changes_no_result(cli, toy, tmp_path):
    """The identity does not have it, so the finished run is found, and the user learns how to rename it."""
    results = {}
    for run, words in {"plain": [], "sick": ["task.name=sick"]}.items():
        status, printed = cli(*toy, "method=dense", f"hydra.run.dir={run}", *words)
        assert status == 0, printed
        results[run] = json.loads((tmp_path / run / "result.json").read_text())
    assert [results[run]["task"] for run in results] == ["train", "sick"]
    same = ("identity", "score", "data", "form", "heads_hash", "settings")
    assert all(results["plain"][key] == results["sick"][key] for key in same)
    assert results["sick"]["form"]["name"] == "file"  # seeds the heads
    assert results["plain"]["files"]["weights.safetensors"] == results["sick"]["files"]["weights.safetensors"]
    tables = set(collect.collect([tmp_path]).runs["table"])
    assert tables == {"train, bert", "sick, bert"}
    status, printed = cli(*toy, "method=dense", "hydra.run.dir=sick", "task.name=other")
    assert status == 0 and "finished as task.name=sick; rerun=true repeats it under the new name" in printed


def test_two_files_of_the_same_name_share_no_table(cli, toy, tmp_path, data_folder):
    """Their data differ, so the headings say which evaluation data they are on."""
    lines = (data_folder / "train.csv").read_text().splitlines(keepends=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/train.csv").write_text("".join(lines[:60]))
    own = f"task.train={tmp_path}/other/train.csv"
    words = [w for w in toy if not w.startswith(("task.train", "task.eval"))]
    assert cli(*words, "method=dense", f"task.train={data_folder}/train.csv", "hydra.run.dir=a")[0] == 0
    assert cli(*words, "method=dense", own, "hydra.run.dir=b")[0] == 0
    runs = collect.collect([tmp_path]).runs
    assert set(runs["task"]) == {"train"} and runs["table"].nunique() == 2
    assert all(table.startswith("train, bert, evaluation data ") for table in runs["table"])
