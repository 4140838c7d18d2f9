"""SQuAD from a folder and from the hub, and broken files."""

import inspect
from pathlib import Path

import datasets
import pytest
from omegaconf import OmegaConf

from prunebert.errors import BadInput
from prunebert.system import hub
from prunebert.tasks import questions
from prunebert.tasks.squad import squad_task
from tests.tasks.squad.conftest import DATA, UNANSWERABLE, content, write

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT.parent / "shared/data/squad-v1.1"


@pytest.mark.parametrize(("no_answer", "version"), [(False, "v1.1"), (True, "v2.0")])
def test_folder(make, tmp_path, no_answer, version):
    write(tmp_path / f"train-{version}.json", content(DATA))
    write(tmp_path / f"dev-{version}.json", content(DATA[:1]))
    task = make(train=None, eval=None, data_dir=str(tmp_path), no_answer=no_answer)
    assert task.facts()["rows"] == {"train": 5, "validation": 2}
    with pytest.raises(BadInput, match=r"task\.data_dir=.*train-v"):
        make(train=None, eval=None, data_dir=str(tmp_path), no_answer=not no_answer)


def on_hub(path, split):
    """Return a data set like the hub's copy of SQuAD."""
    rows = [
        {
            "id": name,
            "title": "T",
            "context": context,
            "question": question,
            "answers": {"text": golds, "answer_start": [context.index(g) for g in golds]},
        }
        for context, context_questions in DATA + (UNANSWERABLE if path.endswith("v2") else [])
        for name, question, golds in context_questions
    ]
    return datasets.Dataset.from_list(rows)


def test_hub(make, monkeypatch):
    monkeypatch.setattr(hub, "prepare", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", on_hub)
    task = make(train=None, eval=None)
    assert task.facts()["source"] == "rajpurkar/squad"
    assert task.tables["train"].equals(make().tables["train"])
    task = make(train=None, eval=None, no_answer=True, hub={"path": "rajpurkar/squad_v2"})
    assert task.tables["train"].golds.tolist()[-1] == []
    monkeypatch.setattr(datasets, "load_dataset", lambda path, split: datasets.Dataset.from_list([{"text": "a"}]))
    with pytest.raises(BadInput, match="train has no answers, context, id, question"):
        make(train=None, eval=None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"context": None}, r"paragraphs\[0\] has no 'context' \(text\), it is null"),
        ({"question": 3}, r"qas\[0\] has no 'question' \(text\), it is the number 3"),
        ({"answers": None}, r"qas\[0\] has no 'answers' \(list\), it is null"),
        ({"answers": {"text": None, "answer_start": None}}, r"qas\[0\] has no 'answers' \(list\), it is null"),
        ({"answers": {"text": ["b", "c"], "answer_start": [2]}}, "question 1 has 2 answers and 1 answer_start"),
        ({"answers": {"text": ["b"], "answer_start": ["2"]}}, r"has no 'answer_start' \(whole number\), it is text"),
        ({"answers": ["b"]}, r"answers\[0\] has no 'text' \(text\), it is text"),
        ({"answers": [{"text": "b", "answer_start": 2}]}, None),  # another layout of the hub's, with the same content
    ],
)
def test_rows_of_the_hub_in_another_layout_are_refused(make, monkeypatch, changed, message):
    row = {"id": "1", "context": "a b c", "question": "d", "answers": {"text": ["b"], "answer_start": [2]}}
    data = datasets.Dataset.from_list([row | changed])
    monkeypatch.setattr(hub, "prepare", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda path, split: data)
    if message is None:
        assert make(train=None, eval=None).tables["train"].golds.tolist() == [["b"]]
        return
    with pytest.raises(BadInput, match=message):
        make(train=None, eval=None)


def test_without_hub_the_message_names_the_other_sources(make, monkeypatch):
    def fails(path, split):
        raise ConnectionError("no network. Many more words.")

    monkeypatch.setattr(hub, "prepare", lambda: False)
    monkeypatch.setattr(datasets, "load_dataset", fails)
    with pytest.raises(BadInput) as caught:
        make(train=None, eval=None)
    for word in ("task.data_dir=", "task.train=", "task.eval=", "task=rotten_tomatoes", "rajpurkar/squad"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


# --- bad input --------------------------------------------------------------------------------------------------------


def without(*path):
    """Return DATA's content without the key at the end of `path`."""
    whole = inner = content(DATA)
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return whole


def with_start(start):
    whole = content(DATA)
    whole["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] = start
    return whole


def impossible():
    whole = content(DATA)
    whole["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"] = True
    return whole


QAS = ("data", 0, "paragraphs", 0, "qas")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": "nowhere.json"}, r"task\.train=nowhere\.json: there is no such file"),
        ({"eval": "nowhere.json"}, r"task\.eval=nowhere\.json: there is no such file"),
        ({"train": None}, r"task\.eval=.* but task\.train is not"),
        (
            {"train": None, "eval": None, "data_dir": "nowhere"},
            r"task\.data_dir=nowhere: there is no such folder",
        ),
        ({"max_length": 65}, r"task\.max_length=65: .* 64"),
        ({"max_length": 7}, r"task\.max_length=7: .* at least 8"),
        ({"stride": 20}, r"task\.stride=20: .* task\.max_length=20"),
        ({"stride": -1}, r"task\.stride=-1"),
        ({"stride": 10}, r"task\.stride=10 a question may have at most 6 tokens, and q1 has 7"),
        ({"stride": 17}, r"task\.stride=17: must be at most 15 with task\.max_length=20"),
        ({"score": "f2"}, r"task\.score=f2: allowed are exact, f1"),
        ({"eval": None, "holdout": 1.0}, r"task\.holdout=1\.0"),
        ({"eval": None, "file": content(DATA[:1])}, r"task\.holdout=0\.4: .*task\.eval=FILE"),
        ({"file": "{"}, r"task\.train=.* cannot be read as JSON"),
        ({"file": "[]"}, r"SQuAD's layout: the file has no 'data' \(list\)"),
        ({"file": {"data": {}}}, r"the file has no 'data' \(list\)"),
        ({"file": without("data", 0, "paragraphs")}, r"data\[0\] has no 'paragraphs'"),
        ({"file": without(*QAS[:-1], "context")}, r"data\[0\]\.paragraphs\[0\] has no 'context' \(text\)"),
        ({"file": without(*QAS)}, r"paragraphs\[0\] has no 'qas'"),
        ({"file": without(*QAS, 0, "id")}, r"qas\[0\] has no 'id'"),
        ({"file": without(*QAS, 0, "question")}, r"qas\[0\] has no 'question'"),
        ({"file": without(*QAS, 0, "answers")}, r"qas\[0\] has no 'answers'"),
        ({"file": without(*QAS, 1, "answers", 0, "text")}, r"qas\[1\]\.answers\[0\] has no 'text'"),
        ({"file": impossible()}, r"qas\[0\] has is_impossible=true and answers"),
        ({"file": with_start("12")}, r"answers\[0\] has no 'answer_start' \(whole number\)"),
        ({"file": with_start(3)}, r"question q2, answer_start=3: the context has no 'near Hull' there"),
        ({"file": {"data": []}}, r"has no questions"),
        ({"file": content(DATA + DATA)}, r"two questions have the id q1"),
        ({"file": content(DATA + UNANSWERABLE)}, r"question q6 has no answer, which task\.no_answer=false"),
    ],
)
def test_bad_input_is_reported_in_one_line(make, tmp_path, changed, message):
    if "file" in changed:
        changed = {k: v for k, v in changed.items() if k != "file"} | {"train": write(tmp_path / "f", changed["file"])}
    with pytest.raises(BadInput, match=message) as caught:
        make(**changed)
    assert "\n" not in str(caught.value)


# --- the shipped configuration, and sample files beside the project ---


def test_conf_has_the_keys_of_the_signature():
    conf = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/task/squad.yaml"))
    keys = set(inspect.signature(squad_task).parameters)
    assert {k for k in conf if not k.startswith("_")} == keys - {"tokenizer", "positions", "augment"}
    assert conf["label_words"] == ["Yes", "No"]  # not YAML's true and false
    squad_v2 = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/task/squad_v2.yaml"))
    assert squad_v2.pop("defaults") == ["squad", "_self_"]
    assert set(squad_v2) < keys


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SQuAD's sample files are not beside this checkout")
@pytest.mark.parametrize(
    ("file", "question_count", "context_count"),
    [("squaddev_v1.1.json", 10565, 2067), ("new_wiki_v1.0.json", 7936, 1581)],
)
def test_published_files(file, question_count, context_count):
    path = str(SAMPLES / file)
    table = questions.from_files(path, path, 0.1, False)["validation"]
    assert (len(table), table.context.nunique()) == (question_count, context_count)
    answer_texts = [c[a:b] for c, a, b in zip(table.context, table["first"], table["last"], strict=True)]
    assert answer_texts == [golds[0].strip() for golds in table.golds]
