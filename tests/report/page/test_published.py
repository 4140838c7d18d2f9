"""Published numbers beside measured ones: a made number, read off the table."""

import pandas as pd
import pytest

from prunebert.report.page import published as page_numbers
from prunebert.report.published import numbers as published


def texts(table):
    return [[f"{c.text} | {c.below.text}" if c.below else c.text for c in row] for row in table.rows]


def number(**changes):
    """Return a published number with the keys that `published.candidates` adds."""
    columns = {"source": "SMP Table 1", "read": "quoted", "where": "row 3", "kind": "measured", "note": ""}
    columns |= {"metric": "f1", "score": 0.75, "std": float("nan"), "seeds": float("nan"), "epochs": 3.0}
    return columns | {"mean": 0.8, "sd": 0.01, "n": 2, "differing": {}} | changes


@pytest.fixture
def beside(monkeypatch):
    """Return a function that gives the texts of both tables of published numbers, for one cell."""
    cell = pd.DataFrame([{"label": "smp", "sparsity": 0.9, "model": "m", "task": "t"}])

    def call(*numbers):
        monkeypatch.setattr(published, "of_task", lambda *_: pd.DataFrame([{"x": 1}]))
        monkeypatch.setattr(published, "comparisons", lambda *_: [n for n in numbers if not n["differing"]])
        monkeypatch.setattr(published, "closest", lambda *_: [n for n in numbers if n["differing"]])
        tables_of_both = (
            page_numbers.agreeing_numbers(cell, pd.DataFrame()),
            page_numbers.numbers_with_other_settings(cell, pd.DataFrame()),
        )
        return [texts(table) for table in tables_of_both]

    return call


def test_a_published_number_has_its_deviation_source_kind_note_epochs_and_seeds(beside):
    (second, first, third), _ = beside(  # what was read in the paper itself is listed first
        number(),
        number(score=0.7, std=0.0123, seeds=5.0, epochs=1.0, note="read twice", read="paper"),
        number(kind="interpolated", epochs=float("nan"), seeds=1.0, score=0.85),
    )
    head = ["smp", "0.9", "f1", "0.8000 ± 0.0100 (2)"]
    quoted = "quoted there from another paper, row 3"
    assert first == [*head, "0.75", "+0.0500", "3 epochs", f"SMP Table 1 | {quoted}"]
    assert second[4:] == [
        *("0.7 ± 0.0123", "+0.1000"),
        *("1 epoch, 5 seeds", "SMP Table 1 | read in the paper, row 3; read twice"),
    ]
    assert third[5] == "-0.0500" and third[6] == "unknown, 1 seed"
    kind = "interpolated: linear between two runs of the movement sheet; no run has this sparsity"
    assert third[7] == f"SMP Table 1 | {quoted}; {kind}"


def test_settings_that_differ_are_named_the_numbers_first_and_at_most_four(beside):
    differing = {f"fit.k{i}": (str(i), str(i + 10)) for i in range(6)}
    four = dict(list(differing.items())[:4])
    _, (row, whole) = beside(number(differing=differing), number(differing=four))
    named = "; ".join(f"fit.k{i}={i}, here {i + 10}" for i in range(4))
    assert row[3] == "0.75" and row[-1] == f"{named}; and 2 more settings" and whole[-1] == named
