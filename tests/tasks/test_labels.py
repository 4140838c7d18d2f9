"""Labels: names, indices, numbers, and the messages for invalid ones."""

import numpy as np
import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.tasks.labels import label_names, to_classes, to_numbers


def test_class_names_are_sorted_as_numbers_where_all_are():
    assert label_names(pd.Series(["10", "9", "10", "-1"]), "y") == ["-1", "9", "10"]
    assert label_names(pd.Series([2.0, 1.0, 2.0]), "y") == ["1", "2"]
    assert label_names(pd.Series([10, 9]), "y") == ["9", "10"]
    assert label_names(pd.Series(["no", "Yes", " no "]), "y") == ["Yes", "no"]
    assert label_names(pd.Series([True, False]), "y") == ["False", "True"]


def test_a_single_class_and_too_many_classes_are_refused():
    with pytest.raises(BadInput, match=r"task\.label=y: every training row has the same label spam"):
        label_names(pd.Series(["spam"] * 3), "y")
    with pytest.raises(BadInput, match=r"task\.label=y: 30 different values in 30 rows.*task\.kind=regression"):
        label_names(pd.Series([f"{i / 7:.3f}" for i in range(30)]), "y")
    assert len(label_names(pd.Series([f"c{i}" for i in range(20)]), "y")) == 20
    assert len(label_names(pd.Series([f"c{i % 30}" for i in range(60)]), "y")) == 30


@pytest.mark.parametrize("labels", [["a", None, "b", "a"], [1.0, float("nan"), 0.0]])
def test_an_empty_label_of_a_training_file_is_refused(labels):
    with pytest.raises(BadInput, match=r"task\.label=y"):
        label_names(pd.Series(labels), "y")


NAMES = ["entailment", "neutral", "contradiction"]


@pytest.mark.parametrize(
    "labels",
    [
        ["neutral", "entailment", "contradiction"],
        [" neutral", "entailment ", "contradiction"],
        ["1", "0", "2"],
        [1, 0, 2],
        [1.0, 0.0, 2.0],
        ["neutral", "0", "2"],
    ],
)
def test_a_label_is_a_name_or_the_index_of_one(labels):
    classes = to_classes(pd.Series(labels), NAMES, "y", "train")
    assert classes.tolist() == [1, 0, 2] and classes.dtype == np.int64


def test_a_name_takes_precedence_over_an_index():
    assert to_classes(pd.Series(["1", "0"]), ["1", "0"], "y", "train").tolist() == [0, 1]
    assert to_classes(pd.Series([3, 1, 2]), ["1", "2", "3"], "y", "train").tolist() == [2, 0, 1]


def test_an_unknown_label_is_reported_with_its_row_and_a_suggestion():
    with pytest.raises(BadInput) as caught:
        to_classes(pd.Series(["neutral", "entailment", "nuetral", "x"]), NAMES, "gold", "validation")
    assert str(caught.value) == (
        "task.label=gold: row 2 of validation is labelled 'nuetral'; labels are entailment, neutral, contradiction"
        "; did you mean neutral?"
    )
    for label in ("3", "-1", "1.5", ""):
        with pytest.raises(BadInput, match="row 0 of train is labelled"):
            to_classes(pd.Series([label]), NAMES, "y", "train")
    with pytest.raises(BadInput, match=r"row 0 of train is labelled '0\.5'"):
        to_classes(pd.Series([0.5, 0.5]), ["0", "1"], "y", "train")
    with pytest.raises(BadInput, match="row 1 of train is labelled"):
        to_classes(pd.Series(["neutral", None]), NAMES, "y", "train")


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_the_reported_row_is_the_invalid_one(wrong):
    with pytest.raises(BadInput, match="row 2 of train"):
        to_classes(pd.Series([1.0, 0.0, wrong]), ["0", "1"], "y", "train")


def test_numbers_for_regression():
    numbers = to_numbers(pd.Series(["3.5", " 0", "-1e-2"]), "score", "train")
    assert numbers.dtype == np.float32 and numbers.tolist() == pytest.approx([3.5, 0.0, -0.01])
    assert to_numbers(pd.Series([5, 0]), "score", "train").tolist() == [5.0, 0.0]


@pytest.mark.parametrize("label", ["good", "", "nan", "inf", "1,5"])
def test_a_label_that_is_not_a_number_is_reported_with_its_row(label):
    with pytest.raises(BadInput) as caught:
        to_numbers(pd.Series(["1", label, "worse"]), "score", "validation")
    assert str(caught.value) == (f"task.label=score: row 1 of validation is {label!r}, not a number (regression)")
