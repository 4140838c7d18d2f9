"""`prunebert barrier`: loss and score between two runs, against stock transformers, scikit-learn and the results."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import prunebert
from prunebert.commands import barrier_figure
from prunebert.commands.barrier_line import WithLoss
from prunebert.drawing.theme import LIGHT
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.runs import artifacts
from tests.drawing.legible import faults, rc
from tests.toys import RESULT, rows, write_result

TRAINED = ("method=magnitude", "sparsity=0.6")
OTHER = ("method=movement", "sparsity=0.6")
CPU = "impl.threads=1"
KIND = {"span": False, "regression": False, "masked_lm": False, "pair": False}
FORM = asdict(Form("toy", **KIND, outputs=2, max_length=32, labels=["a", "b"]))
FACTS = RESULT | {"head": "linear", "form": FORM, "checkpoint": {"name": "m"}, "tokenizer_hash": "t"}
FACTS |= {"data": {"source": "x.csv", "fingerprint": {"train": "t", "validation": "v"}}}


def lines(cli, folder, *words):
    status, printed = cli("barrier", *map(str, words), CPU, "--out", "o")
    assert status == 0, printed
    return json.loads((folder / "o/barrier.json").read_text()), printed


def stock_point(folders, alpha, table):
    """Return loss and accuracy of the mean of two exported models, in stock transformers."""
    first, second = (AutoModelForSequenceClassification.from_pretrained(folder) for folder in folders)
    other = second.state_dict()
    first.load_state_dict({k: (1 - alpha) * v + alpha * other[k] for k, v in first.state_dict().items()})
    inputs = AutoTokenizer.from_pretrained(folders[0])(table.sentence.tolist(), padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = first.eval()(**inputs).logits
    y = torch.tensor(table.label.tolist())
    return float(torch.nn.functional.cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean())


def test_ends_are_the_runs_own_and_the_middle_is_that_of_stock_transformers(finished, cli, tmp_path):
    roots = [finished(*TRAINED), finished(*OTHER)]
    found, printed = lines(cli, tmp_path, *roots, "--points", "3")
    (pair,) = found["pairs"]
    facts = [artifacts.result(root) for root in roots]
    assert [pair["sparse"]["score"][i] for i in (0, -1)] == [row["score"] for row in facts] and not found["warnings"]
    for root, loss in zip(roots, (pair["sparse"]["loss"][0], pair["sparse"]["loss"][-1]), strict=True):
        table = artifacts.predictions(root)
        e = np.exp(np.stack(table.scores).astype(float))
        assert loss == pytest.approx(log_loss(table.label, e / e.sum(1, keepdims=True)), abs=1e-6)
    for i, root in enumerate(roots):
        assert cli("export", str(root), f"out{i}")[0] == 0
    expected = stock_point([tmp_path / "out0", tmp_path / "out1"], 0.5, rows(40, seed=1))
    assert (pair["sparse"]["loss"][1], pair["sparse"]["score"][1]) == pytest.approx(expected, abs=1e-5)
    assert (tmp_path / "o/barrier.png").read_bytes().startswith(b"\x89PNG")
    masks = [artifacts.masks(root).masks for root in roots]
    removed = [~masks[0][n] & ~masks[1][n] for n in masks[0]]
    union = sum(int(m.sum()) for m in removed) / sum(m.numel() for m in removed)
    assert pair["sparsity"]["union"] == pytest.approx(union) and pair["sparsity"]["a"] == pytest.approx(0.6, abs=1e-3)
    assert f"the union of both masks is kept: {union:.4f}" in " ".join(printed.split())
    assert [run["removed_weights"] for run in found["runs"]] == ["run", "run"]
    # the union line's first point: the first run under both masks, with the values that it stores
    first, table = prunebert.load(roots[0]), rows(40, seed=1)
    first.masks.update({name: masks[0][name] | masks[1][name] for name in masks[0]})
    loss = torch.nn.functional.cross_entropy(first.logits(table.sentence.tolist()), torch.tensor(table.label.tolist()))
    assert pair["union"]["loss"][0] == pytest.approx(float(loss), abs=1e-5)
    assert pair["union"]["loss"][0] != pytest.approx(pair["sparse"]["loss"][0], abs=1e-6)


@pytest.mark.parametrize("of_tokens", [False, True])
def test_a_loss_is_the_mean_over_rows_or_tokens_not_over_batches(of_tokens):
    """Two batches with losses 1 and 4, of three rows and one, or of three asked tokens and one."""
    labels = [[[5, IGNORED], [6, 7]], [[IGNORED, 8]]] if of_tokens else [[0, 1, 1], [1]]
    batches = [Batch({}, torch.tensor(y), torch.arange(len(y))) for y in labels]
    done = []
    task = SimpleNamespace(
        **{"name": "toy", "tokens": False, "masked_lm": of_tokens, "score": "accuracy", "eval_splits": ("validation",)},
        loss=lambda out, batch: {"task": torch.tensor(out)},
        outputs_by_row=lambda out, batch: {},
    )
    summed = WithLoss(task, "eval", done.append)
    for loss, batch in zip((1.0, 4.0), batches, strict=True):
        summed.outputs_by_row(loss, batch)
    assert summed.total / summed.weight == (3 * 1 + 4) / 4 and done == [len(y) for y in labels]


@pytest.mark.slow
def test_a_frozen_encoder_has_the_checkpoints_weights_everywhere_on_the_union_line(finished, cli, tmp_path):
    smp = ("method=smp", "sparsity=0.7")
    found, printed = lines(cli, tmp_path, finished(*smp), finished(*smp, "seed=1"), "--points", "3")
    union = found["pairs"][0]["union"]
    assert len({*union["loss"]}) == 1 and union["height"]["loss"] == {
        "over_mean_of_ends": 0,
        "over_line": 0,
        "alpha": 0,
    }
    assert [run["removed_weights"] for run in found["runs"]] == ["checkpoint"] * 2
    assert "removed weights have the checkpoint's values in" in " ".join(printed.split())


@pytest.mark.slow
def test_training_rows_and_every_pair_of_three_runs(finished, cli, tmp_path):
    roots = [finished(*TRAINED), finished(*OTHER), finished(*OTHER, "seed=1")]
    found, printed = lines(cli, tmp_path, *roots, "--points", "3", "--on", "train")
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [(0, 1), (0, 2), (1, 2)] and found["rows"] == 96
    right = np.array(prunebert.load(roots[0]).predict(rows(96).sentence.tolist())) == rows(96).label.astype(str)
    assert found["pairs"][0]["sparse"]["score"][0] == found["pairs"][1]["sparse"]["score"][0] == np.mean(right)
    assert "3 pairs of 3 runs, 3 points each, on 96 training rows:" in printed and "2, 3  own masks" in printed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spans", "masked words"])
def test_ends_are_the_runs_own_on_other_kinds_of_tasks(finished, cli, tmp_path, questions, text, kind):
    words = questions if kind == "spans" else ["task=mlm", *text, "task.block=16"]
    roots = [finished(*TRAINED, *words, f"seed={seed}") for seed in (0, 1)]
    found, _ = lines(cli, tmp_path, *roots, "--points", "3")
    line = found["pairs"][0]["sparse"]
    assert [line["score"][i] for i in (0, -1)] == [artifacts.result(root)["score"] for root in roots]
    assert np.isfinite(line["loss"]).all() and min(line["loss"]) > 0
    if kind == "masked words":  # perplexity is the exponential of the same mean
        assert np.exp(line["loss"][0]) == pytest.approx(artifacts.result(roots[0])["metrics"]["perplexity"], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"weights_hash": "other"}, "no line joins runs with another checkpoint: a has m (w), and b m (other)"),
        ({"tokenizer_hash": "other"}, "with another tokenizer"),
        ({"head": "label_words"}, "with another kind of head: a has linear, and b label_words"),
        ({"form": FORM | {"labels": ["a", "b", "c"]}}, "another form: labels is [a, b] and [a, b, c] (a and b)"),
        (
            {"data": {"source": "y.csv", "fingerprint": {"train": "t", "validation": "w"}}},
            "were scored on other rows: a on x.csv, and b on y.csv",
        ),
    ],
)
def test_runs_that_no_line_joins_are_refused_in_one_line(cli, tmp_path, changes, expected):
    for name, facts in (("a", FACTS), ("b", FACTS | changes)):
        (tmp_path / name).mkdir()
        write_result(tmp_path / name, facts)
    status, printed = cli("barrier", "a", "b")
    assert status == 2 and expected in printed and len(printed.splitlines()) == 1
    assert not (tmp_path / "barrier").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a"], "barrier needs two runs, and here is 1"),
        (["a", "a"], "a is named twice"),
        (["a", "b", "--points", "2"], "--points=2: must be from 3 to 1000"),
        (["a", "b", "task=rte"], "leave task= out"),
        (["a", "gone"], "gone: there is no such directory"),
        (["a", "b", "--out", "mine"], "was not written by this command"),
    ],
)
def test_bad_words_are_refused_in_one_line(cli, tmp_path, words, expected):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_result(tmp_path / name, FACTS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/barrier.json").write_text('{"mine": 1}')
    status, printed = cli("barrier", *words)
    assert status == 2 and expected in printed and len(printed.splitlines()) == 1


@pytest.mark.parametrize("runs", [2, 3])
def test_no_text_of_the_figure_is_cut_or_overlaps(runs):
    line = {"loss": [0.1, 0.5, 0.2], "score": [0.8, 0.8, 0.8]}
    pairs = [{"a": a, "b": b, "sparse": line, "union": line} for a in range(runs) for b in range(a + 1, runs)]
    found = {"pairs": pairs, "alphas": [0, 0.5, 1], "labels": [f"{i}" + "W" * 90 for i in range(runs)], "rows": 5}
    found |= {"runs": [{"method": "smp"}] * runs, "metric": "accuracy_" + "x" * 60, "on": "eval"}
    with rc(LIGHT):
        figure = barrier_figure.draw(found)
        assert faults(figure) == [] and len(figure.axes) == 2 * len(pairs)
