"""SQuAD as a task: windows and their labels, predictions, batches. test_spans.py tests its arithmetic."""

import json
from itertools import islice

import numpy as np
import pytest
import torch

from prunebert.network.interface import Outputs
from prunebert.tasks import questions
from tests.tasks.squad.conftest import OUSE, content, write


def test_windows_share_the_stride_and_labels_map_back_to_the_answer(make, tokenizer):
    task = make()
    windows, table = task.windows["train"], task.tables["train"]
    assert len(windows.rows) == task.train_rows > len(table)
    assert (np.diff(windows.question) >= 0).all()
    labelled_texts = {name: [] for name in table.id}
    for window, row in enumerate(windows.question):
        question, offsets = table.iloc[row], windows.offsets(window)
        start, end = windows.rows.labels[window].tolist()
        if (start, end) != (0, 0):
            labelled_texts[question.id].append(question.context[offsets[start, 0] : offsets[end, 1]])
        assert len(offsets) <= 20
    assert all(
        texts and set(texts) == {gold[0]} for texts, gold in zip(labelled_texts.values(), table.golds, strict=True)
    )
    batch = windows.rows.batch(np.array([0, 1]), task.padding)
    ids = tokenizer.convert_ids_to_tokens(batch.inputs["input_ids"][0].tolist())
    assert ids[:9] == ["[CLS]", "which", "city", "does", "it", "pass", "first", "?", "[SEP]"]
    assert batch.inputs["token_type_ids"][0].tolist() == [0] * 9 + [1] * 11
    shared = [set(map(tuple, windows.offsets(w)[windows.offsets(w)[:, 1] > 0])) for w in (0, 1)]
    assert len(shared[0] & shared[1]) == 5


def test_an_answer_across_windows_is_labelled_only_where_it_is_whole(make):
    windows = make(stride=8).windows["train"]
    labels = windows.rows.labels[torch.from_numpy(windows.question == 2)]
    # 7 tokens before the context, which windows enter at 0, 4 and 8; the answer is its tokens 12 to 16
    assert labels.tolist() == [[0, 0], [0, 0], [11, 15]]


def test_question_spaces_and_near_misses_of_answer_start(tmp_path):
    data = content([(OUSE, [("q1", "  Which?", [" Selby ", "York"])])])
    for answer in data["data"][0]["paragraphs"][0]["qas"][0]["answers"]:
        answer["answer_start"] -= 1
    file = write(tmp_path / "f.json", data)
    (row,) = questions.from_files(file, file, 0.5, False)["train"].itertuples()
    assert row.question == "Which?"
    assert OUSE[row.first : row.last] == "Selby"
    assert row.golds == [" Selby ", "York"]


def logits(length: int, start: int, end: int) -> np.ndarray:
    """Return [length, 2], 5 at the start and at the end of a span."""
    values = np.zeros((length, 2), dtype=np.float32)
    values[[start, end], [0, 1]] = 5.0
    return values


@pytest.mark.parametrize("no_answer", [False, True])
@pytest.mark.parametrize("padded", [0, 3])
def test_perfect_logits_score_1(make, no_answer, padded):
    task = make(no_answer=no_answer)
    perfect = {}
    for batch in task.eval_batches("validation", 2):
        for row, (start, end) in zip(batch.rows.tolist(), batch.labels.tolist(), strict=True):
            length = len(task.windows["validation"].offsets(row))
            perfect[row] = np.concatenate([logits(length, start, end), np.full((padded, 2), 99.0)])
    predictions = task.predict("validation", perfect)
    assert list(predictions) == ["split", "id", "label", "prediction", "scores"]
    assert predictions.id.tolist() == ["q1", "q2", "q3", "q4", "q5", "q6"][: len(predictions)]
    assert predictions.prediction.tolist() == [json.loads(g)[0] if g != "[]" else "" for g in predictions.label]
    assert predictions.scores[0] == [10.0, 0.0]
    metrics = task.metrics({"validation": predictions})
    assert set(metrics.values()) == {1.0}
    assert {"exact", "f1"} <= set(metrics)


# --- the task ---------------------------------------------------------------------------------------------------------


def test_loss_is_the_mean_of_start_and_end_without_pads(make):
    task = make()
    batch = task.windows["train"].rows.batch(np.array([0, len(task.windows["train"].rows) - 1]), task.padding)
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    assert lengths[0] != lengths[1]
    out = torch.randn(2, max(lengths), 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    by_hand = [
        -out[i, :length, side].log_softmax(0)[batch.labels[i, side]]
        for i, length in enumerate(lengths)
        for side in (0, 1)
    ]
    loss = task.loss(Outputs(out), batch)
    assert set(loss) == {"task"}
    torch.testing.assert_close(loss["task"], torch.stack(by_hand).mean())
    loss["task"].backward()
    assert out.grad.isfinite().all()


def test_batches_depend_on_the_seed_alone(make):
    def window_rows(seed):
        return [batch.rows.tolist() for batch in islice(make().batches(2, seed), 12)]

    assert window_rows(1) == window_rows(1) != window_rows(2)
    batch = next(make().batches(2, 0))
    assert set(batch.inputs) == {"input_ids", "token_type_ids", "attention_mask"}
    assert batch.labels.shape == (2, 2)


def test_evaluation_sees_every_window_once(make):
    task = make()
    window_rows = [row for batch in task.eval_batches("validation", 3) for row in batch.rows.tolist()]
    assert sorted(window_rows) == list(range(len(task.windows["validation"].rows)))


def test_facts_and_baseline(make):
    task = make()
    assert (task.span, task.regression, task.outputs, task.eval_splits) == (True, False, 2, ("validation",))
    facts = task.facts()
    assert facts["rows"] == {"train": 5, "validation": 5}
    assert facts["windows"]["train"] == task.train_rows
    assert facts["source"].endswith("data.json")
    assert make(data_dir="nowhere").facts() == facts  # files of one's own go first
    assert task.baseline() == {"exact": 0.0, "f1": 0.0}
    baseline_v2 = make(no_answer=True).baseline()
    assert baseline_v2["exact"] == baseline_v2["f1"] == pytest.approx(1 / 6)


def test_held_out_contexts_are_not_trained_on(make):
    first_task, second_task = make(eval=None), make(eval=None)
    train, validation = first_task.tables["train"], first_task.tables["validation"]
    assert not set(train.context) & set(validation.context)
    assert sorted([*train.id, *validation.id]) == ["q1", "q2", "q3", "q4", "q5"]
    assert second_task.tables["validation"].equals(validation)
