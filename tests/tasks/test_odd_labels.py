"""Labels that look like numbers, numbers of few bits, and the hub's own order of classes."""

import re

import numpy as np
import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.tasks.labels import gold_classes, label_names, located, to_numbers, with_hub_names


def table(labels, source="train.csv", **attributes):
    rows = pd.DataFrame({"id": range(len(labels)), "label": labels})
    rows.attrs |= {"source": source} | attributes
    return rows


@pytest.mark.parametrize("label", ["²", "①", "٣", "1" * 5000], ids=repr)
@pytest.mark.parametrize("by_index", [True, False])
def test_digits_that_are_no_decimal_number_are_unknown_labels(label, by_index):
    tables = {"train": table(["neg", "pos"]), "validation": table(["pos", label], "dev.csv")}
    message = f"row 2 of dev.csv .* is labelled {re.escape(repr(label))}; labels are neg, pos"
    with pytest.raises(BadInput, match=message):
        gold_classes(tables, ["neg", "pos"], "label", by_index=by_index, own=True)


def test_numbers_of_any_length_are_sorted_by_value():
    long = ["9" * 5000, "1" + "0" * 5000, "7"]
    assert label_names(pd.Series(long), "y") == ["7", *long[:2]]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_float_of_few_bits_has_the_name_that_text_gives_it(kind):
    labels = located(table(np.array([0.1, 0.7, 3.0, 0.1], dtype=kind)))
    assert label_names(labels, "y") == ["0.1", "0.7", "3"]


@pytest.mark.parametrize("label", [2.0**53, -(2.0**60), np.float32(2**60)])
def test_floats_that_stand_for_several_whole_numbers_are_refused(label):
    with pytest.raises(BadInput, match=r"row 1 of train .*not exact from 2\^53 on"):
        label_names(pd.Series([label, 1.0], dtype=object), "y")
    assert label_names(pd.Series([2**53, 2**53 + 1]), "y") == ["9007199254740992", "9007199254740993"]
    assert label_names(pd.Series([2.0**53 - 1, 0.0]), "y") == ["0", "9007199254740991"]


@pytest.mark.parametrize("labels", [["1e-60", "2e-60"], [10**9 + 1, 10**9 + 2, 10**9], [16777217.0, 16777216.0]])
def test_numbers_that_float32_cannot_tell_apart_are_refused(labels):
    with pytest.raises(BadInput, match=r"in float32, and the labels' standard deviation is only .*; shift or scale"):
        to_numbers(pd.Series(labels, dtype=object), "y", "train")


@pytest.mark.parametrize("labels", [[1 / 3, 2 / 3, 1 / 3 + 1e-12], [5, 5, 5], [0.1], [0, 1e30, 7], [16777217, 0]])
def test_rounding_that_is_small_beside_the_labels_spread_is_right(labels):
    assert to_numbers(pd.Series(labels), "y", "train").tolist() == np.float32(labels).tolist()


@pytest.mark.parametrize(
    ("hub_names", "expected"),
    [
        (["entailment", "neutral", "contradiction"], [0, 1, 2]),
        (["contradiction", "neutral", "entailment"], [2, 1, 0]),
        (["Neutral", "Entailment", "Contradiction"], [1, 0, 2]),
        (["a", "b", "c"], [0, 1, 2]),  # other names: the numbers are all there is
        (None, [0, 1, 2]),
    ],
)
def test_the_hubs_numbers_mean_the_hubs_names(hub_names, expected):
    names = ["entailment", "neutral", "contradiction"]
    rows = with_hub_names(table([0, 1, 2], "hub validation", classes=hub_names), names)
    gold = gold_classes({"validation": rows}, names, "label", by_index=True, own=False)
    assert gold["validation"].tolist() == expected


def test_the_hubs_mark_for_no_label_is_no_class_in_any_order():
    rows = with_hub_names(table([-1, 0], "hub test", classes=["pos", "neg"]), ["neg", "pos"])
    with pytest.raises(BadInput, match=r"row 1 of hub test .* is labelled -1"):
        gold_classes({"test": rows}, ["neg", "pos"], "label", by_index=True, own=False)


@pytest.mark.parametrize("labels", [["0", "1", "true"], ["1.0", "0", "False"], ["TRUE", "1", "no"]])
def test_truth_values_beside_numbers_are_refused_in_text_too(labels):
    with pytest.raises(BadInput, match=r"task\.label=y: row \d of f\.csv .*is labelled \w+, and others are numbers"):
        label_names(pd.Series(labels * 4), "y", "f.csv")
    assert label_names(pd.Series(["true", "false"] * 4), "y", "f.csv") == ["false", "true"]
