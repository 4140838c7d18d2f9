"""A label for each word: where it stands in a batch, what is predicted where no token is, and the scores."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from torch.nn import functional as F

from prunebert.errors import BadInput
from prunebert.network.interface import Batch, Outputs
from prunebert.tasks.text import text_task
from tests.toys import TASK

TRAIN = [
    (["the", "goodbad", "film"], ["O", "B-WORK", "I-WORK"]),
    (["actor", "\u200b", "was"], ["B-PER", "O", "O"]),
    (["it", "was", "not", "a", "dull", "plot"], ["O", "O", "O", "B-WORK", "I-WORK", "I-WORK"]),
    (["\u200b"], ["O"]),
]
EVAL = [(["who", "goodbad", "film"], ["B-PER", "B-WORK", "I-WORK"]), (["no", "plot"], ["O", "B-WORK"])]
SETTINGS = {"kind": "tokens", "text": "words", "label": "tags", "label_words": None, "metric": None, "score": None}


def save(path, rows):
    pd.DataFrame([{"words": w, "tags": t} for w, t in rows]).to_json(path, orient="records", lines=True)
    return str(path)


@pytest.fixture
def make(model, tmp_path):
    def call(train=TRAIN, evaluation=EVAL, **changes):
        files = {"train": save(tmp_path / "train.jsonl", train)}
        files |= {"eval": save(tmp_path / "eval.jsonl", evaluation)} if evaluation else {"eval": None}
        return text_task(tokenizer=model.tokenizer, positions=64, **TASK | SETTINGS | files | changes)

    return call


def outputs(task, names):
    """Logits for each row whose largest entry is 2.5, at these labels of the words that have a token."""
    return {
        row: np.array([[2.5 * (task.labels[i] == name) for i in range(task.outputs)] for name in tags]).reshape(
            -1, task.outputs
        )
        for row, tags in enumerate(names)
    }


def test_a_label_stands_on_the_first_token_of_its_word(make):
    """The labels are B-PER, B-WORK, I-WORK, O. `goodbad` has four pieces; the zero-width word has none."""
    task = make()
    assert task.labels == ["B-PER", "B-WORK", "I-WORK", "O"] and task.scheme == "iob2" and task.score == "f1"
    batch = task.rows["train"].batch(np.arange(4), task.padding)
    assert batch.labels.tolist() == [
        [-100, 3, 1, -100, -100, -100, 2, -100],
        [-100, 0, 3, -100, -100, -100, -100, -100],
        [-100, 3, 3, 3, 1, 2, 2, -100],
        [-100] * 8,
    ]
    assert batch.inputs.keys() == {"input_ids", "attention_mask", "token_type_ids"}
    assert batch.inputs["input_ids"].shape == (4, 8) and batch.inputs["attention_mask"].sum(1).tolist() == [8, 4, 8, 2]
    form = task.form()
    assert form.tokens and form.every_token and form.outputs == 4 and form.labels == task.labels and not form.pair


def test_the_loss_is_the_mean_over_words_and_zero_without_any(make):
    task = make()
    batch = task.rows["train"].batch(np.arange(2), task.padding)
    logits = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
    places = [(0, 1, 3), (0, 2, 1), (0, 6, 2), (1, 1, 0), (1, 2, 3)]
    expected = -sum(logits[r, i].log_softmax(-1)[label] for r, i, label in places) / 5
    assert torch.isclose(task.loss(Outputs(logits), batch)["task"], expected)
    empty = Batch(batch.inputs, torch.full_like(batch.labels, -100), batch.rows)
    assert task.loss(Outputs(logits), empty)["task"] == 0


def test_the_networks_output_is_kept_for_first_tokens_only(make):
    task = make()
    batch = task.rows["train"].batch(np.array([1, 0, 3]), task.padding)
    logits = torch.arange(3 * 8 * 4).view(3, 8, 4).float()
    kept = task.outputs_by_row(Outputs(logits), batch)
    assert kept[1].tolist() == logits[0, [1, 2]].tolist() and kept[0].tolist() == logits[1, [1, 2, 6]].tolist()
    assert kept[3].shape == (0, 4)


def test_a_word_beyond_max_length_is_predicted_as_o_and_its_entity_is_missed(make, caplog):
    """Eight tokens hold six words of WordPieces: the last of seven words is cut off, and so are six of the other's."""
    train = [*TRAIN[:2], (["it"] * 6 + ["plot"], ["O"] * 6 + ["B-WORK"])]
    evaluation = [(["who"] * 7 + ["plot"] * 5, ["B-PER", *["O"] * 6, *["B-WORK"] * 5])]
    with caplog.at_level(logging.WARNING):
        task = make(train, evaluation, max_length=8)
    (warning,) = [r.getMessage() for r in caplog.records]
    assert warning.startswith("task.max_length=8 cuts words off (1 of train, 6 of validation)")
    rows = task.predict("validation", outputs(task, [["B-PER", *["O"] * 5]]))
    assert json.loads(rows.prediction[0]) == ["B-PER", *["O"] * 11]
    assert json.loads(rows.words[0]) == evaluation[0][0] and json.loads(rows.label[0]) == evaluation[0][1]
    assert rows.scores[0][:6].tolist() == [2.5] * 6 and np.isnan(rows.scores[0][6:]).all()
    scores = task.metrics({"validation": rows})
    assert scores["precision"] == 1 and scores["recall"] == pytest.approx(1 / 6) and scores["f1_WORK"] == 0
    assert scores["accuracy"] == pytest.approx(7 / 12)


def test_a_word_without_a_token_is_o_and_the_others_keep_their_places(make):
    task = make(evaluation=[(["who", "\u200b", "film"], ["B-PER", "O", "B-WORK"])])
    rows = task.predict("validation", outputs(task, [["B-PER", "B-WORK"]]))
    assert json.loads(rows.prediction[0]) == ["B-PER", "O", "B-WORK"] and task.metrics({"v": rows})["f1"] == 1


def test_the_constant_baseline_finds_no_entity(make):
    """Of five words of the evaluation data one is O."""
    expected = {"f1": 0, "precision": 0, "recall": 0, "accuracy": 0.2, "f1_PER": 0, "f1_WORK": 0}
    assert make().baseline() == pytest.approx(expected)


def test_labels_without_a_scheme_are_scored_by_accuracy(make):
    """The commonest training label is NOUN, which two of three words have. A word without a token is wrong."""
    train = [(["the", "film", "plot"], ["DET", "NOUN", "NOUN"])] * 2
    task = make(train, [(["the", "film", "\u200b"], ["DET", "NOUN", "NOUN"])])
    assert (task.scheme, task.score, task.baseline()) == ("none", "accuracy", {"accuracy": pytest.approx(2 / 3)})
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    rows = task.predict("validation", {0: logits})
    assert json.loads(rows.prediction[0]) == ["DET", "NOUN", ""]
    assert task.metrics({"validation": rows}) == {"accuracy": pytest.approx(2 / 3)}


def test_entities_are_scored_as_words_if_the_scheme_is_none(make):
    task = make(scheme="none")
    assert task.score == "accuracy" and task.baseline().keys() == {"accuracy"}


def test_splits_have_metrics_of_their_own_and_ones_own_metric_reads_names(make, tmp_path):
    file = save(tmp_path / "eval.jsonl", EVAL)
    task = make(evaluation=None, eval={"easy": file, "hard": file})
    assert task.score == "f1_easy" and task.baseline()["accuracy_hard"] == pytest.approx(0.2)


def test_indices_are_those_of_task_labels(make):
    indices = [(["the", "film"], [0, 1]), (["plot", "it"], [2, 0])]
    names = ["O", "B-WORK", "B-PER"]
    task = make(indices, None, labels=names, holdout=0.5)
    assert task.labels == names
    by_words = {tuple(w): t for table in task.tables.values() for w, t in zip(table.words, table.label, strict=True)}
    assert by_words == {("the", "film"): ["O", "B-WORK"], ("plot", "it"): ["B-PER", "O"]}


def test_a_data_set_of_the_hub_names_its_labels(model, tmp_path):
    """Its numbers stand for the names of its feature, in the data set's order. task.labels gives another one."""
    names = ["O", "B-PER", "I-PER"]
    features = Features({"tokens": List(Value("string")), "ner": List(ClassLabel(names=names))})
    for split in ("train", "validation"):
        content = {"tokens": [["the", "actor", "plot"], []], "ner": [[0, 1, 2], []]}
        Dataset.from_dict(content, features=features).to_parquet(tmp_path / f"{split}.parquet")
    hub = {"path": str(tmp_path), "config": None, "text": ["tokens"], "label": "ner", "train": "train"}
    settings = TASK | SETTINGS | {"hub": hub | {"eval": {"validation": "validation"}}, "text": None, "label": "label"}
    given = {"tokenizer": model.tokenizer, "positions": 64, "train": None, "eval": None}
    for labels in (None, ["I-PER", "B-PER", "O"]):
        task = text_task(**given, **settings | {"labels": labels})
        assert task.labels == (labels or names) and task.tables["train"].label.tolist() == [["O", "B-PER", "I-PER"], []]
        batch = task.rows["train"].batch(np.arange(1), task.padding)
        assert batch.labels.tolist() == [[-100, *(task.labels.index(name) for name in names), -100]]


def test_sentences_are_held_out_whole(make):
    task = make(TRAIN * 10, None, holdout=0.25)
    assert {s: len(t) for s, t in task.tables.items()} == {"train": 30, "validation": 10}
    tuning = make(TRAIN * 10, EVAL, tuning_holdout=8)
    assert {s: len(t) for s, t in tuning.tables.items()} == {"train": 32, "validation": 8}
    assert all(words != ["who", "goodbad", "film"] for words in tuning.tables["validation"].words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": [(["a"], [0]), (["b"], [1])]}, "row 1 of .* has the number 0 as a label; name the labels"),
        ({"train": [(["a"], ["O"])]}, "every word of .* has the same label O"),
        ({"train": [(["a", "b"], ["O", " "])]}, "row 1 of .* has an empty label"),
        ({"train": [(["a", "b"], ["O", None])]}, "row 1 of .* has null as a label"),
        ({"evaluation": [(["a"], ["B-WORKS"])]}, "row 1 of .*'B-WORKS'; labels are B-PER.*did you mean B-WORK"),
        ({"labels": []}, r"task.labels=\[\]: at least two classes are needed"),
        ({"labels": ["O", "B-PER"]}, "has the label 'B-WORK'; labels are O, B-PER"),
        ({"labels": ["O", "B-PER", "B-WORK", "I-WORK"], "evaluation": [(["a"], [4])]}, "has the label '4'"),
        ({"label_words": ["yes", "no"]}, "task.label_words=.*label words are for labels of texts; leave it out"),
        ({"augment": object()}, "augment=mlm: task=toy has a label for each word"),
        (
            {"scheme": "bilou", "train": [(["a", "b"], ["E-X", "O"])], "evaluation": None},
            "task.scheme=bilou: the label E-X",
        ),
        ({"text": "tags", "label": "words"}, "too many for labels|empty|labels are"),
        ({"metric": "prunebert.metrics:Accuracy"}, "cannot score predictions of 4 classes"),
    ],
)
def test_settings_and_labels_that_do_not_fit_are_refused(make, changes, message):
    with pytest.raises(BadInput, match=message):
        make(**changes).baseline()


def test_prefixes_of_two_schemes_are_read_unless_one_of_them_is_given(make):
    """L is read as E, and U as S."""
    mixed = [(["a", "the", "film", "it"], ["S-X", "B-X", "L-X", "U-X"])]
    task = make(mixed, mixed)
    best = task.metrics({"validation": task.predict("validation", outputs(task, [mixed[0][1]]))})
    assert task.scheme == "iobes" and best["f1"] == best["recall"] == 1
    with pytest.raises(BadInput, match=r"task\.scheme=iobes: the label L-X .* leave task\.scheme out to read every"):
        make(mixed, mixed, scheme="iobes")


def test_a_change_of_one_label_changes_the_fingerprint(make):
    before = make().facts()
    after = make([*TRAIN[:3], (["it"], ["O"])]).facts()
    other = make([(TRAIN[0][0], ["O", "O", "I-WORK"]), *TRAIN[1:]]).facts()
    prints = [facts["fingerprint"]["train"] for facts in (before, after, other)]
    assert len(set(prints)) == 3 and before["rows"] == {"train": 4, "validation": 2} and before["scheme"] == "iob2"


def test_a_network_learns_to_label_words(make, net):
    """Cross-entropy of the stock formula falls in a few steps, through the head that the form asks for."""
    task = make(TRAIN[:3])
    key = net.add_head(task.form(), "linear")
    batch = next(task.batches(3, seed=0))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        logits = net(batch, key).logits
        assert logits.shape == (*batch.inputs["input_ids"].shape, 4)
        loss = task.loss(Outputs(logits), batch)["task"]
        assert torch.isclose(loss, F.cross_entropy(logits.transpose(1, 2), batch.labels))
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("labels", [["b-per", "i-per", "O"], ["B_PER", "I_PER", "O"], ["per-b", "per-i", "o"]])
def test_labels_that_only_seem_to_be_entities_are_warned_of_once(make, caplog, labels):
    train = [(["the", "film", "was"], labels)] * 4
    with caplog.at_level(logging.WARNING):
        task = make(train=train, evaluation=train)
    (line,) = [record.getMessage() for record in caplog.records if "task.label=" in record.getMessage()]
    assert line.startswith(f"task.label=tags: the label {task.labels[int(task.labels[0] in 'Oo')]} is no entity's")
    assert task.scheme == "none" and "\n" not in line
    caplog.clear()
    make(train=train, evaluation=train, scheme="none")
    assert "entity's" not in caplog.text


@pytest.mark.parametrize("labels", [["B-PER", "I-PER", "O"], ["b-noun", "verb", "x"], ["noun", "verb", "O"]])
def test_entities_and_parts_of_speech_are_not_warned_of(make, caplog, labels):
    train = [(["the", "film", "was"], labels)] * 4
    make(train=train, evaluation=train)
    assert "entity's" not in caplog.text
