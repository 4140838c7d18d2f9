"""Questions with choices as a task: what the network reads, whole questions in batches, loss, metric, predictions."""

import itertools

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.special import logsumexp
from sklearn.metrics import accuracy_score

from prunebert.errors import BadInput
from prunebert.network.interface import Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.text import text_task
from tests.tasks.test_batching import CONF
from tests.toys import TASK, WORDS

SETTINGS = TASK | {"kind": "choices", "text": "question", "label": "answer", "label_words": None}
SETTINGS |= {"choices": [*"abc"], "metric": None, "score": None}


def questions(count, seed=0):
    """Questions with three choices of different lengths."""
    random = np.random.default_rng(seed)
    words = lambda most: " ".join(random.choice(WORDS, random.integers(1, most)))  # noqa: E731
    rows = [{"question": words(6), **{c: words(9) for c in "abc"}, "answer": i % 3} for i in range(count)]
    return pd.DataFrame(rows)


@pytest.fixture
def choosing(model, tmp_path):
    """Return a function that makes the task of 30 training and 14 evaluation rows."""
    questions(30).to_csv(tmp_path / "train.csv", index=False)
    questions(14, seed=1).to_csv(tmp_path / "eval.csv", index=False)
    files = {"train": str(tmp_path / "train.csv"), "eval": str(tmp_path / "eval.csv")}
    return lambda **settings: text_task(tokenizer=model.tokenizer, positions=64, **SETTINGS | files | settings)


def test_a_batch_has_the_pairs_of_whole_questions(choosing, model):
    task, table = choosing(), questions(30)
    batch = next(task.batches(4, seed=0))
    rows = batch.rows.tolist()
    pairs = [(table.question[r], table[c][r]) for r in rows for c in "abc"]
    expected = model.tokenizer([q for q, _ in pairs], [c for _, c in pairs], padding=True, return_tensors="pt")
    assert {k: v.tolist() for k, v in batch.inputs.items()} == {k: v.tolist() for k, v in expected.items()}
    assert batch.labels.tolist() == [r % 3 for r in rows]
    assert task.form().choices == task.outputs == 3 and task.form().pair and not task.form().labels


def test_every_epoch_has_every_question_once_and_pads_little(choosing):
    task, lengths = choosing(), {}
    for row, of_row in enumerate(np.diff(task.rows["train"].offsets).reshape(-1, 3)):
        lengths[row] = max(of_row)
    batches = list(itertools.islice(task.batches(4, seed=5), 8))
    assert sorted(torch.cat([b.rows for b in batches]).tolist()) == list(range(30))
    for batch in batches:  # sorted by the longest choice within a bucket, which holds all 30 rows here
        assert batch.inputs["input_ids"].shape == (3 * len(batch.rows), max(lengths[r] for r in batch.rows.tolist()))
        inside = [lengths[r] for r in batch.rows.tolist()]
        between = [v for r, v in lengths.items() if min(inside) < v < max(inside) and r not in batch.rows.tolist()]
        assert not between
    wide = next(choosing(padding="max_length").batches(4, seed=5)).inputs["input_ids"]
    assert wide.shape == (12, 32)


def test_an_evaluation_batch_has_no_more_texts_than_asked_for(choosing):
    batches = list(choosing().eval_batches("validation", 8))
    assert [len(b.labels) for b in batches] == [2] * 7 and all(len(b.inputs["input_ids"]) == 6 for b in batches)
    lengths = [b.inputs["input_ids"].shape[1] for b in batches]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(b.labels) for b in choosing().eval_batches("validation", 2)] == [1] * 14  # never less than a question


def test_loss_predictions_metrics_and_baseline(choosing):
    task = choosing()
    batch = next(task.eval_batches("validation", 42))
    logits = np.random.default_rng(3).normal(size=(14, 3))
    order, labels = batch.rows.numpy(), np.arange(14) % 3
    out = Outputs(torch.tensor(logits[order]))
    expected = (logsumexp(logits, axis=1) - logits[np.arange(14), labels]).mean()
    assert task.loss(out, batch)["task"].item() == pytest.approx(expected, rel=1e-5)
    rows = task.predict("validation", task.outputs_by_row(out, batch))
    table = questions(14, seed=1)
    assert rows.label.tolist() == labels.tolist() and rows.prediction.tolist() == logits.argmax(1).tolist()
    np.testing.assert_allclose(np.stack(rows.scores), logits, rtol=1e-6)
    assert rows.question.tolist() == table.question.tolist()
    assert rows.choices.tolist() == table[["a", "b", "c"]].to_numpy().tolist()
    assert task.metrics({"validation": rows}) == {"accuracy": accuracy_score(labels, logits.argmax(1))}
    assert task.baseline() == {"accuracy": 5 / 14}  # 0 is as common as 1 and 2 in train, and comes first


def test_one_more_label_moves_the_baseline(choosing, tmp_path):
    table = questions(31)
    table.loc[30, "answer"] = 2  # 11 rows then have the third choice
    table.to_csv(tmp_path / "more.csv", index=False)
    assert choosing(train=str(tmp_path / "more.csv")).baseline() == {"accuracy": 4 / 14}


def test_a_head_scores_each_choice_alone(choosing, model):
    """A question's logits are the scores of its pairs, one at a time and without padding."""
    task, net = choosing(), SubNetwork(model, seed=0).eval()
    key = net.add_head(task.form(), "linear")
    batch = next(task.eval_batches("validation", 42))
    with torch.no_grad():
        logits = net(batch, key).logits
        assert logits.shape == (14, 3)
        table = questions(14, seed=1)
        for i, row in enumerate(batch.rows.tolist()[:4]):
            for j, column in enumerate("abc"):
                inputs = model.tokenizer(table.question[row], table[column][row], return_tensors="pt")
                pooled = net.encoder(**inputs).pooler_output[0]
                head = dict(net.heads[key].named_parameters())
                score = head["classifier.weight"][0] @ pooled + head["classifier.bias"][0]
                assert logits[i, j].item() == pytest.approx(score.item(), abs=1e-6)


def test_held_out_rows_are_the_files_rows(choosing):
    task = choosing(eval=None, holdout=0.2)
    assert {s: len(t) for s, t in task.tables.items()} == {"train": 24, "validation": 6}
    tuned = choosing(tuning_holdout=6)
    assert {s: len(t) for s, t in tuned.tables.items()} == {"train": 24, "validation": 6}
    table = questions(30)
    for split, rows in task.tables.items():
        assert rows.text_a.tolist() == table.question[rows.id].tolist()
        assert task.rows[split].labels.tolist() == table.answer[rows.id].tolist()
    assert sorted([*task.tables["train"].id, *task.tables["validation"].id]) == list(range(30))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"labels": ["x", "y", "z"]}, "task.labels is for classes"),
        ({"label_words": ["yes", "no"]}, "task.label_words is for classes"),
        ({"augment": object()}, "use augment=none"),
        ({"metric": "prunebert.metrics:AccuracyF1"}, "needs 2 classes, and the task has 3"),
        ({"kind": "classification"}, "is read with task.kind=choices only"),
    ],
)
def test_settings_that_do_not_fit_are_refused(choosing, settings, said):
    with pytest.raises(BadInput, match=said):
        choosing(**settings)


def test_label_words_are_refused(choosing, net):
    with pytest.raises(BadInput, match=r"asks for one of 3 texts; use method\.head=linear"):
        net.add_head(choosing().form(), "label_words")


SWAG = {
    "sent1": "the actor was dull",
    "sent2": "it",
    **{f"ending{i}": w for i, w in enumerate(["is", "was not good", "a", "b"])},
}
QA = {"question": "what was it", "choices": {"label": [*"ABCDE"], "text": ["a film", "a plot", "no", "yes", "it"]}}


@pytest.mark.parametrize(
    ("name", "row", "labels", "pair", "gold"),
    [
        ("swag", SWAG, {"label": [1, 0]}, ("the actor was dull", "it was not good"), 1),
        ("commonsense_qa", QA, {"answerKey": ["B", "E"]}, ("what was it", "a plot"), 1),
    ],
)
def test_the_hubs_tasks(model, monkeypatch, name, row, labels, pair, gold):
    """Rows of the hub's shape, with the columns of the published data sets, under the task's own yaml."""
    node = yaml.safe_load((CONF / "task/base/text.yaml").read_text()) | yaml.safe_load(
        (CONF / f"task/{name}.yaml").read_text()
    )
    node = {k: v for k, v in node.items() if k not in ("defaults", "_target_", "_partial_")} | {"padding": "longest"}
    features = datasets.Features(
        {
            "sent1": datasets.Value("string"),
            "sent2": datasets.Value("string"),
            "label": datasets.ClassLabel(names=[*"0123"]),
        }
        | {f"ending{i}": datasets.Value("string") for i in range(4)}
    )
    split = datasets.Dataset.from_list(
        [row | {k: v[i] for k, v in labels.items()} for i in range(2)], features=features if name == "swag" else None
    )
    loaded = datasets.DatasetDict({"train": split, "validation": split})
    monkeypatch.setattr(datasets, "load_dataset", lambda path, config: loaded)
    task = text_task(tokenizer=model.tokenizer, positions=512, **node)
    ids = model.tokenizer(*pair)["input_ids"]
    batch = task.rows["train"].batch(np.array([0]), task.padding)
    assert batch.labels.tolist() == [gold] and len(batch.inputs["input_ids"]) == task.choices
    assert batch.inputs["input_ids"][gold][: len(ids)].tolist() == ids and task.score == "accuracy"
