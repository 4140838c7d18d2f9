"""Which tasks share rows, which tasks' data a model was trained on, and who warns."""

import json

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import prunebert.cli  # noqa: F401 (registers the configuration's resolvers)
from prunebert.report import command, rows
from prunebert.report.collect import collect
from prunebert.report.page import best
from prunebert.runs import artifacts, identity
from prunebert.settings import overlaps
from tests.test_conf import options

CORPORA = {"wikitext", "imdb"}


def test_every_overlap_names_a_task_or_a_corpus_and_why():
    facts = {(group, name): o for group in ("task", "model") for name, o in overlaps.declared(group).items() if o}
    assert len(facts) >= 10
    for (_, name), named in facts.items():
        assert set(named) <= {*options("task")} | CORPORA, name
        assert name not in named
        assert all(isinstance(why, str) and len(why) > 20 and not why.endswith(".") for why in named.values())


@pytest.mark.parametrize(
    ("trained", "evaluated", "shared"),
    [
        ("rotten_tomatoes", "sst2", True),
        ("sst2", "rotten_tomatoes", True),
        ("squad", "squad_v2", True),
        ("mrpc", "stsb", True),
        ("mnli", "mnli_matched", False),  # the same training rows, other rows for evaluation
        ("sst2", "sst2", False),
        ("file", "sst2", False),
        ("cola", "rte", False),
    ],
)
def test_tasks_that_share_rows(trained, evaluated, shared):
    lines = list(overlaps.of_tasks(trained, evaluated))
    assert len(lines) == shared
    assert all(line.count("\n") == 0 and trained in line and evaluated in line for line in lines)


@pytest.mark.parametrize("task", ["mnli", "mnli_matched", "qqp", "squad", "squad_v2", "qnli"])
def test_minilm_has_seen_what_its_model_card_lists(task):
    (line,) = overlaps.of_model("minilm", task)
    assert f"model=minilm has seen data of {task}: " in line
    assert not list(overlaps.of_model("minilm", "rte")) and not list(overlaps.of_model("tiny", task))


def test_a_checkpoint_is_known_by_its_hub_name():
    for name in (
        "bert-base",
        "bert-base-uncased",
        "google-bert/bert-base-uncased",
        "google/electra-base-discriminator",
    ):
        assert len(list(overlaps.of_model(name, "wikitext"))) == 1
    assert not list(overlaps.of_model("/data/bert-base-uncased", "wikitext"))  # may be any checkpoint


def test_a_yaml_of_the_users_speaks_for_itself():
    node = {"name": "films", "overlaps": {"sst2": "the films are those of SST-2"}}
    (line,) = overlaps.of_tasks("sst2", "films", node)
    assert "the films are those of SST-2" in line
    (line,) = overlaps.of_model("mine", "films", {"overlaps": {"films": "it was trained on them"}})
    assert "it was trained on them" in line
    assert overlaps.evaluated_data({"name": "mlm", "corpus": {"name": "wikitext"}}) == "wikitext"
    assert overlaps.evaluated_data({"name": "mlm", "corpus": {"name": "wikitext", "file": "mine.txt"}}) != "wikitext"
    assert overlaps.evaluated_data({"name": "rte"}) == "rte"


@pytest.mark.parametrize("words", ["task=sst2", "task=squad_v2 method=tamt", "task=rte model=minilm"])
def test_an_overlap_changes_no_identity(words):
    with initialize_config_module("prunebert.conf", version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=[*words.split(), "fit=quick"]), resolve=True)
    other = json.loads(json.dumps(config))
    for group in ("task", "model"):
        other[group].pop("overlaps", None)
    other["task"] |= {"overlaps": {"rte": "any"}}
    assert identity.compute(other, {}, "w") == identity.compute(config, {}, "w")
    assert identity.configuration(other) == identity.configuration(config)


def glue(folder, name):
    """Write a folder in the layout of GLUE's single-sentence tasks."""
    (folder / name).mkdir(parents=True)
    for file, noun in (("train.tsv", "film"), ("dev.tsv", "plot")):
        lines = ["sentence\tlabel", *(f"the {w} {noun}\t{i % 2}" for i, w in enumerate(["bad", "good"] * 8))]
        (folder / name / file).write_text("\n".join(lines) + "\n")


def test_a_run_evaluate_info_and_report_warn(finished, cli, tmp_path, model_folder, monkeypatch):
    """A run on one task is scored on another, and a model is said to have seen both."""
    glue(tmp_path / "glue", "SST-2")
    run = finished("method=magnitude", "sparsity=0.5")
    facts = artifacts.result(run)
    monkeypatch.setattr(overlaps, "declared", lambda group: {"file": {"sst2": "both are toys, for a test"}})
    data = ["task=sst2", f"task.data_dir={tmp_path / 'glue'}", "task.max_length=32", "impl.threads=1"]
    status, printed = cli("evaluate", str(run), *data, "task.labels=[0,1]")
    assert status == 0, printed
    assert "warning: task=sst2 shares data with task=file, which was trained on: both are toys, for a test" in printed
    monkeypatch.setattr(
        overlaps, "declared", lambda group: {facts["model"]: {"file": "of the toys it knows", "sst2": "of these too"}}
    )
    status, printed = cli("info", str(run))
    assert status == 0 and "has seen data of file: of the toys it knows" in " ".join(printed.split()), printed
    status, printed = cli("report", str(run), "--out", "page")
    assert status == 0, printed
    page = (tmp_path / "page" / "report.html").read_text()
    assert "has seen data of file: of the toys it knows" in page
    words = [f"model.name={model_folder}", "method=magnitude", "sparsity=0.5", "fit=smoke", "dry=true"]
    status, printed = cli(*words, *data)
    assert status == 0 and "has seen data of sst2: of these too" in printed, printed


def test_what_only_the_run_knew_is_recorded_and_shown(cli, toy, model_folder, text, tmp_path, monkeypatch):
    """The corpus of task=mlm, and the task of the run whose masks are used, are in no key of result.json."""
    glue(tmp_path / "glue", "SST-2")
    assert cli(*toy, "method=magnitude", "sparsity=0.5")[0] == 0
    name = str(model_folder)
    facts = {"task": {"file": {"sst2": "both are toys"}}, "model": {name: {"a file": "it was trained on it"}}}
    monkeypatch.setattr(overlaps, "declared", lambda group: facts[group])
    words = ["method=magnitude", "sparsity=0.5", "fit=smoke", "impl.threads=1", f"model.name={name}"]
    data = ["task=sst2", f"task.data_dir={tmp_path / 'glue'}", "task.max_length=32", "method.masks=run"]
    for run, more in (("later", data), ("mlm", ["task=mlm", "task.block=16", *text])):
        status, printed = cli(*words, *more, f"hydra.run.dir={run}")
        assert status == 0, printed
    facts |= {"task": {}, "model": {}}
    notes = {
        "later": "task=sst2 shares data with task=file, which was trained on: both are toys; the scores may not be "
        "held-out scores",
        "mlm": f"model={name} has seen data of a file: it was trained on it; its scores may not be held-out scores",
    }
    assert artifacts.result(tmp_path / "run")["overlaps"] == []
    for run, note in notes.items():
        assert artifacts.result(tmp_path / run)["overlaps"] == [note]
        status, printed = cli("info", run)
        assert status == 0 and f" warning {note} " in " ".join(printed.split()), printed
    runs = collect([tmp_path / run for run in ("run", *notes)]).runs
    (tmp_path / "results.csv").write_text(rows.as_csv(command.flatten(runs)))
    for table in (runs, collect([tmp_path / "results.csv"]).runs):
        shown = {task: best._overlap_notes(part) for task, part in table.groupby("task")}
        assert shown == {"train": [], "sst2": [notes["later"]], "mlm": [notes["mlm"]]}


def test_the_very_rows_of_training_are_told():
    trained = {"fingerprint": {"train": "a", "matched": "b", "mismatched": "a"}}
    (line,) = overlaps.of_rows(trained, trained)
    assert line.startswith("the rows of mismatched are those of the training data")
    assert not list(overlaps.of_rows(trained, {"fingerprint": {"train": "a", "validation": "c"}}))
    assert not list(overlaps.of_rows({"rows": {}}, trained))


def test_a_file_that_is_trained_and_scored_on(cli, toy, tmp_path):
    words = [w for w in toy if not w.startswith("task.eval=")]
    train = next(w for w in words if w.startswith("task.train=")).partition("=")[2]
    status, printed = cli(*words, f"task.eval={train}", "method=magnitude", "sparsity=0.5")
    assert status == 0 and "the rows of validation are those of the training data" in printed
    status, printed = cli("evaluate", "run", f"task.eval={train}")
    assert status == 0 and "warning: the rows of validation are those of the training data" in printed
