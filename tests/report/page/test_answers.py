"""Packed predictions: bits by hand, graded and written answers, other examples, and room for few bytes."""

import base64
import json

import numpy as np
import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.report.page import answers


def write(folder, labels, predictions, ids=None, splits="validation"):
    ids = [str(i) for i in range(len(labels))] if ids is None else ids
    folder.mkdir(exist_ok=True)
    table = {"split": splits, "id": ids, "label": labels, "prediction": predictions}
    pd.DataFrame(table).to_parquet(folder / "predictions.parquet")
    return folder


def stored(metric, names, *folders, most=10**6):
    store = answers.Store(metric, names, most)
    for folder in folders:
        store.add(folder, {})
    return store.content(pd.DataFrame({"directory": list(folders)}))


def test_the_first_number_is_in_the_lowest_bits():
    assert base64.b64decode(answers.pack(np.array([1, 2, 0, 3, 1], np.uint8), 2)) == bytes([0b11_00_10_01, 0b01])
    assert base64.b64decode(answers.pack(np.array([1, 0, 1], np.uint8), 1)) == bytes([0b101])
    assert base64.b64decode(answers.pack(np.array([200, 7], np.uint8), 8)) == bytes([200, 7])


def test_classes_take_few_bits_and_ids_in_order_none(tmp_path):
    content = stored("accuracy", ["no", "maybe", "yes"], write(tmp_path / "a", [0, 1, 2, 0], [2, 1, 2, 1]))
    assert (content["kind"], content["bits"], content["ids"], content["classes"]) == (
        "class",
        2,
        4,
        ["no", "maybe", "yes"],
    )
    assert base64.b64decode(content["label"]) == bytes([0b00_10_01_00])
    assert base64.b64decode(content["runs"]["0"]) == bytes([0b01_10_01_10])


def test_only_the_metrics_own_split_counts(tmp_path):
    a = write(tmp_path / "a", [0, 1, 1], [1, 1, 0], ["7", "7", "9"], ["matched", "mismatched", "mismatched"])
    content = stored("accuracy_mismatched", [], a)
    assert content["ids"] == ["7", "9"] and base64.b64decode(content["runs"]["0"]) == bytes([0b01])
    assert stored("accuracy", [], a)["ids"] == ["matched/7", "mismatched/7", "mismatched/9"]


def test_numbers_keep_five_digits(tmp_path):
    content = stored("pearson", [], write(tmp_path / "a", [1.0, 2.5], [1.234567, -0.5]))
    assert content["kind"] == "number" and content["label"] == [1, 2.5] and content["runs"] == {"0": [1.2346, -0.5]}


def test_answers_are_right_by_the_tasks_own_rules(tmp_path):
    """SQuAD ignores case, articles and punctuation. A question without answers wants an empty text."""
    golds = [json.dumps(g) for g in (["The cat.", "cat"], ["dog"], [])]
    content = stored("f1", [], write(tmp_path / "a", golds, ["a Cat", "the hound", ""], ["x", "y", "z"]))
    assert content["kind"] == "text" and content["label"] == ["The cat. / cat", "dog", ""]
    assert content["runs"]["0"]["texts"] == ["a Cat", "the hound", ""]
    assert base64.b64decode(content["runs"]["0"]["right"]) == bytes([0b101])


def test_masked_tokens_are_not_in_the_page(tmp_path):
    folder = write(tmp_path / "a", ["[5, 6]"], ["[5, 7]"])
    store = answers.Store("perplexity", [], 10**6)
    store.add(folder, {})
    assert store.note == answers.NO_TOKENS and store.content(pd.DataFrame({"directory": [folder]}))["runs"] == {}


@pytest.mark.parametrize(
    ("labels", "predictions", "reason"),
    [([0, 1, 0], [0, 1, 1], "its examples are not those"), ([0, 1], [0, 5], "a class is not from 0 to 1")],
)
def test_a_run_that_cannot_be_compared_is_refused(tmp_path, labels, predictions, reason):
    store = answers.Store("accuracy", ["no", "yes"], 10**6)
    store.add(write(tmp_path / "a", [0, 1], [1, 1]), {})
    with pytest.raises(BadInput, match=reason):
        store.add(write(tmp_path / "b", labels, predictions), {})
    with pytest.raises(BadInput, match="cannot be shown: a number is not finite"):
        stored("pearson", [], write(tmp_path / "c", [1.0], [float("nan")]))


def test_runs_for_which_there_is_no_room_are_left_out(tmp_path):
    """100 classes of one bit are 13 bytes, which take 20 in base64; each run's number takes up to 12 around them."""
    folders = [write(tmp_path / name, [0, 1] * 50, [1, 1] * 50) for name in "abcd"]
    content = stored("accuracy", [], *folders, most=130)  # the labels and the number of ids take 29
    assert [*content["runs"]] == ["0", "1", "2"] and len(json.dumps([content["runs"], content["label"]])) <= 130
    assert stored("accuracy", [], *folders, most=10) == {"kind": "", "runs": {}}
    golds = [json.dumps(["x"])] * 2
    texts = [write(tmp_path / f"t{i}", golds, ["x", "y"]) for i in range(6)]
    assert len(stored("exact", [], *texts)["runs"]) == answers.MAX_ANSWERS


WORDS = [["EU", "hits", "New", "York"], ["Ann", "Lee"]]
GOLD = [["B-ORG", "O", "B-LOC", "I-LOC"], ["B-PER", "I-PER"]]


def of_words(folder, labels, predicted, scheme):
    """Store one run that labels words, and return the page's content."""
    write(folder, *([json.dumps(x) for x in side] for side in (labels, predicted)))
    table = pd.read_parquet(folder / "predictions.parquet").assign(words=[json.dumps(w) for w in WORDS])
    table.to_parquet(folder / "predictions.parquet")
    names = sorted({name for tags in labels for name in tags})
    store = answers.Store("f1" if scheme != "none" else "accuracy", names, 10**6)
    store.add(folder, {"data": {"scheme": scheme}})
    return store.content(pd.DataFrame({"directory": [folder]}))


def test_entities_are_in_brackets_and_their_types_are_counted(tmp_path):
    """EU has another type, New York another end: it is missed, and `New` is spurious. Ann Lee is right."""
    predicted = [["B-PER", "O", "B-LOC", "O"], ["B-PER", "I-PER"]]
    content = of_words(tmp_path / "a", GOLD, predicted, "iob2")
    assert content["kind"] == "text" and content["unit"] == "entities"
    assert content["label"] == ["[EU ORG] hits [New York LOC]", "[Ann Lee PER]"]
    assert content["classes"] == ["LOC", "ORG", "PER", "no entity"]
    run = content["runs"]["0"]
    assert run["texts"] == ["[EU PER] [New LOC]", "[Ann Lee PER]"] and base64.b64decode(run["right"]) == bytes([0b10])
    assert run["confusion"] == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0]]


def test_labels_without_entities_stand_behind_their_words(tmp_path):
    gold = [["N", "V", "N", "N"], ["N", "N"]]
    content = of_words(tmp_path / "a", gold, [["N", "N", "N", "N"], ["N", ""]], "none")
    assert content["label"] == ["EU/N hits/V New/N York/N", "Ann/N Lee/N"] and content["unit"] == "words"
    assert content["classes"] == ["N", "V", "no label"]
    assert content["runs"]["0"]["texts"] == ["EU/N hits/N New/N York/N", "Ann/N Lee/"]
    assert content["runs"]["0"]["confusion"] == [[4, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_labels_that_are_not_the_runs_are_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be shown"):
        of_words(tmp_path / "a", GOLD, [["B-XXX", "O", "O", "O"], ["O", "O"]], "iob2")
    with pytest.raises(BadInput, match="cannot be shown"):
        of_words(tmp_path / "b", GOLD, [["O"], ["O", "O"]], "iob2")


def choosing(folder, predictions, question="what"):
    """Write the predictions of a run whose examples have three choices each."""
    write(folder, [0, 1], predictions)
    table = pd.read_parquet(folder / "predictions.parquet")
    table["question"] = [f"{question} is it", "who was it"]
    table["choices"] = [["a cat", "a dog", "</script>"], ["me", "you", "he"]]
    table.to_parquet(folder / "predictions.parquet")
    return folder


def test_questions_and_their_choices_are_stored_once(tmp_path):
    content = stored("accuracy", [], choosing(tmp_path / "a", [2, 1]), choosing(tmp_path / "b", [0, 0]))
    assert content["question"] == ["what is it", "who was it"] and content["choices"][1] == ["me", "you", "he"]
    assert content["classes"] == ["0", "1", "2"] and content["bits"] == 2  # no label is 2, but a prediction is
    assert {n: base64.b64decode(p)[0] for n, p in content["runs"].items()} == {"0": 0b01_10, "1": 0b00_00}


def test_long_questions_are_left_out_before_the_predictions(tmp_path):
    content = stored("accuracy", [], choosing(tmp_path / "a", [2, 1], "what " * 200), most=1500)
    assert "question" not in content and content["runs"].keys() == {"0"}
