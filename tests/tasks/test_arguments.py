"""Settings of a task that are of another type: refused in one line, or honoured as the text that was typed."""

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.network.heads import word_ids
from prunebert.settings.overrides import checked
from prunebert.tasks import arguments
from prunebert.tasks.text import text_task
from tests.toys import TASK, rows


def refused(call, *words):
    with pytest.raises(BadInput) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("task.hub=[1]", "task.hub=[1]: "),
        ("task.hub=x", "task.hub=x: "),
        ("task.hub.eval=validation", "task.hub.eval=validation: "),
        ("task.hub.eval={matched: 1}", "task.hub.eval.matched=1: "),
        ("task.hub.text=a", "task.hub.text=a: "),
        ("task.hub.path=null", "task.hub.path="),
        ("+task.hub.splt=x", "task.hub.splt"),
        ("~task.hub.path", "task.hub.path"),
        ("task.folder.name=3", "task.folder.name=3: "),
    ],
)
def test_nested_tables(word, key):
    with pytest.raises(BadInput) as caught:
        checked(["task=mnli", word])
    assert str(caught.value).startswith(key) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("ab", "task.label_words=ab: must be a list"),
        ({"no": "bad"}, "must be a list"),
        (
            [True, False],
            "true is no text; to use it as a word, write it in quotes: \"task.label_words=['true','false']\"",
        ),
        ([0, 1], "0 is no text; to use it as a word, write it in quotes: \"task.label_words=['0','1']\""),
        (
            [None, "good"],
            "null is no text; to use it as a word, write it in quotes: \"task.label_words=['null','good']\"",
        ),
        (["good", "good"], "good stands for two classes"),
        (["good", " "], "a word is empty"),
        ([["a"], "b"], "['a'] is no text"),
    ],
)
def test_label_words(words, line):
    refused(lambda: arguments.words("task.label_words", words), line)
    assert arguments.words("task.label_words", ["bad", "good"]) == ["bad", "good"]
    assert arguments.words("task.label_words", None) is None


def test_words_that_are_one_token_are_refused(model):
    assert len(set(word_ids(model, ["good", "bad"]))) == 2
    refused(lambda: word_ids(model, ["good", "GOOD"]), "'good' and 'GOOD' are the same token 'good'")
    refused(lambda: word_ids(model, ["good", "[PAD]"]), "'[PAD]' is the special token [PAD]")
    refused(lambda: word_ids(model, ["good", "ü!"]), "choose another word")
    refused(lambda: word_ids(model, ["good", "[UNK]"]), "'[UNK]' is the special token")


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (None, "null"), (1.5, "1.5")])
def test_a_column_of_another_type_is_explained(value, text):
    refused(lambda: arguments.column("task.text", value), f"task.text={text}: ", f"\"task.text='{text}'\"")


@pytest.fixture
def make(model, tmp_path):
    rows(24).rename(columns={"sentence": "0", "label": "1"}).to_csv(tmp_path / "numbers.csv", index=False)
    settings = TASK | {"train": str(tmp_path / "numbers.csv"), "eval": None, "metric": None, "text": "0", "label": "1"}
    return lambda **changed: text_task(tokenizer=model.tokenizer, positions=64, **settings | changed)


@pytest.mark.parametrize("settings", [{"text": 0, "label": 1}, {"text": [0]}, {"text": ["0"]}, {"label": 1}], ids=str)
def test_a_whole_number_is_the_name_of_a_column(make, settings):
    assert make(**settings).tables["train"].equals(make().tables["train"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text": 2}, "task.text=2: "),
        ({"text": {"a": 1}}, "task.text={'a': 1}: must be the name of a column"),
        ({"text": True}, "task.text=true: must be the name of a column"),
        ({"label": None}, "task.label=null: must be the name of a column"),
        ({"text": []}, "name its column of text"),
        ({"text": 1}, "task.text=1: task.label=1 is the same column"),
        ({"eval": ["a.csv", "b.csv"]}, "task.eval=['a.csv', 'b.csv']: must be a file, or files by split"),
        ({"labels": 3}, "task.labels=3: must be a list"),
        ({"labels": []}, "task.labels=[]: at least two classes"),
        ({"labels": ["0", "1", "1"]}, "1 and 1 are the same class"),
        ({"labels": ["0", "1"], "kind": "regression"}, "task.labels names classes"),
        ({"label_words": "ab"}, "task.label_words=ab: must be a list"),
        ({"holdout": float("nan")}, "task.holdout=nan: must be above 0"),
    ],
    ids=str,
)
def test_settings_of_another_type_are_refused(make, settings, words):
    refused(lambda: make(**settings), words)


@pytest.mark.parametrize("spellings", [["1.0", "2.0"], ["1", "2"], [1.0, 2.0]], ids=str)
def test_the_same_classes_in_every_format_and_split(model, tmp_path, spellings):
    """The class of a row is that of its number, in text and as a number, in either file."""
    gold = [0, 1] * 8
    frames = {"train": pd.DataFrame({"sentence": "a film", "label": [spellings[i] for i in gold]})}
    frames["train"].to_csv(tmp_path / "train.csv", index=False)
    evaluation = {"csv_float": ["1.0", "2.0"], "csv_int": ["1", "2"], "json": [1, 2.0], "parquet": [1, 2]}
    named = {}
    for name, values in evaluation.items():
        table = pd.DataFrame({"sentence": "a film", "label": pd.Series([values[i] for i in gold[:6]], dtype=object)})
        if name == "json":
            table.to_json(tmp_path / f"{name}.json", orient="records")
        elif name == "parquet":
            table.astype({"label": "float32"}).to_parquet(tmp_path / f"{name}.parquet")
        else:
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        named[name] = str(next(tmp_path.glob(f"{name}.*")))
    settings = TASK | {"train": str(tmp_path / "train.csv"), "eval": named, "metric": None}
    task = text_task(tokenizer=model.tokenizer, positions=64, **settings)
    assert task.rows["train"].labels.tolist() == gold
    assert {tuple(task.rows[split].labels.tolist()) for split in named} == {tuple(gold[:6])}
    words = TASK | {"train": settings["train"], "eval": None, "metric": None, "labels": ["2", "1"]}
    held_out = text_task(tokenizer=model.tokenizer, positions=64, **words)
    assert held_out.labels == ["2", "1"] and held_out.rows["train"].labels.float().mean() == 0.5


def test_an_evaluation_file_with_numbers_is_not_matched_with_names_in_alphabetical_order(model, tmp_path):
    pd.DataFrame({"sentence": "a film", "label": ["neutral", "entailment"] * 8}).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame({"sentence": "a film", "label": [0, 1] * 4}).to_csv(tmp_path / "d.csv", index=False)
    settings = TASK | {"train": str(tmp_path / "t.csv"), "eval": str(tmp_path / "d.csv"), "metric": None}
    make = {"tokenizer": model.tokenizer, "positions": 64}
    refused(lambda: text_task(**make, **settings), "row 1 of", "d.csv", "'0'", "the names were not given in an order")
    given = text_task(**make, **settings | {"labels": ["neutral", "entailment"]})
    assert given.rows["validation"].labels.tolist() == [0, 1] * 4
    refused(
        lambda: text_task(**make, **settings | {"labels": ["neutral", "entailment"], "label_indices": False}),
        "d.csv",
        "'0'",
    )
