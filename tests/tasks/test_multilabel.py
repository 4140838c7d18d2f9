"""Texts with several labels: every form of their labels, the loss, the metrics and the constant baseline by hand."""

import json
import math

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from sklearn.preprocessing import MultiLabelBinarizer

from prunebert.errors import BadInput
from prunebert.measures import multilabel_metrics
from prunebert.network.interface import Batch, Outputs
from prunebert.tasks import sources
from prunebert.tasks.holdout import hold_out
from prunebert.tasks.text import text_task
from tests.toys import TASK, WORDS

SETS = [["plot"], [], ["actor", "plot"], ["scene"], ["plot", "scene"], ["plot"], [], ["actor"]]
NAMES = ["actor", "plot", "scene"]
GOLD = MultiLabelBinarizer(classes=NAMES).fit_transform(SETS)  # scikit-learn's
KEYS = TASK | {"kind": "multilabel", "text": "t", "score": None, "metric": None, "label_words": None, "eval": None}


@pytest.fixture(scope="module")
def tokenizer(model_folder):
    return transformers.AutoTokenizer.from_pretrained(model_folder)


@pytest.fixture
def make(tokenizer, tmp_path):
    """Return a function that makes a task of a table, which is written as a file of this ending."""

    def call(columns, ending="jsonl", eval=None, **changed):
        files = {}
        for key, content in {"train": columns, "eval": eval}.items():
            if content is not None:
                table, file = pd.DataFrame({"t": WORDS[: len(next(iter(content.values())))]} | content), tmp_path / key
                files[key] = f"{file}.{ending}"
                {
                    "jsonl": lambda t, f: t.to_json(f, orient="records", lines=True),
                    "parquet": lambda t, f: t.to_parquet(f),
                    "csv": lambda t, f: t.to_csv(f, index=False),
                }[ending](table, files[key])
        return text_task(tokenizer=tokenizer, positions=64, **KEYS | files | changed)

    return call


def gold_of(task):
    """Return the indicators of all rows in the order of the file."""
    found = np.zeros((len(SETS), task.outputs), int)
    for split, table in task.tables.items():
        found[table.id.to_numpy()] = task.rows[split].labels.numpy()
    return found


INDICES = [[NAMES.index(name) for name in row] for row in SETS]
BINARY = {name: GOLD[:, i] for i, name in enumerate(NAMES)}
FORMS = {
    "lists": ({"y": SETS}, "jsonl", {"label": "y"}),
    "Parquet": ({"y": SETS}, "parquet", {"label": "y"}),
    "separated": ({"y": [" | ".join(row) for row in SETS]}, "csv", {"label": "y", "separator": "|"}),
    "blanks": ({"y": [" ".join(row) for row in SETS]}, "csv", {"label": "y", "separator": " "}),
    "tabs": ({"y": ["\t".join(row) for row in SETS]}, "csv", {"label": "y", "separator": r"\t"}),
    "indices": ({"y": INDICES}, "jsonl", {"label": "y", "labels": NAMES}),
    "0 and 1": (BINARY, "csv", {"label": NAMES}),
    "true and false": ({k: v.astype(bool) for k, v in BINARY.items()}, "csv", {"label": NAMES}),
    "0.0 and 1.0": ({k: v.astype(float) for k, v in BINARY.items()}, "parquet", {"label": NAMES}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_labels_gives_the_same_rows(make, form):
    columns, ending, keys = FORMS[form]
    task = make(columns, ending, **keys)
    assert task.labels == NAMES and gold_of(task).tolist() == GOLD.tolist()
    assert task.form().multilabel and task.form().outputs == 3 and task.facts()["labels"] == NAMES


def test_labels_have_the_order_that_is_given(make):
    order = NAMES[::-1]
    for columns, keys in (({"y": SETS}, {"label": "y"}), (BINARY, {"label": NAMES})):
        task = make(columns, labels=order, **keys)
        assert task.labels == order and gold_of(task).tolist() == GOLD[:, ::-1].tolist()


BAD = {
    "row 2 of .* has '2' in the column plot; .* hold 0 or 1": (
        {"actor": [0, 1, 1], "plot": [1, 2, 0]},
        "csv",
        {"label": ["actor", "plot"]},
    ),
    "row 3 of .* has no label in the column plot": (
        {"actor": [0, 1, 1], "plot": ["1", "0", ""]},
        "csv",
        {"label": ["actor", "plot"]},
    ),
    r"task.label=scenes: .* has no such column": (BINARY, "csv", {"label": ["plot", "scenes"]}),
    r"task.label=\[plot\]: must be two or more": (BINARY, "csv", {"label": ["plot"]}),
    r"task.label=\[plot,plot\]: must be two or more different": (BINARY, "csv", {"label": ["plot", "plot"]}),
    r"task.text=t: task.label=t is the same column": (BINARY, "csv", {"label": ["plot", "t"]}),
    r"task.labels=\[a,b\]: the labels of the data are actor, plot": (
        BINARY,
        "csv",
        {"label": ["actor", "plot"], "labels": ["a", "b"]},
    ),
    "row 1 of .* has the text 'a,b'; give what separates its names": ({"y": ["a,b", "a"]}, "csv", {"label": "y"}),
    "row 1 of .* has an empty name in 'a,,b'": ({"y": ["a,,b", "a"]}, "csv", {"label": "y", "separator": ","}),
    "row 1 of .* has a list in y already": ({"y": SETS}, "jsonl", {"label": "y", "separator": ","}),
    "task.separator='': must be text": ({"y": ["a,b", "a"]}, "csv", {"label": "y", "separator": ""}),
    "task.separator=,: is for one column": (BINARY, "csv", {"label": NAMES, "separator": ","}),
    "row 2 of .* has null, and .* needs a list of names": ({"y": [["a", "b"], None]}, "jsonl", {"label": "y"}),
    "the rows of .* have only the label a": ({"y": [["a"], []]}, "jsonl", {"label": "y"}),
    r"22 different values in 22 labels of .* are too many for classes; task\.labels=\[…\] names them all": (
        {"y": [[f"n{i}" for i in range(11)], [f"n{i}" for i in range(11, 22)]]},
        "jsonl",
        {"label": "y"},
    ),
    "the rows of .* have no label": ({"y": [[], []]}, "jsonl", {"label": "y"}),
    "row 2 of .* is labelled 'skene'; labels are actor, plot, scene; did you mean scene": (
        {"y": [["plot"], ["plot", "skene"]]},
        "jsonl",
        {"label": "y", "labels": NAMES},
    ),
    "task.metric=prunebert.metrics:Accuracy: .* reports micro_f1": (
        {"y": SETS},
        "jsonl",
        {"label": "y", "metric": "prunebert.metrics:Accuracy"},
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_labels_are_refused_in_one_line(make, message):
    columns, ending, keys = BAD[message]
    with pytest.raises(BadInput, match=message) as error:
        make(columns, ending, **keys)
    assert "\n" not in str(error.value)


def test_a_label_that_only_the_evaluation_data_have_is_refused(make):
    with pytest.raises(BadInput, match=r"row 1 of .*eval\.jsonl.* is labelled 'scene'; labels are actor, plot"):
        make({"y": [["actor"], ["plot"]]}, eval={"y": [["scene"]]}, label="y")


def test_several_columns_are_for_several_labels_alone(make):
    with pytest.raises(BadInput, match=r"task.label=\['plot', 'scene'\]: must be the name of a column"):
        make(BINARY, label=["plot", "scene"], kind="classification")


def test_the_loss_is_the_binary_cross_entropy_as_in_transformers(make):
    task = make({"y": SETS}, label="y")
    logits, labels = torch.tensor([[2.0, -1.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    loss = task.loss(Outputs(logits), Batch({}, labels, torch.tensor([0])))["task"].item()
    by_hand = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1)) + math.log(2)) / 3
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, num_labels=3
    )
    config.problem_type = "multi_label_classification"
    stock = transformers.BertForSequenceClassification(config).eval()
    with torch.no_grad():
        out = stock(torch.tensor([[1, 2]]), labels=labels)
        assert out.loss.item() == pytest.approx(
            task.loss(Outputs(out.logits), Batch({}, labels, torch.tensor([0])))["task"].item(), rel=1e-6
        )
    assert loss == pytest.approx(by_hand, rel=1e-6)


def test_predictions_are_the_names_above_a_logit_of_0_and_their_metrics_are_scikit_learns(make):
    task = make({"y": SETS}, eval={"y": [["plot", "scene"], [], ["actor"]]}, label="y")
    logits = {0: np.array([-1.0, 0.1, 1.0]), 1: np.array([-0.1, 0.0, -2.0]), 2: np.array([1.0, 3.0, -1.0])}
    found = task.predict("validation", logits)
    assert found.label.map(json.loads).tolist() == [["plot", "scene"], [], ["actor"]]
    assert found.prediction.map(json.loads).tolist() == [["plot", "scene"], [], ["actor", "plot"]]
    # true positives 3, false positives 1, no false negative; F1 by label 1, 2/3 and 1; two of three rows are right
    expected = {"micro_f1": 6 / 7, "macro_f1": (1 + 2 / 3 + 1) / 3, "subset_accuracy": 2 / 3}
    assert task.metrics({"validation": found}) == pytest.approx(expected) and task.score == "micro_f1"
    assert task.metrics({"a": found, "b": found}).keys() == {f"{name}_{s}" for name in expected for s in "ab"}


def test_a_label_that_never_occurs_counts_as_0():
    none = np.zeros((2, 2), bool)
    assert multilabel_metrics(none, none) == {"micro_f1": 0, "macro_f1": 0, "subset_accuracy": 1}
    once = np.array([[True, False], [False, False]])
    assert multilabel_metrics(once, once) == {"micro_f1": 1, "macro_f1": 0.5, "subset_accuracy": 1}


def test_the_constant_baseline_has_the_labels_of_most_training_rows(make):
    """Of four training rows three have plot, two have actor, which is no majority, and one has scene."""
    train = [["plot", "actor"], ["plot", "scene"], ["plot"], ["actor"]]
    task = make({"y": train}, eval={"y": [["plot"], ["actor", "plot"], []]}, label="y")
    # always [plot]: two true positives, one false positive, one false negative
    assert task.baseline() == pytest.approx({"micro_f1": 4 / 6, "macro_f1": 0.8 / 3, "subset_accuracy": 1 / 3})


def test_sets_of_labels_are_held_out_in_proportion_where_each_has_two_rows():
    gold = np.repeat([[0, 0], [1, 0], [1, 1]], [12, 8, 4], axis=0).astype(np.float32)
    table = pd.DataFrame({"id": range(24), "label": [[]] * 24})
    _, parts = hold_out(table, gold, 0.25, ["a", "b"])
    assert np.unique(parts["validation"], axis=0, return_counts=True)[1].tolist() == [3, 2, 1]
    pairs = np.repeat([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(6)], 2, axis=0).astype(np.float32)
    _, parts = hold_out(pd.DataFrame({"id": range(12), "label": [[]] * 12}), pairs, 0.5, ["a", "b", "c"])
    assert len(np.unique(parts["validation"], axis=0)) == 6  # two rows of each set are enough
    rare = np.vstack([gold, [[0, 1]]]).astype(np.float32)  # one row of this set
    table = pd.DataFrame({"id": range(25), "label": [[]] * 25})
    tables, parts = hold_out(table, rare, 0.2, ["a", "b"])
    assert len(parts["validation"]) == 5 and sorted([*tables["train"].id, *tables["validation"].id]) == [*range(25)]
    assert all((rare[tables[split].id] == parts[split]).all() for split in parts)


def test_part_of_the_training_rows_replaces_the_evaluation_data_for_tuning(make):
    task = make({"y": SETS}, eval={"y": [["actor"]]}, label="y", tuning_holdout=2)
    assert {split: len(rows) for split, rows in task.rows.items()} == {"train": 6, "validation": 2}


def test_the_hubs_numbers_stand_for_its_names():
    feature = datasets.Sequence(datasets.ClassLabel(names=["b", "a"]))
    assert sources.classes_of(feature) == ["b", "a"] == sources.classes_of(datasets.ClassLabel(names=["b", "a"]))
    assert sources.classes_of(datasets.Sequence(datasets.Value("int64"))) is None


def test_an_augmented_copy_has_all_labels_of_its_row(make):
    task = make({"y": SETS}, label="y", eval={"y": SETS}, augment=lambda texts: [[f"{text} film"] for text in texts])
    plain = make({"y": SETS}, label="y", eval={"y": SETS})
    assert task.facts()["augmented"] == len(SETS) and "augmented" not in plain.facts()
    assert task.rows["train"].labels.tolist() == 2 * plain.rows["train"].labels.tolist()
    assert task.baseline() == plain.baseline()
