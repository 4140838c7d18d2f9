"""task.tuning_holdout: training rows replace the evaluation data, which are then never read."""

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.tasks.mlm import mlm_task
from prunebert.tasks.squad import squad_task
from prunebert.tasks.text import text_task
from tests.toys import SQUAD, TASK

ROWS = pd.DataFrame({"sentence": [f"the film {'a ' * i}was" for i in range(40)], "label": ["good"] * 30 + ["bad"] * 10})


@pytest.fixture
def load(model, tmp_path):
    """Return a function that loads a task on 40 training rows, three of four "good", and 2 evaluation rows."""
    ROWS.to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"sentence": ["scene plot"] * 2, "label": ["good", "bad"]}).to_csv(tmp_path / "eval.csv", index=False)
    files = {"train": str(tmp_path / "train.csv"), "eval": str(tmp_path / "eval.csv")}
    words = {"metric": "prunebert.metrics:Accuracy", "label_words": None}

    def call(**changes):
        return text_task(tokenizer=model.tokenizer, positions=64, **TASK | files | words | changes)

    return call


@pytest.mark.parametrize(("value", "held_out"), [(0.2, 8), (8, 8), (8.0, 8)])
def test_a_part_of_the_training_rows_is_evaluated_in_the_proportions_of_the_classes(load, value, held_out):
    """A fifth of 40 rows is 8: six of the 30 "good" ones and two of the 10 "bad" ones."""
    task = load(tuning_holdout=value)
    train, validation = task.tables["train"], task.tables["validation"]
    assert task.eval_splits == ("validation",) and len(validation) == held_out
    assert validation.label.value_counts().to_dict() == {"good": 6, "bad": 2}
    assert sorted([*train.id, *validation.id]) == list(range(40))
    assert set(validation.text_a) <= set(ROWS.sentence)  # no row of the evaluation file


def test_the_rows_that_a_task_holds_out_for_its_scores_are_in_neither_part(load):
    """Without an evaluation file a quarter of the rows are evaluation data. Tuning takes its rows from the rest."""
    evaluation = set(load(eval=None).tables["validation"].id)
    tuning = load(eval=None, tuning_holdout=0.2).tables
    assert len(evaluation) == 10 and len(tuning["validation"]) == 6 and len(tuning["train"]) == 24
    assert not evaluation & {*tuning["validation"].id, *tuning["train"].id}


def test_an_ordinary_run_and_one_for_tuning_have_other_fingerprints(load):
    ordinary, tuning = (task.facts()["fingerprint"] for task in (load(), load(tuning_holdout=8)))
    assert ordinary["validation"] != tuning["validation"] and ordinary["train"] != tuning["train"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (8.5, "task.tuning_holdout=8.5: must be a fraction below 1, or a whole number"),
        (40, "of 40 rows 40 would be held out"),
        (0.0, "task.tuning_holdout=0.0: must be above 0"),
    ],
)
def test_a_part_that_cannot_be_held_out_is_refused(load, value, reason):
    with pytest.raises(BadInput) as error:
        load(tuning_holdout=value)
    assert reason in str(error.value) and "task.eval" not in str(error.value)


def test_questions_are_held_out_with_their_contexts(model, spans):
    """Of four contexts two are held out. The evaluation file, here the training file too, is not read."""
    file = spans.source
    task = squad_task(
        tokenizer=model.tokenizer, positions=64, train=file, eval=file, **SQUAD | {"max_length": 48}, tuning_holdout=2
    )
    parts = {split: set(table.context) for split, table in task.tables.items()}
    assert {split: len(part) for split, part in parts.items()} == {"train": 2, "validation": 2}
    assert not parts["train"] & parts["validation"]


def test_documents_are_held_out_of_the_training_documents(model):
    documents = {"train": [f"the film was good {'it ' * i}" for i in range(10)], "validation": ["a dull plot " * 9]}

    def load(tuning_holdout):
        return mlm_task(
            tokenizer=model.tokenizer,
            positions=64,
            name="mlm",
            corpus=lambda: documents,
            block=8,
            rate=0.15,
            tuning_holdout=tuning_holdout,
        )

    dull = model.tokenizer.convert_tokens_to_ids("dull")
    assert dull in load(None).rows["validation"].columns["input_ids"]
    held_out = load(3).rows
    assert dull not in held_out["validation"].columns["input_ids"]
    good = model.tokenizer.convert_tokens_to_ids("good")
    found = [(held_out[split].columns["input_ids"] == good).sum() for split in ("train", "validation")]
    assert found[1] <= 3 and found[0] >= 6  # one "good" a document, and the last tokens may fill no block
    with pytest.raises(BadInput, match=r"task\.tuning_holdout=10: "):
        load(10)
