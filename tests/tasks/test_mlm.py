"""Masked language modelling: targets, masking, loss and metrics, by hand and against stock models."""

import json

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from prunebert.errors import BadInput
from prunebert.network.interface import IGNORED, Form
from prunebert.tasks.corpus import corpus
from prunebert.tasks.mlm import mlm_task

NO = {"hub": None, "package": None, "text": "text"}


@pytest.fixture
def texts(tmp_path):
    random = np.random.default_rng(0)
    words = ["good", "bad", "film", "plot", "scene", "actor"]
    (tmp_path / "a.txt").write_text("\n".join(" ".join(random.choice(words, 20)) for _ in range(50)) + "\n\n")
    return corpus(name="own", file=str(tmp_path / "a.txt"), holdout=0.2, **NO)


@pytest.fixture
def task(model, texts):
    return mlm_task(tokenizer=model.tokenizer, positions=64, name="mlm", corpus=lambda: texts, block=16, rate=0.15)


def test_blocks_are_the_corpus_in_order_without_a_gap(model, texts, task):
    tokens = [i for t in texts["train"] for i in model.tokenizer.encode(t, add_special_tokens=False)]
    rows = task.rows["train"]
    ids = rows.columns["input_ids"].reshape(len(rows), 16)
    assert (ids[:, 0] == model.tokenizer.cls_token_id).all() and (ids[:, -1] == model.tokenizer.sep_token_id).all()
    assert ids[:, 1:-1].flatten().tolist() == tokens[: len(rows) * 14] and len(tokens) - len(rows) * 14 < 14
    assert len(texts["train"]) == 40 and len(texts["validation"]) == 10
    kinds = {"span": False, "regression": False, "masked_lm": True, "pair": False}
    assert task.form() == Form(name="mlm", **kinds, outputs=0, max_length=16)
    assert task.facts()["rows"] == {"train": len(rows), "validation": 200 // 14} and task.train_rows == len(rows)


def test_fifteen_percent_are_targets_and_the_rest_is_unchanged(model, task):
    masked_count, target_count, unchanged_count, token_count = 0, 0, 0, 0
    batches = task.batches(8, seed=1)
    for _ in range(60):
        batch = next(batches)
        ids, labels = batch.inputs["input_ids"], batch.labels
        is_target = labels != IGNORED
        assert not torch.isin(labels[is_target], task.special).any()
        original = task.rows["train"].columns["input_ids"].reshape(-1, 16)[batch.rows.numpy()]
        assert (labels[is_target] == torch.from_numpy(original)[is_target]).all()
        assert (ids[~is_target] == torch.from_numpy(original)[~is_target]).all()
        target_count += int(is_target.sum())
        masked_count += int((ids[is_target] == task.mask_token).sum())
        unchanged_count += int((ids[is_target] == labels[is_target]).sum())
        token_count += is_target[:, 1:-1].numel()
    assert target_count / token_count == pytest.approx(0.15, abs=0.02)
    assert masked_count / target_count == pytest.approx(0.8, abs=0.04)
    assert unchanged_count / target_count == pytest.approx(
        0.1, abs=0.04
    )  # a random token is the original once in 81 times


def test_evaluation_has_the_same_targets_every_time(task):
    first_labels, second_labels = (torch.cat([b.labels for b in task.eval_batches("validation", 8)]) for _ in range(2))
    assert torch.equal(first_labels, second_labels)


def test_loss_and_scores_equal_the_stock_masked_lm(net, model_folder, task):
    key = net.add_head(task.form(), "label_words")
    net.eval()
    batch = next(task.eval_batches("validation", 4))
    stock = transformers.AutoModelForMaskedLM.from_pretrained(model_folder).eval()
    expected = stock(**batch.inputs, labels=batch.labels)
    out = net(batch, key)
    assert task.loss(out, batch)["mlm"].item() == pytest.approx(expected.loss.item(), rel=1e-5)
    with net.evaluation_mode():
        batches = list(task.eval_batches("validation", 4))
        outputs = {row: x for b in batches for row, x in task.outputs_by_row(net(b, key), b).items()}
    table = task.predict("validation", outputs)
    metrics = task.metrics({"validation": table})
    losses, correct = [], []
    for b in task.eval_batches("validation", 4):
        logits = stock(**b.inputs).logits
        is_target = b.labels != IGNORED
        losses.append(
            torch.nn.functional.cross_entropy(logits[is_target], b.labels[is_target], reduction="none").detach()
        )
        correct.append(logits[is_target].argmax(-1) == b.labels[is_target])
    assert metrics["perplexity"] == pytest.approx(torch.cat(losses).mean().exp().item(), rel=1e-4)
    assert metrics["accuracy"] == pytest.approx(torch.cat(correct).float().mean().item())


def test_metrics_and_baseline_by_hand(task):
    rows = pd.DataFrame(
        {"label": [json.dumps([5, 6]), json.dumps([7])], "prediction": [json.dumps([5, 9]), json.dumps([7])]}
        | {"scores": [np.log([0.5, 0.25]), np.log([0.125])]}
    )
    assert task.metrics({"validation": rows}) == pytest.approx({"accuracy": 2 / 3, "perplexity": 64 ** (1 / 3)})
    baseline = task.baseline()
    assert (
        1 / 6 - 0.06 < baseline["accuracy"] < 1 / 6 + 0.06 and 5 < baseline["perplexity"] < 8
    )  # six words, drawn at random


def test_unusable_settings_and_corpora_are_refused(model, texts, tmp_path):
    settings = {"tokenizer": model.tokenizer, "positions": 64, "name": "mlm", "corpus": lambda: texts}
    settings |= {"block": 16, "rate": 0.15}
    few = {"train": ["good film"] * 9, "validation": ["good film"]}
    for changed, line in (
        ({"block": 65}, "task.block=65: the model reads at most 64 tokens"),
        ({"block": 7, "key": "method.corpus"}, "method.corpus.block=7: .* at least 8 are needed"),
        ({"rate": 0.0}, "task.rate=0.0: must be above 0 and below 1"),
        ({"rate": 1.0, "key": "method.corpus"}, "method.corpus.rate=1.0: must be above 0 and below 1"),
        ({"corpus": lambda: few}, "task.block=16: the corpus has only 2 tokens in a split"),
    ):
        with pytest.raises(BadInput, match=f"^{line}"):
            mlm_task(**settings | changed)
    long = {"train": ["good film"] * 40, "validation": ["good film"] * 40}
    assert mlm_task(**settings | {"block": 64, "corpus": lambda: long}).train_rows > 0  # as long as the model reads
    model.tokenizer.mask_token = None
    with pytest.raises(BadInput, match=r"^task=mlm: .* has no mask token"):
        mlm_task(**settings)
    with pytest.raises(BadInput, match="no such text file"):
        corpus(name="own", file=str(tmp_path / "nowhere"), holdout=0.1, **NO)
    (tmp_path / "latin1.txt").write_bytes("un café\n".encode("latin1"))
    with pytest.raises(BadInput, match=r"corpus\.file=.*latin1\.txt cannot be read: 'utf-8' codec"):
        corpus(name="own", file=str(tmp_path / "latin1.txt"), holdout=0.1, **NO)
    with pytest.raises(BadInput, match=r"corpus\.file=FILE"):
        corpus(name="own", file=None, holdout=0.1, **NO)


def test_a_missing_column_or_split_of_a_hub_corpus_is_refused(monkeypatch):
    loaded = datasets.DatasetDict(train=datasets.Dataset.from_dict({"text": ["a", "b"]}))
    monkeypatch.setattr("prunebert.system.hub.prepare", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda path, config: loaded)
    hub_entry = {"path": "a/b", "config": "c", "train": "train", "validation": "train"}
    settings = {"name": "b", "file": None, "package": None, "holdout": 0.1}
    assert corpus(hub=hub_entry, text="text", **settings) == {"train": ["a", "b"], "validation": ["a", "b"]}
    with pytest.raises(BadInput, match=r"corpus\.text=texts: allowed are text; did you mean text\?"):
        corpus(hub=hub_entry, text="texts", **settings)
    with pytest.raises(BadInput, match=r"a/b has no split test; it has train"):
        corpus(hub=hub_entry | {"validation": "test"}, text="text", **settings)
