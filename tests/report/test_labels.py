"""Test that a label is the shortest that tells a method's variants apart in every table, against labels by hand."""

import pandas as pd
import pytest

from prunebert.report.labels import labels

FACTS = {"prunable": "encoder", "fit": "quick", "distill": "none", "augment": "none", "train": "90 rows aaaaaaaa"}
FACTS |= {"pattern": "none"}


def named(*rows):
    """Return the labels and the details of variants, given as (table, method, facts that differ from FACTS)."""
    columns = [(table, f"v{i}", method, FACTS | facts) for i, (table, method, facts) in enumerate(rows)]
    frame = labels(pd.DataFrame(columns, columns=["table", "variant", "method", "facts"]))
    assert frame["variant"].tolist() == [f"v{i}" for i in range(len(rows))]
    return frame["label"].tolist(), frame["details"].tolist()


def test_one_setting_is_named_if_it_suffices_and_the_details_have_all():
    rows = [("a", "smp", {"fit.lr": str(k), "zeta": str(k), "alpha": str(k)}) for k in (1, 2)]
    found, details = named(*rows)
    assert found == ["smp (alpha=1)", "smp (alpha=2)"]  # a setting of the method before one of its budget
    assert details == ["alpha=1, fit.lr=1, zeta=1", "alpha=2, fit.lr=2, zeta=2"]


def test_the_fewest_settings_are_named_not_those_that_help_most_at_first():
    """c has most values, but only with both others does it tell all apart. a and b do so without it."""
    values = ["111", "121", "132", "213", "224", "232"]  # of a, b and c
    found, _ = named(*(("t", "smp", dict(zip("abc", v, strict=True))) for v in values))
    assert found == [f"smp (a={v[0]}, b={v[1]})" for v in values]


def test_a_grid_needs_both_settings_in_the_order_of_their_names():
    found, _ = named(*(("t", "smp", {"fit.lr": lr, "beta": b}) for lr in "12" for b in "34"))
    assert found == [f"smp (beta={b}, fit.lr={lr})" for lr in "12" for b in "34"]


def test_more_settings_than_every_choice_is_tried_of():
    """Five switches, one on in each variant, and one variant with none: four of them cannot do."""
    rows = [("t", "smp", {f"k{i}": "true" if i == on else "false" for i in range(5)}) for on in range(6)]
    assert named(*rows)[0] == [*(f"smp (k{on}=true)" for on in range(5)), "smp"]


def test_a_variant_has_one_label_in_all_tables_of_the_page():
    """In the second table only one learning rate ran. A setting that differs only between tables is in no label."""
    rows = [("a", "smp", {"fit.lr": "1"}), ("a", "smp", {"fit.lr": "2"}), ("b", "smp", {"fit.lr": "1"})]
    rows += [("a", "gmp", {"fit.lr": "1"}), ("b", "gmp", {"fit.lr": "2"})]
    found, details = named(*rows)
    assert found == ["smp (fit.lr=1)", "smp (fit.lr=2)", "smp (fit.lr=1)", "gmp", "gmp"]
    assert details == ["fit.lr=1", "fit.lr=2", "fit.lr=1", "", ""]


def test_a_switch_that_is_off_is_left_out():
    rows = [("t", "random", {"keep_pretrained": k, "fit.lr": lr}) for k, lr in (("false", "1"), ("true", "3"))]
    assert named(*rows)[0] == ["random", "random (keep_pretrained=true)"]


def test_rates_that_each_method_has_of_its_own_are_details_but_other_budgets_are_named():
    fits = ("quick, lr=0.1", "quick, head_lr=0.2", "quick")
    found, details = named(
        *(("t", method, {"fit": fit}) for method, fit in zip(("smp", "gmp", "imp"), fits, strict=True))
    )
    assert found == ["smp", "gmp", "imp"] and details == [f"fit={fit}" for fit in fits]
    found, _ = named(("t", "smp", {"fit": "quick, lr=0.1"}), ("t", "gmp", {"fit": "quick, lr=0.1, steps=9"}))
    assert found == ["smp (fit=quick, lr=0.1)", "gmp (fit=quick, lr=0.1, steps=9)"]


def test_a_switch_is_named_before_other_settings_and_both_before_rates():
    """An axis comes first, but the budget is none if only its rates differ."""
    frozen = {"keep_pretrained": "true", "head": "layer_mix", "fit": "quick, lr=3", "fit.lr": "3"}
    trained = {"keep_pretrained": "false", "head": "linear", "fit": "quick", "fit.lr": "1"}
    assert named(("t", "gmp", frozen), ("t", "gmp", trained))[0] == ["gmp (keep_pretrained=true)", "gmp"]
    slow, fast = {"fit": "quick, lr=1", "fit.lr": "1"}, {"fit": "quick, lr=2", "fit.lr": "2"}
    assert named(("t", "gmp", slow), ("t", "gmp", fast))[0] == ["gmp (fit.lr=1)", "gmp (fit.lr=2)"]
    assert named(("t", "gmp", slow), ("t", "gmp", {"fit": "paper"}))[0] == ["gmp (fit=quick, lr=1)", "gmp (fit=paper)"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["prunebert.schedules.Linear", "prunebert.schedules.Cubic"], ["Linear", "Cubic"]),
        (["/data/a/teacher", "/data/b/other"], ["teacher", "other"]),
        (["/data/a/teacher", "/data/b/teacher"], ["/data/a/teacher", "/data/b/teacher"]),
        (["prunebert.a.Linear", "prunebert.b.Linear"], ["prunebert.a.Linear", "prunebert.b.Linear"]),
        (["/", "x"], ["/", "x"]),
    ],
)
def test_classes_and_paths_have_their_last_part_unless_two_would_be_equal(values, expected):
    found, _ = named(*(("t", "smp", {"of": value}) for value in values))
    assert found == [f"smp (of={text})" for text in expected]


def test_training_rows_are_counted_and_named_by_their_fingerprint_only_where_the_counts_are_equal():
    same_count = [("t", "smp", {"train": f"90 rows {mark}"}) for mark in ("aaaaaaaa", "bbbbbbbb")]
    assert named(*same_count)[0] == ["smp (train=90 rows aaaaaaaa)", "smp (train=90 rows bbbbbbbb)"]
    other_task = [("u", "smp", {"train": "90 rows cccccccc"}), ("u", "smp", {"train": "1,000 rows dddddddd"})]
    found, _ = named(("t", "smp", {}), *other_task)
    assert found == ["smp", "smp (train=90 rows)", "smp (train=1,000 rows)"]


def test_another_methods_training_rows_are_named_unless_its_augmentation_explains_them():
    many = {"train": "500 rows"}
    assert named(("t", "gmp", {}), ("t", "smp", many))[0] == ["gmp (train=90 rows)", "smp (train=500 rows)"]
    assert named(("t", "gmp", {}), ("t", "smp", many | {"augment": "mlm"}))[0] == ["gmp", "smp (augment=mlm)"]


def test_a_pattern_is_named_where_another_row_of_the_table_has_another():
    two, blocks = {"pattern": "2:4"}, {"pattern": "4x4"}
    assert named(("t", "gmp", two), ("t", "smp", two))[0] == ["gmp", "smp"]
    assert named(("t", "gmp", two), ("t", "smp", {}))[0] == ["gmp (pattern=2:4)", "smp"]
    assert named(("t", "gmp", two), ("u", "smp", {}))[0] == ["gmp", "smp"]  # in different tables
    rows = [("t", "gmp", {}), ("t", "gmp", two), ("t", "gmp", blocks)]
    assert named(*rows)[0] == ["gmp (pattern=none)", "gmp (pattern=2:4)", "gmp (pattern=4x4)"]


def test_no_name_of_a_method_or_of_a_value_makes_two_rows_one():
    """Rows of one label would be averaged."""
    found, _ = named(("t", "gmp", {"lr": "1"}), ("t", "gmp", {"lr": "2"}), ("t", "gmp (lr=1)", {}))
    assert len(set(found)) == 3 and found[0].startswith("gmp (lr=1) [") and found[1] == "gmp (lr=2)"
    other_table, _ = named(("t", "gmp", {"lr": "1"}), ("t", "gmp", {"lr": "2"}), ("u", "gmp (lr=1)", {}))
    assert len(set(other_table)) == 3  # a ranking has one row for a label in all tables
    values = [{"a": "1, b=2", "b": "3"}, {"a": "1", "b": "2, b=3"}, {"a": "1", "b": "3"}, {"a": "1, b=2", "b": "4"}]
    found, _ = named(*(("t", "smp", value) for value in values))
    assert len(set(found)) == 4
