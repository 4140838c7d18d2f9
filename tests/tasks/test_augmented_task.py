"""A task with augmented copies of its training rows: which rows, their labels, what is refused."""

import inspect
from functools import partial

import numpy as np
import pytest
import torch

from prunebert.errors import BadInput
from prunebert.tasks.augment import masked_lm
from prunebert.tasks.mlm import mlm_task
from prunebert.tasks.squad import squad_task
from prunebert.tasks.text import text_task
from tests.tasks.test_augment import METRIC, SETTINGS, TEXTS, empty_cache  # noqa: F401  for every test here too
from tests.toys import TASK, rows


def test_augmented_copies_follow_the_training_rows_only(model, data_folder):
    files = {"train": str(data_folder / "train.csv"), "eval": str(data_folder / "eval.csv")}
    make = partial(text_task, tokenizer=model.tokenizer, positions=64, **TASK, **files, **METRIC)
    plain, augmented = make(), make(augment=partial(masked_lm, model=model, **SETTINGS))
    table, labels = augmented.tables["train"], augmented.rows["train"].labels
    assert augmented.train_rows == len(table) == len(labels) == 96 + augmented.augmented and augmented.augmented > 500
    assert table[:96].equals(plain.tables["train"].astype({"id": object})) and table.id.is_unique
    assert torch.equal(labels[:96], plain.rows["train"].labels)
    original_rows = np.array([int(i.split("+")[0]) for i in table.id[96:]])
    assert (labels[96:] == labels[original_rows]).all()
    expected = masked_lm(plain.tables["train"].text_a.tolist(), model=model, **SETTINGS)
    assert [table.text_a[96:][original_rows == row].tolist() for row in range(96)] == expected
    row = augmented.rows["train"].batch(np.array([200]), augmented.padding).inputs["input_ids"][0].tolist()
    assert row == model.tokenizer.encode(table.text_a[200])
    assert augmented.tables["validation"].equals(plain.tables["validation"])
    assert augmented.baseline() == plain.baseline()
    assert augmented.facts() == plain.facts() | {
        "augmented": augmented.augmented,
        "rows": {"train": len(table), "validation": 40},
        "fingerprint": {split: rows.fingerprint() for split, rows in augmented.rows.items()},
    }
    assert "augmented" not in plain.facts()


def test_held_out_rows_are_not_copied_and_stay_the_same_rows(model, data_folder):
    files = {"train": str(data_folder / "train.csv"), "eval": None}
    augmented_texts = []

    def shout(texts):
        augmented_texts.extend(texts)
        return [[text.upper()] for text in texts]

    make = partial(text_task, tokenizer=model.tokenizer, positions=64, **TASK, **files, **METRIC)
    plain, augmented = make(), make(augment=shout)
    assert augmented.tables["validation"].equals(plain.tables["validation"])
    assert augmented_texts == plain.tables["train"].text_a.tolist() and augmented.train_rows == 2 * plain.train_rows
    assert augmented.tables["train"].id[72:].tolist() == [f"{i}+1" for i in plain.tables["train"].id]


def test_copies_do_not_count_in_the_baseline(model, tmp_path):
    table = rows(40).assign(label=[0] * 12 + [1] * 28, number=[0.0] * 12 + [1.0] * 28)
    table.to_csv(tmp_path / "t.csv", index=False)
    files = {"train": str(tmp_path / "t.csv"), "eval": str(tmp_path / "t.csv")}
    augment_first_rows = partial(
        lambda keep, texts: [[f"{t} a"] * 9 if i < keep else [] for i, t in enumerate(texts)], 12
    )
    task = text_task(tokenizer=model.tokenizer, positions=64, **TASK, **files, **METRIC, augment=augment_first_rows)
    assert task.rows["train"].labels.bincount().tolist() == [120, 28] and task.baseline() == {"accuracy": 0.7}
    regression = TASK | {"kind": "regression", "label": "number", "score": None}
    task = text_task(
        tokenizer=model.tokenizer, positions=64, **regression, **files, metric=None, augment=augment_first_rows
    )
    assert task.rows["train"].labels.dtype == torch.float32 and task.augmented == 108


def test_pairs_combine_kth_new_texts_and_then_the_original(model, tmp_path):
    rows(3).assign(sentence=["a", "b", "c"], second=["x", "y", "z"], label=[0, 1, 0]).to_csv(tmp_path / "t.csv")
    new_texts = {"a": ["a1", "a2", "a3"], "x": ["x1"], "b": [], "y": ["y1", "y2"], "c": ["c"], "z": []}
    task = text_task(
        tokenizer=model.tokenizer,
        positions=64,
        **TASK | {"text": ["sentence", "second"]} | METRIC,
        train=str(tmp_path / "t.csv"),
        eval=str(tmp_path / "t.csv"),
        augment=lambda texts: [new_texts[text] for text in texts],
    )
    copies = task.tables["train"][3:]
    assert copies[["id", "text_a", "text_b", "label"]].values.tolist() == [
        ["0+1", "a1", "x1", "0"],
        ["0+2", "a2", "x", "0"],
        ["0+3", "a3", "x", "0"],
        ["1+1", "b", "y1", "1"],
        ["1+2", "b", "y2", "1"],
    ]
    assert task.rows["train"].labels.tolist() == [0, 1, 0, 0, 0, 0, 1, 1] and task.augmented == 5


def test_tasks_without_labelled_texts_refuse(model):
    settings = {"tokenizer": model.tokenizer, "positions": 64, "name": "its", "augment": masked_lm}
    with pytest.raises(BadInput, match=r"augment=mlm: task=its .* use augment=none"):
        mlm_task(**settings, corpus={}, block=16, rate=0.15)
    keys = [k for k in inspect.signature(squad_task).parameters if k not in settings]
    with pytest.raises(BadInput, match=r"augment=mlm: task=its .* use augment=none"):
        squad_task(**settings, **dict.fromkeys(keys))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"copies": 0}, r"augment\.copies=0: must be at least 1"),
        ({"rate": 1.5}, r"augment\.rate=1\.5: must be at least 0 and at most 1"),
        ({"rate": float("nan")}, r"augment\.rate=nan: must be"),
        ({"candidates": 0}, r"augment\.candidates=0: must be at least 1 and at most 48"),
        ({"candidates": 49}, r"augment\.candidates=49: must be at least 1 and at most 48"),
    ],
)
def test_a_setting_out_of_range_is_refused(model, setting, message):
    with pytest.raises(BadInput, match=message):
        masked_lm(TEXTS, model=model, **SETTINGS | setting)
