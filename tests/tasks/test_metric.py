"""What task.metric names is looked at before it is called, and a result that is no score is refused before training."""

import sys

import evaluate
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score

from prunebert import measures, metrics
from prunebert.errors import BadInput
from prunebert.tasks import metric
from prunebert.tasks.task import constant_baseline
from prunebert.tasks.text import text_task
from tests.toys import TASK, rows

CLASSES = ["a", "b", "c"]
SPANS = {"Squad", "SquadV2"}  # whose tasks call them without task.metric


class Fixed(metrics.Accuracy):
    """Returns `value`, whatever it is asked."""

    value: object = None

    def _compute(self, predictions, references):
        return self.value


class MacroF1(metrics.Accuracy):
    def _compute(self, predictions, references):
        return {"macro_f1": f1_score(references, predictions, average="macro")}


class BinaryF1(metrics.Accuracy):
    def _compute(self, predictions, references):
        return {"f1": f1_score(references, predictions)}


class Precision(metrics.Accuracy):
    """Unlike every metric of ours it changes if predictions and labels are exchanged."""

    def _compute(self, predictions, references):
        return {"precision": precision_score(references, predictions)}


class NeedsMore(metrics.Accuracy):
    def _compute(self, predictions, references, weights):
        return {"x": 0.0}


class NeedsName(metrics.Accuracy):
    def __init__(self, name, **settings):
        super().__init__(**settings)


class Abstract(evaluate.Metric):
    def _info(self):
        return metrics._info("x", "int64")


class NoMetric:
    def __init__(self, **settings):
        raise AssertionError("it was called")


def function(*arguments, **settings):
    raise AssertionError("it was called")


HERE = __name__


def refused(call, *words):
    with pytest.raises(BadInput) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "os:system",
            "must be a subclass of evaluate.Metric, as module:Class, and this is a builtin_function_or_method",
        ),
        (f"{HERE}:function", "and this is a function"),
        (f"{HERE}:NoMetric", "and this is a class of object"),
        (f"{HERE}:CLASSES", "and this is a list"),
        ("sklearn.metrics:f1_score", "and this is a function"),
        ("evaluate:Metric", "this class is abstract: it lacks _info and _compute"),
        (f"{HERE}:Abstract", "this class is abstract: it lacks _compute"),
        (f"{HERE}:NeedsMore", "_compute must take predictions, references alone"),
        (f"{HERE}:NeedsName", "__init__ must take keep_in_memory alone"),
        ("evaluate", "and this is a module"),
        ("nowhere:Metric", "there is no such module:Class"),
        ("prunebert.metrics:Nothing", "there is no such module:Class"),
        ("not a name", "there is no such module:Class"),
    ],
)
def test_what_is_no_metric_is_refused_and_not_called(name, words):
    refused(lambda: metric.find(name), f"task.metric={name}: ", words)


def test_a_module_that_cannot_be_imported_is_told_with_its_error(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, content in {"broken_syntax": "def", "broken_name": "x = undefined_name", "broken_index": "[][0]"}.items():
        (tmp_path / f"{name}.py").write_text(content)
        refused(lambda name=name: metric.find(f"{name}:X"), f"task.metric={name}:X: its module cannot be imported (")
        assert name not in sys.modules


@pytest.mark.parametrize("name", ["Accuracy", "AccuracyF1", "Matthews", "Correlation"])
def test_every_metric_of_ours_is_found(name):
    assert metric.find(f"prunebert.metrics:{name}") is getattr(metrics, name)
    assert metric.find(f"prunebert.metrics.{name}") is getattr(metrics, name)


@pytest.mark.parametrize("name", ["Accuracy", "AccuracyF1", "Matthews", "Correlation"])
@pytest.mark.parametrize("dot", ".:")
def test_a_metric_of_ours_is_that_of_its_class(name, dot):
    """A run computes it without evaluate; evaluate.load and a user's subclass go through the class."""
    assert set(measures.OF_CLASS) == {n for n in vars(metrics) if getattr(vars(metrics)[n], "_compute", None)} - SPANS
    predicted, labels = [1, 0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 1, 1, 0]
    through_class = getattr(metrics, name)(keep_in_memory=True).compute(predictions=predicted, references=labels)
    assert metric.compute(f"prunebert.metrics{dot}{name}", predicted, labels, ["a", "b"]) == through_class


def test_accuracy_is_scikit_learns_to_the_last_bit():
    random = np.random.default_rng(0)
    for size in (1, 3, 277, 9815):
        predicted, labels = random.integers(0, 3, (2, size))
        found = metric.compute("prunebert.metrics:Accuracy", predicted.tolist(), labels.tolist(), CLASSES)
        assert found == {"accuracy": float(accuracy_score(labels, predicted))}


@pytest.mark.parametrize("predictions", [[0.5, 1.0], ["a", "b"], [0], [[0], [1]], []])
def test_what_is_no_class_index_is_refused_by_accuracy(predictions):
    words = "task.metric=prunebert.metrics:Accuracy: ", "cannot score predictions of 3 classes"
    refused(lambda: metric.compute("prunebert.metrics:Accuracy", predictions, [0, 1], CLASSES), *words)


def test_a_metric_of_the_users_is_what_it_computes():
    found = metric.compute(f"{HERE}:MacroF1", [0, 1, 2, 2], [0, 1, 1, 2], CLASSES)
    assert found == {"macro_f1": pytest.approx((1 + 2 / 3 + 2 / 3) / 3)} and type(found["macro_f1"]) is float


def test_predictions_are_told_from_labels(make):
    """Two of three predicted positives are right, which is precision; recall is 1."""
    predicted, labels = [1, 1, 1, 0], [1, 0, 1, 0]
    expected = {"precision": pytest.approx(2 / 3)}
    assert metric.compute(f"{HERE}:Precision", predicted, labels, ["no", "yes"]) == expected
    task = make(metric=f"{HERE}:Precision", label="label", score=None)
    assert task.metrics({"validation": pd.DataFrame({"prediction": predicted, "label": labels})}) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "must return {name: number}, and it returned float"),
        (None, "it returned NoneType"),
        ({}, "it returned dict"),
        ({"f1": [0.1, 0.2]}, "'f1' is list"),
        ({"f1": "good"}, "'f1' is str"),
        ({"f1": True}, "'f1' is bool"),
        ({1: 0.5}, "1 is float"),
        ({"f1": float("nan")}, "f1 is nan, which is no score"),
        ({"f1": float("inf")}, "f1 is inf, which is no score"),
    ],
    ids=str,
)
def test_a_result_that_is_no_score_is_refused(value, words, monkeypatch):
    monkeypatch.setattr(Fixed, "value", value)
    refused(lambda: metric.compute(f"{HERE}:Fixed", [0, 1], [0, 1], ["a", "b"]), f"task.metric={HERE}:Fixed: ", words)


def test_f1_of_three_classes_is_refused_with_the_classes_and_what_is_allowed():
    name = "prunebert.metrics:AccuracyF1"
    refused(
        lambda: metric.compute(name, [0], [0], CLASSES),
        f"task.metric={name}: needs 2 classes, and the task has 3 (a, b, c); allowed is prunebert.metrics:Accuracy",
    )
    refused(
        lambda: metric.compute(f"{HERE}:BinaryF1", [0, 1, 2], [0, 2, 1], CLASSES),
        "cannot score predictions of 3 classes (ValueError: ",
    )


@pytest.fixture
def make(model, tmp_path):
    table = rows(30).assign(three=lambda t: t.index % 3)
    table.to_csv(tmp_path / "t.csv", index=False)
    settings = TASK | {"train": str(tmp_path / "t.csv"), "eval": None, "label_words": None, "label": "three"}
    return lambda **changed: text_task(tokenizer=model.tokenizer, positions=64, **settings | changed)


def test_a_task_is_checked_with_its_constant_baseline(make):
    refused(lambda: constant_baseline(make(metric="prunebert.metrics:AccuracyF1")), "the task has 3 (0, 1, 2)")
    refused(
        lambda: constant_baseline(make(metric="prunebert.metrics:Matthews", score="f1")), "task.score=f1", "matthews"
    )
    refused(lambda: make(metric="prunebert.metrics:AccuracyF1", kind="regression", label="number"), "needs classes")
    assert constant_baseline(make(metric=f"{HERE}:MacroF1", score=None)).keys() == {"macro_f1"}


@pytest.mark.parametrize("dry", ["true", "false"])
def test_a_run_and_a_dry_run_refuse_it_before_training(cli, toy, tmp_path, dry):
    pd_rows = rows(30).assign(label=lambda t: t.index % 3)
    pd_rows.to_csv(tmp_path / "three.csv", index=False)
    words = [w for w in toy if w.split("=")[0] not in ("task.train", "task.eval", "task.label_words")]
    status, printed = cli(
        *words, "method=magnitude", f"task.train={tmp_path / 'three.csv'}", f"dry={dry}",
        "task.metric=prunebert.metrics:AccuracyF1",
    )  # fmt: skip
    assert status == 2 and "needs 2 classes, and the task has 3 (0, 1, 2)" in printed
    assert "phase finetune" not in printed and not (tmp_path / "run").exists()


def test_metrics_of_several_splits_end_with_their_names_and_two_of_one_name_are_refused():
    assert metric.of_splits({"x": {"f1": 0.5, "f1_y": 1.0}}) == {"f1": 0.5, "f1_y": 1.0}
    assert metric.of_splits({"x": {"f1": 0.5}, "z": {"f1": 0.25}}) == {"f1_x": 0.5, "f1_z": 0.25}
    with pytest.raises(
        BadInput, match=r"^task\.eval: two metrics have the name f1_y_x; give the split x another name$"
    ):
        metric.of_splits({"y_x": {"f1": 0.5}, "x": {"f1": 0.25, "f1_y": 1.0}})
