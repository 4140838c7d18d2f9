"""The settings of a SQuAD task reach its answers: n_best, max_answer, no_answer, every window, every gold answer."""

import json

import numpy as np
import pytest

from tests.tasks.squad.conftest import BELL, DATA, content, write


def outputs_of(task, values):
    """Return logits by window. They are 0 but for `values`, {(question, word, side): logit}."""
    windows, table, outputs = task.windows["validation"], task.tables["validation"], {}
    for window, row in enumerate(windows.question):
        offsets = windows.offsets(window)
        logits = np.zeros((len(offsets), 2))
        for (name, word, side), value in values.items():
            begin = table.context[row].find(word)
            if table.id[row] == name and begin >= 0:
                logits[(offsets[:, 0] == begin) & (offsets[:, 1] > begin), side] = value
        outputs[window] = logits
    return outputs


def answers(task, values):
    table = task.predict("validation", outputs_of(task, values))
    return dict(zip(table.id, table.prediction, strict=True))


@pytest.fixture
def bell(make, tmp_path):
    """Return a function that makes a task of one question about the bell, in one window."""
    file = write(tmp_path / "bell.json", content([(BELL, [("q", "What?", ["twelve horses", "horses", "twelve"])])]))
    return lambda **changed: make(**{"train": file, "eval": file, "max_length": 40, "stride": 4} | changed)


def test_the_longest_answer_and_the_number_of_ends_are_not_confused(bell):
    """`great … cast` has four tokens and the largest logits; `twelve horses` has two, and the second largest."""
    values = {("q", "great", 0): 9.0, ("q", "cast", 1): 9.0, ("q", "twelve", 0): 6.0, ("q", "horses", 1): 6.0}
    assert answers(bell(n_best=2, max_answer=4), values) == {"q": "great bell was cast"}
    assert answers(bell(n_best=2, max_answer=3), values) == {"q": "twelve horses"}
    assert answers(bell(n_best=1, max_answer=30), values) == {"q": "great bell was cast"}
    assert answers(bell(n_best=1, max_answer=3), values) == {"q": ""}  # the one start and the one end are too far apart


def test_the_answer_may_be_in_any_window(make):
    task = make()
    windows = task.windows["validation"]
    assert min(np.bincount(windows.question)) > 1
    found = answers(
        task, {("q2", "near", 0): 5.0, ("q2", "Hull", 1): 5.0, ("q1", "The", 0): 5.0, ("q1", "Ouse", 1): 5.0}
    )
    assert found["q2"] == "near Hull" and found["q1"] == "The Ouse"


def test_every_gold_answer_counts(bell):
    task = bell()
    table = task.predict("validation", outputs_of(task, {("q", "twelve", 0): 5.0, ("q", "twelve", 1): 5.0}))
    assert json.loads(table.label[0]) == ["twelve horses", "horses", "twelve"] and table.prediction[0] == "twelve"
    assert task.metrics({"validation": table}) == {"exact": 1.0, "f1": 1.0}  # the third of them


def test_a_training_label_is_the_first_gold_answer(bell):
    task = bell()
    (label,) = task.windows["train"].rows.labels.tolist()
    offsets = task.windows["train"].offsets(0)
    assert BELL[offsets[label[0], 0] : offsets[label[1], 1]] == "twelve horses"


def test_no_answer_is_allowed_only_where_the_task_says_so(make):
    values = {
        ("q4", "John", 0): -1.0,
        ("q4", "Taylor", 1): -1.0,
    }  # all other tokens of the context have 0, as [CLS] has
    task = make(no_answer=True)
    windows = task.windows["validation"]
    outputs = outputs_of(task, values)
    for window, row in enumerate(windows.question):
        outputs[window][0] = 0.25 if task.tables["validation"].id[row] == "q4" else -0.25
    found = task.predict("validation", outputs).set_index("id").prediction
    assert found["q4"] == "" and found["q5"] != ""
    plain = make()
    assert (
        plain.predict("validation", {k: outputs[k] for k in range(len(plain.windows["validation"].rows))}).prediction
        != ""
    ).all()


def test_the_form_has_every_setting(make):
    form = make(n_best=7, max_answer=11, score="exact").form()
    assert (form.n_best, form.max_answer, form.stride, form.max_length) == (7, 11, 5, 20)
    assert form.padding == "longest" and make(padding="max_length").form().padding == "max_length"
    assert form.span and form.pair and form.outputs == 2 and form.label_words == ["Yes", "No"]
    assert not form.no_answer and make(no_answer=True).form().no_answer and make(score="exact").score == "exact"


@pytest.mark.parametrize(("start", "found"), [(0, (0, 1)), (1, (1, 2)), (2, (2, 3))])
def test_an_answer_is_where_it_is_said_to_be_if_it_is_there(make, tmp_path, start, found):
    """Only an answer that is not at its start is looked for beside it."""
    data = content([("aaa b", [("q", "What?", ["a"])]), *DATA[:1]])
    data["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = start
    file = write(tmp_path / "a.json", data)
    row = make(train=file, eval=file).tables["train"].iloc[0]
    assert (row["first"], row["last"]) == found


def test_another_gold_answer_is_other_data(make, tmp_path):
    """The windows and the first answer stay as they are, but the score does not."""
    (context, (first, *others)), *rest = DATA
    fewer = [(context, [(*first[:2], first[2][:1]), *others]), *rest]
    whole = make().facts()["fingerprint"]
    file = write(tmp_path / "fewer.json", content(fewer))
    changed = make(eval=file).facts()["fingerprint"]
    assert changed["train"] == whole["train"] == whole["validation"] != changed["validation"]
