"""Texts as a task: three classes in an order of their own, pairs of texts, the loss and the constant baseline."""

import math
from itertools import chain, islice

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from prunebert.errors import BadInput
from prunebert.network.interface import Batch, Outputs
from prunebert.tasks.text import text_task
from tests.toys import TASK

NAMES = ["entailment", "neutral", "contradiction"]  # not the alphabet's order, nor its reverse
TRAIN = ["contradiction", "neutral", "neutral", "entailment", "neutral", "contradiction", "neutral", "entailment"]
MATCHED = ["neutral", "contradiction", "entailment", "contradiction"]
OTHER = ["entailment", "neutral", "neutral"]
SHORT, LONG = "good film yes", "bad plot dull scene it was not the actor a"  # 3 and 10 tokens
RESULTS = {"metric": "prunebert.metrics:Accuracy", "score": "accuracy"}


@pytest.fixture(scope="module")
def tokenizer(model_folder):
    return transformers.AutoTokenizer.from_pretrained(model_folder)


@pytest.fixture(scope="module")
def make(tokenizer, tmp_path_factory):
    """Return a function that makes a task of pairs. Its file has a row for each label, and as numbers 0, 1, 2 …"""
    folder = tmp_path_factory.mktemp("text")

    def file(name, labels):
        table = pd.DataFrame({"a": [SHORT, LONG][: len(labels)] * (len(labels) // 2 + 1)}).iloc[: len(labels)]
        table.assign(
            b=[LONG, SHORT, SHORT, *["no"] * 9][: len(labels)], y=labels, n=[float(x) ** 2 for x in table.index]
        ).to_csv(folder / name, index=False)
        return str(folder / name)

    files = {
        "train": file("train.csv", TRAIN),
        "eval": {"matched": file("matched.csv", MATCHED), "other": file("other.csv", OTHER)},
    }
    settings = TASK | RESULTS | files | {"text": ["a", "b"], "label": "y", "labels": NAMES, "max_length": 12}
    return lambda **changed: text_task(
        tokenizer=tokenizer, positions=64, **settings | {"label_words": ["yes", "maybe", "no"]} | changed
    )


@pytest.fixture(scope="module")
def three(make):
    return make()


@pytest.fixture(scope="module")
def numbers(make):
    return make(kind="regression", label="n", labels=None, label_words=None, metric=None, score="pearson")


def test_three_classes_keep_the_given_order_everywhere(three):
    form = three.form()
    assert three.labels == form.labels == NAMES and form.label_words == ["yes", "maybe", "no"]
    assert three.outputs == form.outputs == 3 and form.pair and form.max_length == 12
    assert three.facts()["labels"] == NAMES
    for split, labels in {"train": TRAIN, "matched": MATCHED, "other": OTHER}.items():
        assert three.rows[split].labels.tolist() == [NAMES.index(label) for label in labels]


def test_names_that_the_rows_give_are_sorted(make):
    found = make(labels=None, label_words=None)
    assert found.labels == found.form().labels == ["contradiction", "entailment", "neutral"]
    assert found.rows["other"].labels.tolist() == [1, 2, 2]


def test_predictions_are_the_largest_outputs_row_by_row(three):
    outputs = {2: np.array([0.0, 3.0, 1.0]), 0: np.array([9.0, -1.0, 2.0]), 1: np.array([0.5, 0.25, 4.0])}
    table = three.predict("other", outputs)
    assert table.prediction.tolist() == [0, 2, 1] and table.label.tolist() == [0, 1, 1]
    assert table.id.tolist() == ["0", "1", "2"] and set(table.split) == {"other"}
    assert [list(scores) for scores in table.scores] == [[9.0, -1.0, 2.0], [0.5, 0.25, 4.0], [0.0, 3.0, 1.0]]
    found = three.metrics({"matched": table.assign(prediction=[0, 1, 0]), "other": table})
    assert found == pytest.approx({"accuracy_matched": 2 / 3, "accuracy_other": 2 / 3})
    assert three.score == "accuracy_matched"


def test_the_baseline_is_the_commonest_training_label_or_the_training_mean(three, numbers, monkeypatch):
    """Neutral is half of the training rows, a quarter of one evaluation split and two thirds of the other."""
    assert three.baseline() == pytest.approx({"accuracy_matched": 1 / 4, "accuracy_other": 2 / 3})
    monkeypatch.setattr(numbers, "metrics", lambda predictions: predictions)
    constant = numbers.baseline()
    assert set(constant["other"].prediction) == {(0 + 1 + 4 + 9 + 16 + 25 + 36 + 49) / 8}
    assert constant["other"].label.tolist() == [0, 1, 4]


def test_losses_by_hand(three, numbers):
    logits = torch.tensor([[0.0, math.log(2), math.log(5)], [math.log(6), 0.0, 0.0]])
    batch = Batch({}, torch.tensor([1, 0]), torch.arange(2))
    found = three.loss(Outputs(logits), batch)
    assert found.keys() == {"task"}
    assert found["task"].item() == pytest.approx((-math.log(2 / 8) - math.log(6 / 8)) / 2)
    batch = Batch({}, torch.tensor([2.0, 5.0]), torch.arange(2))
    assert numbers.loss(Outputs(torch.tensor([[1.0], [3.0]])), batch)["task"].item() == (1 + 4) / 2


def test_numbers_have_one_output_which_is_the_prediction(numbers):
    assert numbers.outputs == numbers.form().outputs == 1 and numbers.form().regression
    table = numbers.predict("other", {i: np.array([x]) for i, x in enumerate([-1.5, 0.0, 70.0])})
    assert table.prediction.tolist() == [-1.5, 0.0, 70.0] and table.label.tolist() == [0.0, 1.0, 4.0]


def test_both_texts_of_a_pair_are_read_and_the_longer_one_is_cut(three, tokenizer):
    """[CLS] a [SEP] b [SEP], with segments 0 and 1. 9 of the 12 tokens are words: 3 and 6."""
    batch = three.rows["train"].batch(np.array([0, 1, 3]), three.padding)
    texts = [" ".join(tokenizer.convert_ids_to_tokens(ids)) for ids in batch.inputs["input_ids"].tolist()]
    assert texts == [
        "[CLS] good film yes [SEP] bad plot dull scene it was [SEP]",
        "[CLS] bad plot dull scene it was [SEP] good film yes [SEP]",
        "[CLS] bad plot dull scene it was not the [SEP] no [SEP]",
    ]
    types = [[0] * 5 + [1] * 7, [0] * 8 + [1] * 4, [0] * 10 + [1] * 2]
    assert batch.inputs["token_type_ids"].tolist() == types
    assert batch.inputs["attention_mask"].all()


def test_a_single_text_is_cut_at_its_end(make, tokenizer):
    task = make(text="a", max_length=8)
    ids = task.rows["train"].batch(np.array([0, 1]), task.padding).inputs["input_ids"].tolist()
    texts = [" ".join(tokenizer.convert_ids_to_tokens(row)) for row in ids]
    assert texts == ["[CLS] good film yes [SEP] [PAD] [PAD] [PAD]", "[CLS] bad plot dull scene it was [SEP]"]
    assert not task.form().pair


def test_training_follows_the_seed_and_evaluation_its_split(three):
    def rows(seed):
        return [batch.rows.tolist() for batch in islice(three.batches(2, seed), 4)]

    assert rows(3) == rows(3) != rows(4) and sorted(chain(*rows(3))) == list(range(8))
    for split, count in (("matched", 4), ("other", 3)):
        found = [batch.rows.tolist() for batch in three.eval_batches(split, 2)]
        assert sorted(chain(*found)) == list(range(count))


def test_the_hubs_numbers_stand_for_the_hubs_names(make, monkeypatch):
    """The hub counts its classes by the alphabet, and the task has an order of its own."""
    text = datasets.Value("string")
    features = datasets.Features({"b": text, "a": text, "y": datasets.ClassLabel(names=sorted(NAMES))})
    rows = {"a": ["good", "bad", "film"], "b": ["it was"] * 3}
    loaded = {
        split: datasets.Dataset.from_dict(rows | {"y": y}, features=features)
        for split, y in {"train": [0, 1, 2], "dev": [2, 2, 0], "test": [1, 1, 1]}.items()
    }
    monkeypatch.setattr("prunebert.system.hub.prepare", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda path, config: loaded)
    hub = {"path": "a/b", "config": "c", "text": ["a", "b"], "label": "y", "train": "train", "eval": {"other": "dev"}}
    none = {"train": None, "eval": None, "text": None, "label": "label"}
    task = make(**none, hub=hub)
    assert task.rows["train"].labels.tolist() == [2, 0, 1] and task.rows["other"].labels.tolist() == [1, 1, 2]
    assert task.source == "a/b" and task.eval_splits == ("other",) and task.score == "accuracy"
    assert task.tables["train"].text_a.tolist() == rows["a"] and task.tables["train"].text_b.tolist() == rows["b"]
    with pytest.raises(BadInput, match="a/b has no split validation; it has train, dev, test"):
        make(**none, hub=hub | {"eval": {"other": "validation"}})


def test_files_of_ones_own_go_before_every_other_source(make, three):
    others = {"data_dir": "nowhere", "package": {"name": "p", "version": "1"}, "hub": {"path": "a/b"}}
    assert make(**others).source == three.source and three.source.endswith("train.csv")


@pytest.mark.parametrize("length", [7, 65])
def test_a_length_that_the_model_cannot_read_is_refused(make, length):
    assert make(max_length=64).max_length == 64
    with pytest.raises(BadInput, match=rf"^task\.max_length={length}: the model reads at most 64 tokens"):
        make(max_length=length)
