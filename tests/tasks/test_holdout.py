"""Rows that are held out for evaluation: always the same, never trained on, and in the classes' proportions."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from prunebert.errors import BadInput
from prunebert.tasks import questions
from prunebert.tasks.corpus import corpus
from prunebert.tasks.holdout import hold_out

CLASSES = ["b", "a", "c"]
GOLD = np.array([0] * 40 + [1] * 20 + [2] * 8)


def reseeded(draw):
    """Return two results of `draw`, between which every global generator is seeded anew."""
    results = []
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        results.append(draw())
    return results


def table(labels) -> pd.DataFrame:
    return pd.DataFrame({"id": range(len(labels)), "label": labels})


def test_texts_are_held_out_by_class_once_and_for_all():
    labels = [CLASSES[i] for i in GOLD]
    (tables, gold), (again, _) = reseeded(lambda: hold_out(table(labels), GOLD, 0.25, CLASSES))
    train, validation = tables["train"], tables["validation"]
    assert validation.equals(again["validation"]) and train.equals(again["train"])
    assert sorted([*train.id, *validation.id]) == list(range(68))  # no row is in both
    assert validation.label.value_counts().to_dict() == {"b": 10, "a": 5, "c": 2}  # a quarter of 40, 20 and 8
    for split, part in tables.items():
        assert [CLASSES[i] for i in gold[split]] == part.label.tolist() == [labels[i] for i in part.id]


def test_a_class_that_is_spelt_in_two_ways_is_one_class():
    """Of eight rows a quarter is two: one of each class, though each spelling has two rows."""
    labels, gold = ["1", "1.0", "2", "2.0"] * 2, np.array([0, 0, 1, 1] * 2)
    tables, held_out = hold_out(table(labels), gold, 0.25, ["1", "2"])
    assert sorted(held_out["validation"]) == [0, 1] and len(tables["train"]) == 6


def test_numbers_are_held_out_without_classes():
    numbers = np.arange(20, dtype=np.float32)
    (tables, gold), (again, _) = reseeded(lambda: hold_out(table(numbers), numbers, 0.25, []))
    assert len(gold["validation"]) == 5 and not set(gold["validation"]) & set(gold["train"])
    assert tables["validation"].equals(again["validation"])
    assert gold["validation"].tolist() == tables["validation"].id.tolist()


def test_questions_are_held_out_with_their_whole_context(tmp_path):
    """Ten contexts of three questions: a fifth is two contexts, so six questions."""
    answer = {"text": "film", "answer_start": 4}
    paragraphs = [
        {
            "context": f"the film {i}",
            "qas": [{"id": f"{i}.{k}", "question": "what", "answers": [answer]} for k in range(3)],
        }
        for i in range(10)
    ]
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    found, again = reseeded(lambda: questions.from_files(str(tmp_path / "a.json"), None, 0.2, False))
    train, validation = found["train"], found["validation"]
    assert validation.equals(again["validation"]) and sorted([*train.id, *validation.id]) == [
        f"{i}.{k}" for i in range(10) for k in range(3)
    ]
    assert validation.context.value_counts().tolist() == [3, 3] and not {*train.context} & {*validation.context}


def test_documents_are_held_out_from_all_over_the_file(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"text {i}\n\n" for i in range(50)))
    settings = {"name": "own", "file": str(tmp_path / "a.txt"), "hub": None, "package": None, "text": "text"}
    found, again = reseeded(lambda: corpus(holdout=0.2, **settings))
    assert found == again and len(found["validation"]) == 10
    assert sorted(found["train"] + found["validation"]) == sorted(f"text {i}" for i in range(50))
    last_ten = {f"text {i}" for i in range(40, 50)}
    assert last_ten & {*found["train"]} and found["validation"] != sorted(found["validation"])


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_fraction_is_that_of_the_evaluation_rows(fraction):
    _, gold = hold_out(table(["a", "b"] * 50), np.array([0, 1] * 50), fraction, ["a", "b"])
    assert len(gold["validation"]) == 100 * fraction and len(gold["train"]) == 100 - 100 * fraction


def test_at_most_five_classes_that_are_too_rare_are_named():
    table = pd.DataFrame({"text": list("abcdefghij"), "label": list("uvwxyzoopp")})
    with pytest.raises(BadInput, match=r"every class needs 2 rows, and there is 1 of u, v, w, x, y; give task.eval"):
        hold_out(table, table.label.to_numpy(), 0.4, list("opuvwxyz"))
