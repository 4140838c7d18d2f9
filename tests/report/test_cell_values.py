"""Cells of a results table: numbers in every spelling, and what a spreadsheet writes in place of a number."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.report import cell_values

NUMBERS = {"0.9": 0.9, "9.00E-01": 0.9, "+.9": 0.9, " 0.90 ": 0.9, "1E-05": 1e-5, "1.0": 1, "-0.25": -0.25}
REWRITTEN = {
    "0,9": "a decimal comma",
    "1.234,5": "a decimal comma",
    "90%": "a percentage",
    "90,5 %": "a percentage",
    "2026-09-01": "a date",
    "2026-09-01 00:00:00": "a date",
    "01.09.2026": "a date",
    "9/1/26": "a date",
    "01. Sep": "a date",
    "Sep-01": "a date",
    "02:04": "a time",
    "2:04:00": "a time",
    "#REF!": "an error of a formula",
    "#N/A": "an error of a formula",
    "####": "an error of a formula",
}
TEXTS = ["2:4", "4x4", "paper", "[1, 2]", "4:16", "1.2.3", "runs/2026-09-01", "1e-5 to 1e-4", "may be", "#", "march on"]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_in_every_spelling(text):
    assert cell_values.read("score", text) == cell_values.read("metrics.accuracy", text) == NUMBERS[text]


@pytest.mark.parametrize("text", REWRITTEN)
def test_what_a_spreadsheet_made_of_a_number_is_refused_with_the_column(text):
    for column in ("score", "metrics.f1", "settings.fit.lr", "settings.pattern"):
        with pytest.raises(BadInput) as error:
            cell_values.read(column, text)
        assert str(error.value).startswith(f"it is damaged: {column} is {text}") and REWRITTEN[text] in str(error.value)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_settings_are_no_rewritten_numbers(text):
    assert cell_values.rewritten(text) == ""
    assert cell_values.read("settings.x", text) == cell_values.parse_cell(text)


@pytest.mark.parametrize("column", ["git_commit", "identity", "versions.torch", "data.fingerprint.train", "device"])
def test_text_stays_text(column):
    assert cell_values.read(column, "00012") == "00012" and cell_values.read(column, 12) == "12"


def test_truth_values_of_a_spreadsheet_are_read():
    assert [cell_values.read("git_dirty", text) for text in ("TRUE", "FALSE", "True")] == [True, False, True]


@pytest.mark.parametrize(("column", "cell"), [("seed", "0.5"), ("steps", 1.5), ("peak_memory_bytes", "1.5")])
def test_a_broken_number_is_refused_where_it_must_be_whole(column, cell):
    with pytest.raises(BadInput, match=f"{column} is {cell}, not a whole number"):
        cell_values.read(column, cell)
    assert cell_values.read(column, "9E+00") == 9 and type(cell_values.read(column, 9.0)) is int


@pytest.mark.parametrize("cell", ["1" * 5000, "high", "0x1", "1_000", "١", True, ""])
def test_no_other_text_is_a_number(cell):
    with pytest.raises(BadInput, match="not a number"):
        cell_values.read("score", cell)


@given(st.one_of(st.integers(-(10**30), 10**30), st.floats(allow_nan=False)))
def test_every_number_that_json_writes_is_read_back(value):
    assert cell_values.read("score", json.dumps(value)) == value


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text):
    for column in ("score", "settings.x", "device", "data.labels"):
        try:
            cell_values.read(column, text)
        except BadInput as error:
            assert "\n" not in str(error)
