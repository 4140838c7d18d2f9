"""Labels: names, indices, numbers, and the messages for invalid ones."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.tasks.label_text import key_of
from prunebert.tasks.labels import given_names, gold_classes, label_names, positions, to_classes, to_numbers


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
        to_classes(pd.Series(["neutral", "entailment", "nuetral", "x"]), NAMES, "gold", "dev.csv")
    assert str(caught.value) == (
        "task.label=gold: row 3 of dev.csv (rows count from 1, without a header) is labelled 'nuetral'; "
        "labels are entailment, neutral, contradiction; did you mean neutral?"
    )
    for label in ("3", "-1", "1.5", ""):
        with pytest.raises(BadInput, match=r"row 1 of train \(.*\) (is labelled|has no label)"):
            to_classes(pd.Series([label]), NAMES, "y", "train")
    with pytest.raises(BadInput, match=r"row 1 of train \(.*\) is labelled '0\.5'"):
        to_classes(pd.Series([0.5, 0.5]), ["0", "1"], "y", "train")
    with pytest.raises(BadInput, match=r"row 2 of train \(.*\) has no label"):
        to_classes(pd.Series(["neutral", None]), NAMES, "y", "train")


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_the_reported_row_is_the_invalid_one(wrong):
    with pytest.raises(BadInput, match="row 3 of train"):
        to_classes(pd.Series([1.0, 0.0, wrong]), ["0", "1"], "y", "train")


def test_numbers_for_regression():
    numbers = to_numbers(pd.Series(["3.5", " 0", "-1e-2"]), "score", "train")
    assert numbers.dtype == np.float32 and numbers.tolist() == pytest.approx([3.5, 0.0, -0.01])
    assert to_numbers(pd.Series([5, 0]), "score", "train").tolist() == [5.0, 0.0]


@pytest.mark.parametrize("label", ["good", "", "nan", "inf", "1,5"])
def test_a_label_that_is_not_a_number_is_reported_with_its_row(label):
    with pytest.raises(BadInput) as caught:
        to_numbers(pd.Series(["1", label, "worse"]), "score", "dev.csv")
    assert str(caught.value) == (
        f"task.label=score: row 2 of dev.csv (rows count from 1, without a header) is {label!r}, "
        "not a finite number (regression)"
    )


@pytest.mark.parametrize(
    "label", [None, float("nan"), True, [1.0], {"a": 1}, np.array([1.0]), b"\xff", pd.Timestamp("2020-01-01"), 1e39]
)
def test_a_value_that_is_no_number_is_refused_with_its_row(label):
    with pytest.raises(BadInput, match=r"task\.label=score: row 2 of dev\.csv"):
        to_numbers(pd.Series([1.0, label, 2.0], dtype=object), "score", "dev.csv")
    assert to_numbers(pd.Series([b"1.5", Decimal("2.5"), 3], dtype=object), "score", "f").tolist() == [1.5, 2.5, 3.0]


# The value of the class 1 in CSV text, JSON numbers and Parquet's types.
ONE = ["1", "1.0", "1.", "+1", "1e0", "10E-1", " 1 ", "01", b"1", 1, 1.0, np.float32(1), np.int8(1), Decimal("1.00")]


@pytest.mark.parametrize("names", [["1", "2"], ["1.0", "2.0"], ["+1", "2e0"]])
@pytest.mark.parametrize("one", ONE, ids=repr)
def test_a_number_is_the_same_label_however_it_is_written(one, names):
    classes = to_classes(pd.Series([2, one, "2.0"], dtype=object), names, "y", "f")
    assert classes.tolist() == [1, 0, 1]


def test_one_file_with_several_spellings_has_one_class_for_each_number():
    assert label_names(pd.Series(["1", "1.0", "3", "3.0"]), "y") == ["1", "3"]
    assert label_names(pd.Series(["0.50", "0.5", "1.5"]), "y") == ["0.5", "1.5"]
    assert label_names(pd.Series(["2.0", "1.0"]), "y") == ["1.0", "2.0"]  # one spelling each: as the file has it
    assert label_names(pd.Series([10**30, 10**30 + 1]), "y") == [str(10**30), str(10**30 + 1)]
    assert label_names(pd.Series(["a", "A", "ä", "a\u0308"]), "y") == ["A", "a", "a\u0308", "ä"]
    assert label_names(pd.Series(["b", "a"], dtype="category"), "y") == ["a", "b"]


@settings(max_examples=200, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_equal_numbers_have_one_key_and_others_have_not(number):
    spellings = [str(number), f"{number:.6f}", f"{number:+.5f}", f"{number:e}"]
    assert {key_of(text) for text in spellings} == {key_of(spellings[0])}
    assert Decimal(key_of(spellings[0])) == number
    assert key_of(str(number + Decimal("0.0001"))) != key_of(str(number))


def test_a_number_may_begin_or_end_with_its_point():
    assert [key_of(text) for text in (".5", "0.5", "+.50", "5.", "-.0")] == ["0.5", "0.5", "0.5", "5", "0"]


def test_labels_may_be_rounded_by_a_thousandth_of_their_deviation():
    """From 2²⁰ on float32 has eighths, so 0.06 is lost: 0.003 of a deviation of 20, 0.0006 of one of 100."""
    with pytest.raises(BadInput, match=r"row 2 of f .* in float32, and the labels' standard deviation is only 20"):
        to_numbers(pd.Series([2.0**20, 2.0**20 + 40.06]), "y", "f")
    assert to_numbers(pd.Series([2.0**20, 2.0**20 + 200.06]), "y", "f").tolist() == [2.0**20, 2.0**20 + 200]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([1, 0], "a list of values"),
        (np.array([1, 0]), "a list of values"),
        ({"id": 0}, "an object of keys and values"),
        (b"\xff\xfe", "bytes that are no UTF-8 text"),
        (pd.Timestamp("2020-01-01"), "a date or time"),
        (np.datetime64("2020-01-01"), "a datetime64"),
        (None, "has no label"),
        (float("nan"), "has no label"),
        (pd.NA, "has no label"),
        (Decimal("NaN"), "has no label"),
        (float("inf"), "is labelled inf"),
        ("  ", "has no label"),
        *((text, f"has no label (but {text!r})") for text in ("nan", "NaN", "NAN", "<NA>", "NaT")),
        ("a\ud800", "no valid Unicode text"),
        (True, "is labelled true, and others are no truth values"),
    ],
)
def test_what_is_no_label_is_refused_with_its_row(wrong, words):
    column = pd.Series(["a", "b", wrong, "a", "b"], dtype=object)
    for refuse in (lambda: label_names(column, "y", "t.json"), lambda: to_classes(column, ["a", "b"], "y", "t.json")):
        with pytest.raises(BadInput) as caught:
            refuse()
        message = str(caught.value)
        assert message.startswith("task.label=y: row 3 of t.json (rows count from 1") and words in message
        assert len(message.splitlines()) == 1


def test_truth_values_are_classes_of_their_own():
    assert to_classes(pd.Series([True, False]), ["False", "True"], "y", "f").tolist() == [1, 0]
    with pytest.raises(BadInput, match=r"row 1 of f .* is labelled 'True'; labels are 0, 1"):
        to_classes(pd.Series([True, False]), ["0", "1"], "y", "f")


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (["no", "yes"], True),
        (["False", "True"], True),
        (["label_0", "label_1"], True),
        (["covid19", "flu"], True),
        (["True", "False"], False),
        (["1.0", "no"], False),
        (["half", "0.5"], False),
        (["1e3", "no"], False),
        (["½", "¼"], False),
        (["1 star", "2 stars", "3 stars"], False),
        (["class 2", "class 1", "class 0"], False),
        (["one", "two", "three"], False),
        (["a", "b", "c", "d", "five", "four"], False),
    ],
    ids=str,
)
def test_a_file_may_hold_indices_only_if_no_name_says_otherwise(names, allowed):
    column = pd.Series(["0", "1"])
    assert bool(positions(names)) == allowed
    if allowed:
        assert to_classes(column, names, "y", "f").tolist() == [0, 1]
    else:
        with pytest.raises(BadInput, match=r"row 1 of f .* is labelled '0'"):
            to_classes(column, names, "y", "f")


def test_text_in_place_of_truth_values_is_explained():
    with pytest.raises(BadInput, match=r"labels are True, False; true, false, yes and no are truth values"):
        to_classes(pd.Series(["true", "false"]), given_names([True, False]), "y", "f")


def table(labels, source="f.csv"):
    frame = pd.DataFrame({"id": range(len(labels)), "label": labels})
    frame.attrs["source"] = source
    return frame


def test_indices_are_matched_only_where_the_order_of_names_was_given():
    tables = {"train": table(["no", "yes"], "t.csv"), "validation": table(["0", "1"], "d.csv")}
    gold = gold_classes(tables, ["no", "yes"], "y", by_index=True, own=True)
    assert {split: classes.tolist() for split, classes in gold.items()} == {"train": [0, 1], "validation": [0, 1]}
    with pytest.raises(
        BadInput, match=r"row 1 of d\.csv .* '0'; labels are no, yes; the names were not given in an order"
    ):
        gold_classes(tables, ["no", "yes"], "y", by_index=False, own=True)


def test_indices_that_may_count_from_1_are_refused():
    names = ["bad", "middling", "good"]
    tables = {"train": table(["1", "2", "1"], "t.csv")}
    with pytest.raises(BadInput, match=r"row 1 of t\.csv .* labelled 1, and no row is labelled 0"):
        gold_classes(tables, names, "y", by_index=True, own=True)
    assert gold_classes(tables, names, "y", by_index=True, own=False)["train"].tolist() == [
        1,
        2,
        1,
    ]  # GLUE's are from 0
    tables |= {"validation": table(["0"])}
    assert gold_classes(tables, names, "y", by_index=True, own=True)["train"].tolist() == [1, 2, 1]


def test_the_hubs_mark_for_no_label_is_explained():
    tables = {"train": table([0, 1]), "test": table([1, -1], "nyu-mll/glue test")}
    with pytest.raises(BadInput, match=r"row 2 of nyu-mll/glue test .* labelled -1, with which the hub marks rows"):
        gold_classes(tables, ["no", "yes"], "label", by_index=True, own=False)
    for own in (True, False):  # a class may be called so
        named = {"train": table(["-1", "1"])}
        assert gold_classes(named, ["-1", "1"], "label", by_index=True, own=own)["train"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "hint"),
    [("cafe\u0301", "another Unicode form"), ("CAFÉ", "did you mean café?"), ("caffé", "did you mean café?")],
)
def test_a_name_in_another_case_or_unicode_form_is_suggested(text, hint):
    with pytest.raises(BadInput, match=re.escape(hint) if "form" not in hint else hint):
        to_classes(pd.Series([text]), ["café", "bar"], "y", "f")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"neg": 1, "pos": 0}, "must be a list"),
        (3, "must be a list"),
        ("ab", "must be a list"),
        ([], "at least two"),
        (["a"], "at least two"),
        (["neg", "pos", "pos"], "pos and pos are the same class"),
        (["1", "1.0"], "1 and 1.0 are the same class"),
        ([1, "1"], "1 and 1 are the same class"),
        ([None, "good"], "has no label; if null is"),
        ([["a"], "b"], "a list of values"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(labels, words):
    with pytest.raises(BadInput) as caught:
        given_names(labels)
    assert str(caught.value).startswith("task.labels=") and words in str(caught.value)
    assert given_names([0, 1.0, True, "no"]) == ["0", "1", "True", "no"]
