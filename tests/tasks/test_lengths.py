"""How many texts max_length cuts and what long rows cost is logged, also where the tokens come from the cache."""

import logging

import numpy as np
import pandas as pd
import pytest

from prunebert.commands import dry_run
from prunebert.tasks import lengths
from prunebert.tasks.batching import Rows
from prunebert.tasks.text import text_task
from tests.toys import TASK


@pytest.fixture
def make(model, tmp_path, caplog):
    """Return a function that makes a task of texts and returns it with the logged lines about its lengths."""
    caplog.set_level(logging.INFO)

    def call(texts, second=None, evaluated=("good", "bad"), **changes):
        for name, rows in {"train": texts, "eval": evaluated}.items():
            table = pd.DataFrame({"a": rows, "label": [i % 2 for i in range(len(rows))]})
            if second:
                table["b"] = second[: len(rows)]
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        keys = TASK | {"text": ["a", "b"] if second else "a", "metric": "prunebert.metrics:Accuracy"}
        files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "eval")}
        caplog.clear()
        task = text_task(tokenizer=model.tokenizer, positions=changes.pop("positions", 64), **keys | files | changes)
        return task, [r.getMessage() for r in caplog.records if r.getMessage().startswith("task.max_length")]

    return call


def test_the_cut_texts_of_each_split_are_counted_and_the_cache_keeps_it(make):
    """Eight tokens hold six words. A text of exactly six is not cut."""
    texts = ["good " * 6, "bad " * 7, "film " * 60, "plot"] * 2 + ["good"]
    expected = ["task.max_length=8 cuts 4 of the 9 texts of train (44 %)"]
    for _ in range(2):
        task, said = make(texts, max_length=8)
        assert said == expected
    assert np.diff(task.rows["train"].offsets).tolist() == [8, 8, 8, 3] * 2 + [3]
    _, said = make(texts, evaluated=["good", "bad " * 9], max_length=8)
    assert said == [*expected, "task.max_length=8 cuts 1 of the 2 texts of validation (50 %)"]
    assert make(["good " * 6, "bad"], max_length=8)[1] == []
    assert make(["good"] * 250 + ["bad " * 9], max_length=8)[1] == [
        "task.max_length=8 cuts 1 of the 251 texts of train (under 1 %)"
    ]


def test_pairs_are_cut_together(make):
    """Eight tokens hold five words of both texts."""
    _, said = make(["good bad", "good bad film"], ["a film plot", "it was bad"], max_length=8)
    assert said == ["task.max_length=8 cuts 1 of the 2 pairs of texts of train (50 %)"]


def test_long_rows_say_what_they_cost(make):
    """1,024 and 512 tokens: 2² = 4 times the longest row's attention, (4 + 1) / 2 on average."""
    texts = ["good " * 1022, "bad " * 510]
    task, said = make(texts, max_length=2000, positions=2048)
    assert said == [
        "task.max_length=2000: training rows have up to 1,024 tokens, and 768 on average. Time and memory of full "
        "attention grow with the square of the length: 4.0 times those of 512 tokens for the longest row, 2.5 times "
        "on average"
    ]
    assert dry_run._lengths(task) == " (768 tokens on average, 1,024 at most)"
    assert make(["good " * 510, "bad"], max_length=2000, positions=2048)[1] == []  # the setting alone costs nothing
    _, said = make(["good", "bad"], max_length=1024, positions=2048, padding="max_length")
    assert "up to 1,024 tokens, and 1,024 on average" in said[0] and "4.0 times on average" in said[0]


def test_rows_count_as_a_batch_pads_them():
    rows = Rows({}, np.array([0, 3, 10]), None, width=5)
    assert lengths.lengths_of(rows).tolist() == [5, 7]


def test_a_task_that_does_not_know_its_lengths_shows_none(spans):
    assert dry_run._lengths(object()) == ""
    # Three special tokens, a question of three words, and contexts of 14, 16, 18 and 20.
    assert dry_run._lengths(spans) == " (23 tokens on average, 26 at most)"
