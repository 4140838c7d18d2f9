"""task.padding: to the batch's longest row, or to task.max_length; what depends on it, and what does not."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import prunebert
from prunebert import distill
from prunebert.errors import BadInput
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts
from prunebert.settings import overrides
from prunebert.tasks.squad import squad_task
from prunebert.tasks.text import text_task
from tests.distill.test_losses import FIT, TINYBERT, another, end
from tests.toys import SQUAD, TASK

MAX_LENGTH = 32  # of both toys


@pytest.fixture
def padded(model, data_folder):
    """The toy task of texts, padded to its maximum."""
    files = {"train": str(data_folder / "train.csv"), "eval": str(data_folder / "eval.csv")}
    settings = TASK | files | {"metric": "prunebert.metrics:Accuracy", "padding": "max_length"}
    return text_task(tokenizer=model.tokenizer, positions=64, **settings)


def widths(batches) -> set[int]:
    return {x.shape[1] for batch in batches for x in batch.inputs.values()}


def every_batch(task):
    return [*itertools.islice(task.batches(8, 0), 15), *task.eval_batches("validation", 16)]


def test_every_batch_of_texts_has_the_width_that_is_asked_for(task, padded):
    assert widths(every_batch(padded)) == {MAX_LENGTH}
    for batch in every_batch(task):
        assert widths([batch]) == {int(batch.inputs["attention_mask"].sum(1).max())}
    assert max(widths(every_batch(task))) < MAX_LENGTH  # otherwise this would compare nothing
    assert padded.facts() == task.facts()  # the rows are the same
    for plain, wide in zip(every_batch(task), every_batch(padded), strict=True):
        assert torch.equal(plain.rows, wide.rows)  # and come in the same order
        real = wide.inputs["attention_mask"].bool()
        assert torch.equal(
            wide.inputs["input_ids"][real], plain.inputs["input_ids"][plain.inputs["attention_mask"] > 0]
        )


def test_windows_of_questions_are_padded_too_and_their_loss_stays(model, spans):
    settings = SQUAD | {"train": spans.source, "eval": spans.source, "max_length": 48, "padding": "max_length"}
    wide = squad_task(tokenizer=model.tokenizer, positions=64, **settings)
    plain = squad_task(tokenizer=model.tokenizer, positions=64, **settings | {"padding": "longest"})
    assert widths(every_batch(wide)) == {48} and max(widths(every_batch(plain))) < 48
    net = SubNetwork(model)
    key = net.add_head(plain.form(), "linear")
    with net.evaluation_mode():
        losses = [
            sum(float(task.loss(net(b, key), b)["task"]) for b in itertools.islice(task.batches(4, 0), 3))
            for task in (plain, wide)
        ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_texts_are_tokenised_once_for_both(request, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    for task in ("task", "padded"):
        request.getfixturevalue(task)
        assert len(list(tmp_path.rglob("*.arrow"))) == 2  # training and evaluation


@pytest.mark.parametrize("padding", ["longest", "max_length"])
def test_tinyberts_terms_are_means_over_all_positions(net, task, padded, padding):
    """By the rows' lengths: pads count as queries and hidden states, and a score of a key that is a pad counts 0."""
    source = {"longest": task, "max_length": padded}[padding]
    key, rows = net.add_head(source.form(), "linear"), source.rows["train"]
    batch = rows.batch(np.arange(6), source.padding)
    teach = end(distill.tinybert(net, source, fit=FIT, teacher="pretrained", shared=None, **TINYBERT))
    masks, theta = another(net, key)
    with net.evaluation_mode():
        student, dense = net(batch, key, masks, theta, teach.needs), net(batch, key, needs=teach.needs)
        terms = teach(student, batch, source.loss(student, batch))
    lengths = np.diff(rows.offsets)[:6]
    width = {"longest": lengths.max(), "max_length": MAX_LENGTH}[padding]
    attention = hidden = 0.0
    for layer in (0, 1):
        d = (student.attention[layer] - dense.attention[layer]).double().numpy()  # [batch, heads, queries, keys]
        attention += sum((d[b, :, :, :n] ** 2).sum() for b, n in enumerate(lengths)) / (6 * 4 * width**2)
    for state in (0, 1, 2):
        d = (student.hidden[state] - dense.hidden[state]).double().numpy()
        hidden += (d**2).sum() / (6 * width * 32)
    assert terms["kd_attention"].item() == pytest.approx(attention, rel=1e-5)
    assert terms["kd_hidden"].item() == pytest.approx(hidden, rel=1e-5)
    assert attention > 1e-3 and lengths.min() < lengths.max() < MAX_LENGTH


def test_the_padding_of_a_budget_travels_with_the_run(finished, cli, tmp_path, data_folder, monkeypatch):
    """`evaluate` composes without the run's budget, and `load` without any configuration."""
    run = finished("method=magnitude", "sparsity=0.6", "++padding=max_length")
    facts = artifacts.result(run)
    assert facts["form"]["padding"] == "max_length"
    seen, forward = [], SubNetwork.forward
    monkeypatch.setattr(
        SubNetwork, "forward", lambda net, batch, *a, **k: seen.append(batch) or forward(net, batch, *a, **k)
    )
    texts = pd.read_csv(data_folder / "eval.csv").sentence.tolist()
    logits = prunebert.load(run).logits(texts).numpy()
    assert widths(seen) == {MAX_LENGTH}
    assert np.allclose(logits, np.stack(pd.read_parquet(run / "predictions.parquet").scores), atol=1e-5)
    for words, width in (([], MAX_LENGTH), (["task.padding=longest"], None)):
        seen.clear()
        status, printed = cli("evaluate", str(run), *words, "impl.threads=1", "--out", "found.json")
        assert status == 0, printed
        result = json.loads((tmp_path / "found.json").read_text())
        assert result["score"] == facts["score"]
        assert widths(seen) == {width} if width else max(widths(seen)) < MAX_LENGTH


def test_a_form_of_an_earlier_version_is_padded_to_the_longest(task):
    form = task.form()
    assert (form.padding, form.width(7), replace(form, padding="max_length").width(7)) == ("longest", 7, MAX_LENGTH)


def test_a_wrong_word_and_a_task_that_pads_nothing_are_refused_in_one_line(model):
    for words, line in (
        (["task=rte", "task.padding=max_len"], "task.padding=max_len: allowed are longest, max_length; did you mean"),
        (["method=sparsebert", "task=rte", "padding=none"], "padding=none: allowed are longest, max_length"),
        # blocks of a corpus are all full
        (["task=mlm", "task.padding=max_length"], "task.padding: the chosen task has no such key; task has name, "),
    ):
        with pytest.raises(BadInput) as caught:
            overrides.checked(words)
        assert str(caught.value).startswith(line) and "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=r"^task\.padding=short: allowed are longest, max_length"):
        text_task(tokenizer=model.tokenizer, positions=64, **TASK, metric=None, train="a", eval=None, padding="short")


@pytest.mark.parametrize("task", ["cola", "sst2", "squad", "mlm"])
def test_sparseberts_paper_pads_every_task_to_its_maximum(task):
    fields = overrides.checked(["method=sparsebert", "fit=paper", f"task={task}"])[0]
    if task == "mlm":
        assert "padding" not in fields["task"]  # nothing is padded, and the budget still applies
        return
    assert fields["task"]["padding"] == "max_length"
    assert fields["task"]["max_length"] == (384 if task == "squad" else 128)
    assert overrides.checked(["method=gmp", "fit=paper", f"task={task}"])[0]["task"]["padding"] == "longest"
