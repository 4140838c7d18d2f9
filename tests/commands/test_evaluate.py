"""`prunebert evaluate`: a finished sub-network on other data, against its own record and stock transformers."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

import prunebert
from prunebert.commands import evaluate, evaluate_head
from prunebert.errors import BadInput
from prunebert.network.heads import reordered
from prunebert.network.interface import Form
from prunebert.runs import artifacts
from tests.toys import rows

SMP = ("method=smp", "sparsity=0.7")
TRAINED = ("method=magnitude", "sparsity=0.6")


@pytest.fixture
def other(tmp_path):
    """A file of 60 other rows. `label` is as in the run's file, `word` has other names, `three` has three classes."""
    table = rows(60, seed=5).assign(word=lambda t: t.label.map({0: "neg", 1: "pos"}), three=lambda t: t.index % 3)
    table.to_csv(tmp_path / "other.csv", index=False)
    return table


def content(root):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("words", [SMP, TRAINED, ("method=abp", "sparsity=0.5")])
def test_without_overrides_it_repeats_the_scores_and_writes_nothing_into_the_run(finished, cli, tmp_path, words):
    run = finished(*words)
    before, facts = content(run), artifacts.result(run)
    status, printed = cli("evaluate", str(run), "impl.threads=1", "--out", "found.json")
    assert status == 0, printed
    result = json.loads((tmp_path / "found.json").read_text())
    assert {k: result[k] for k in ("metric", "score", "metrics", "majority", "data", "form")} == {
        k: facts[k] for k in ("metric", "score", "metrics", "majority", "data", "form")
    }
    assert f"accuracy {facts['score']:.4f} (constant baseline " in printed and content(run) == before
    assert [p.name for p in tmp_path.iterdir()] == ["found.json"]


@pytest.mark.parametrize("words", [SMP, TRAINED])
def test_another_file_scores_what_the_loaded_run_predicts(finished, cli, tmp_path, other, words):
    run = finished(*words)
    accuracy = np.mean(np.array(prunebert.load(run).predict(other.sentence.tolist())) == other.label.astype(str))
    for overrides in (
        ["task.eval=other.csv"],
        ["task=file", "task.eval=other.csv", "task.text=sentence"],
        ["task=file", "task.eval=other.csv", "task.text=sentence", "task.labels=[1,0]"],  # in another order
    ):
        status, printed = cli("evaluate", str(run), *overrides, "impl.threads=1", "--out", "found.json")
        assert status == 0, printed
        result = json.loads((tmp_path / "found.json").read_text())
        if words == SMP and "task.labels=[1,0]" in overrides:
            accuracy = 1 - accuracy  # label words are assigned to the labels in the order given
        assert result["score"] == pytest.approx(accuracy) and result["data"]["source"].endswith("csv")
        assert result["words"] == [*overrides, "impl.threads=1"] and result["run"] == str(run)
        trained, train = artifacts.result(run)["score"], other if "task=file" in overrides else rows(96)  # the run's
        constant = (other.label == train.label.mode()[0]).mean()
        assert f"(accuracy {trained:.4f} after training)" in " ".join(printed.split())
        assert f"accuracy {result['score']:.4f} (constant baseline {constant:.4f})" in printed


def test_classes_are_matched_by_name(finished, cli, tmp_path, other):
    run = finished(*TRAINED, "task.labels=[bad,good]")
    accuracy = json.loads((run / "result.json").read_text())["score"]
    assert accuracy == artifacts.result(finished(*TRAINED))["score"]  # names change no score
    overrides = ["task=file", "task.eval=other.csv", "task.text=sentence", "task.label=word"]
    status, printed = cli("evaluate", str(run), *overrides)
    assert status == 2 and "is labelled 'pos'" in printed and "labels are bad, good" in printed
    status, printed = cli("evaluate", str(run), *overrides, "task.labels=[neg,pos]")
    assert status == 2 and "was trained for the classes bad, good, but this task has the classes neg, pos" in printed


@pytest.fixture
def spelt(tmp_path, data_folder):
    """Write the toy files with the classes 1.0 and 2.0 in training, and with others for evaluation."""
    train = rows(96)
    train.assign(label=train.label.map({0: "1.0", 1: "2.0"})).to_csv(tmp_path / "spelt.csv", index=False)
    train.assign(label=train.label.map({0: "bad", 1: "good"})).to_csv(tmp_path / "named.csv", index=False)
    table = rows(40, seed=1)
    for name, offset in (("from_0", 0), ("from_1", 1)):
        table.assign(label=table.label + offset).to_csv(tmp_path / f"{name}.csv", index=False)
    table[table.label == 0].assign(label="1e0").to_csv(tmp_path / "one.csv", index=False)
    return tmp_path


def test_a_number_is_the_same_class_however_the_run_and_the_file_write_it(cli, toy, spelt):
    words = [w for w in toy if not w.startswith(("task.train", "task.eval", "task.label_words"))]
    words = [*words, *TRAINED, "fit.steps=20", "task.train=spelt.csv", "task.eval=from_1.csv"]
    status, printed = cli(*words)
    assert status == 0, printed
    score = artifacts.result(spelt / "run")["score"]
    predicted = prunebert.load(spelt / "run").predict(rows(40, seed=1).sentence.tolist())
    assert score == np.mean([float(p) == y + 1 for p, y in zip(predicted, rows(40, seed=1).label, strict=True)])
    for overrides, expected in (
        (["task.eval=from_1.csv"], score),
        (["task=file", "task.eval=from_1.csv", "task.text=sentence"], score),
        (["task=file", "task.eval=from_1.csv", "task.text=sentence", "task.labels=[2,1]"], score),
        (["task.eval={a: from_1.csv, b: one.csv}"], score),
    ):
        status, printed = cli("evaluate", "run", *overrides, "impl.threads=1", "--out", "found.json")
        assert status == 0, printed
        assert json.loads((spelt / "found.json").read_text())["score"] == expected
    status, printed = cli("evaluate", "run", "task.eval=from_0.csv", "impl.threads=1")
    assert status == 2 and "is labelled '0'; labels are 1.0, 2.0" in printed


def test_indices_are_matched_with_names_only_if_the_run_was_given_their_order(cli, toy, spelt):
    words = [w for w in toy if not w.startswith(("task.train", "task.eval", "task.label_words"))]
    words = [*words, *TRAINED, "task.train=named.csv", "task.eval=named.csv"]
    file = ["task=file", "task.eval=from_0.csv", "task.text=sentence", "impl.threads=1"]
    status, printed = cli(*words)
    assert status == 0, printed
    status, printed = cli("evaluate", "run", *file)
    assert status == 2 and "the names were not given in an order" in printed
    status, printed = cli(*words, "task.labels=[bad,good]", "hydra.run.dir=given")
    assert status == 0, printed
    status, printed = cli("evaluate", "given", *file)
    assert status == 0 and "accuracy" in printed, printed


def test_a_frozen_head_of_words_goes_to_a_task_of_other_words(finished, cli, tmp_path, other):
    """Three classes become three words. The score is that of the stock masked-LM model with the weights θ ⊙ M."""
    run = finished(*SMP)
    overrides = ["task=file", "task.eval=other.csv", "task.text=[sentence,second]", "task.label=three"]
    overrides += ["task.labels=[0,1,2]", "task.label_words=[yes,maybe,no]"]
    status, printed = cli("evaluate", str(run), *overrides, "impl.threads=1", "--out", "found.json")
    assert status == 0, printed
    folder = artifacts.result(run)["checkpoint"]["name"]
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for name, mask in artifacts.masks(run).masks.items():
        model.get_parameter(name).data *= mask
    inputs = tokenizer(other.sentence.tolist(), other.second.tolist(), padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[:, 0, tokenizer.convert_tokens_to_ids(["yes", "maybe", "no"])]
    expected = float((logits.argmax(-1).numpy() == other.three).mean())
    assert json.loads((tmp_path / "found.json").read_text())["score"] == pytest.approx(expected)


def test_numbers_and_deltas(finished, cli, tmp_path, other):
    run = finished(*TRAINED, "task.kind=regression", "task.label=number")
    assert cli("export", str(run), "delta", "--sparse")[0] == 0
    overrides = ["task=file", "task.eval=other.csv", "task.text=sentence", "task.label=number", "impl.threads=1"]
    status, printed = cli("evaluate", "delta", *overrides, "--out", "found.json")
    assert status == 0, printed
    predictions = prunebert.load(run).predict(other.sentence.tolist())
    expected = pd.Series(predictions).corr(other.number)
    assert json.loads((tmp_path / "found.json").read_text())["metrics"]["pearson"] == pytest.approx(expected, abs=1e-4)
    status, printed = cli("evaluate", "delta", *overrides[:3], "task.kind=classification")
    assert status == 2 and "was trained for numbers, but this task has the classes 0, 1" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sparsity=0.5"], "sparsity=0.5: evaluate accepts only keys of task, corpus, impl"),
        (["task.evil=x"], "did you mean task.eval?"),
        (["task=smt2"], "did you mean sst2?"),
        (["task.eval=nowhere.csv"], "there is no such file"),
        (["impl.threads=0"], "impl.threads=0: must be a whole number, at least 1"),
        (["task.score=f2"], "task.score=f2: file's metrics are accuracy"),
        (["--out", "nowhere/x.json"], "the folder nowhere does not exist"),
        (["--out", "."], "--out=.: this is a folder"),
        (["task=file", "task.eval=other.csv", "task.text=sentence", "task.label=three"], "labels are 0, 1"),
        (["--outt=x"], "unrecognized arguments: --outt=x; usage: prunebert evaluate"),
    ],
)
def test_bad_input_is_one_line_and_status_2(finished, cli, tmp_path, other, words, message):
    status, printed = cli("evaluate", str(finished(*TRAINED)), *words)
    lines = [line for line in printed.strip().splitlines() if "once for this data" not in line]
    assert status == 2 and message in printed and len(lines) == 1, printed
    assert [p.name for p in tmp_path.iterdir()] == ["other.csv"]


def test_a_task_of_another_form_and_a_missing_run_are_refused(finished, cli, questions, text):
    status, printed = cli("evaluate", str(finished(*SMP)), *questions)
    assert status == 2 and "smp of file predicts labels of texts, but this task needs spans of text" in printed
    status, printed = cli("evaluate", str(finished(*SMP)), "task=mlm", "task.block=16", *text)
    assert status == 2 and "this task needs words" in printed
    assert cli("evaluate", "nowhere") == (2, "prunebert: nowhere: there is no such directory\n")


@pytest.mark.parametrize("kind", ["linear", "label_words", "layer_mix"])
def test_a_reordered_head_gives_the_same_logits_in_that_order(net, task, kind):
    batch = next(task.eval_batches("validation", 8))
    key = net.eval().add_head(task.form(), kind)
    net.heads["other"] = reordered(net.heads[key], [1, 0])
    with torch.no_grad():
        assert torch.equal(net(batch, "other").logits, net(batch, key).logits[:, [1, 0]])


THREE = Form("three", False, False, False, False, 3, 16, labels=["a", "b", "c"], label_words=["good", "bad", "film"])


@pytest.mark.parametrize("kind", ["linear", "label_words"])
def test_a_trained_head_of_three_classes_serves_every_order_of_them(net, task, kind):
    """Three classes, because an order of two is its own inverse. Their words do not count: the head was trained."""
    key = net.eval().add_head(THREE, kind)
    run = SimpleNamespace(net=net, head=key, form=THREE, frozen_head=False, facts={"method": "m"})
    assert evaluate_head.head_for(run, replace(THREE, label_words=["film", "good", "bad"])) == key
    batch = next(task.eval_batches("validation", 8))
    with torch.no_grad():
        logits = net(batch, key).logits
        moved = net(batch, evaluate_head.head_for(run, replace(THREE, labels=["b", "c", "a"]))).logits
    assert torch.equal(moved, logits[:, [1, 2, 0]])
    for form in (replace(THREE, labels=["a", "b", "d"]), replace(THREE, labels=[], outputs=1, regression=True)):
        with pytest.raises(BadInput, match=r"^task=three: m of three was trained for the classes a, b, c, but this"):
            evaluate_head.head_for(run, form)


def test_a_head_that_was_never_trained_is_made_of_the_tasks_own_words(net, task):
    key = net.eval().add_head(THREE, "label_words")
    run = SimpleNamespace(net=net, head=key, form=THREE, frozen_head=True, facts={"method": "m"})
    other = replace(THREE, labels=["x", "y", "z"], label_words=["film", "good", "bad"])
    batch = next(task.eval_batches("validation", 8))
    with torch.no_grad():
        found = net(batch, evaluate_head.head_for(run, other)).logits
        assert torch.equal(found, net(batch, key).logits[:, [2, 0, 1]])
    masked = SimpleNamespace(**vars(run) | {"form": replace(THREE, masked_lm=True)})
    with pytest.raises(BadInput, match="m of three predicts words, but this task needs labels of texts"):
        evaluate_head.head_for(masked, other)


TEXTS, OWN = "prunebert.tasks.text.text_task", {"seed_name": "file", "labels": None, "label_words": None}
FROM_RUN = {"labels": THREE.labels, "label_words": THREE.label_words}
RUN = replace(THREE, max_length=24, padding="max_length")


@pytest.mark.parametrize(
    ("node", "form", "given", "added"),
    [
        ({"max_length": 9, "padding": "longest"}, RUN, set(), {"max_length": 24, "padding": "max_length"}),
        ({"max_length": 9, "padding": "longest"}, RUN, {"task.max_length", "task.padding"}, {}),
        ({"max_length": 9, "stride": 2}, RUN, set(), {}),  # of questions: another kind of length
        ({"max_length": 9, "stride": 2}, replace(RUN, span=True), set(), {"max_length": 24}),
        ({"padding": "longest", "_target_": "mine.task"}, RUN, set(), {}),
        ({"eval": "e.csv", "train": None}, RUN, set(), {"train": "e.csv"}),
        ({"eval": {"x": "a.csv", "y": "b.csv"}, "train": None}, RUN, set(), {"train": "a.csv"}),
        ({"eval": "e.csv", "train": "t.csv"}, RUN, set(), {}),
        (OWN, RUN, set(), FROM_RUN),
        (OWN | {"labels": ["c", "a", "b"]}, RUN, set(), {"label_words": THREE.label_words}),
        (OWN, replace(RUN, labels=[], label_words=None, regression=True), set(), {"kind": "regression"}),
        (OWN, replace(RUN, labels=[], label_words=None, regression=True), {"task.kind"}, {}),
        (OWN, replace(RUN, multilabel=True), set(), FROM_RUN | {"kind": "multilabel"}),
        *((OWN | {"kind": kind}, RUN, {"task.kind"}, {}) for kind in ("multilabel", "choices", "regression", "tokens")),
        (OWN | {"kind": "classification"}, RUN, {"task.kind"}, FROM_RUN),
        (OWN | {"seed_name": "hub", "train": "train", "eval": "test"}, RUN, set(), FROM_RUN),
        (OWN | {"seed_name": None}, RUN, set(), {}),  # a task of prunebert's knows its classes
    ],
)
def test_a_file_is_completed_from_the_run_and_what_is_given_stays(node, form, given, added):
    node = {"_target_": TEXTS, **node}
    assert evaluate._complete(node, form, given) == node | added


@pytest.mark.parametrize(
    ("overrides", "composed"),
    [
        ([], ["hydra.searchpath=[pkg://lab.conf]", "experiment=lab", "task=mine", "task.label=y", "corpus.file=c"]),
        (
            ["task.label=z"],
            ["hydra.searchpath=[pkg://lab.conf]", "experiment=lab", "task=mine", "corpus.file=c", "task.label=z"],
        ),
        (["task=rte"], ["hydra.searchpath=[pkg://lab.conf]", "task=rte"]),
        (["hydra.searchpath=[pkg://other]", "task=rte"], ["hydra.searchpath=[pkg://other]", "task=rte"]),
    ],
)
def test_the_search_path_of_the_run_stays(overrides, composed):
    command = "prunebert 'hydra.searchpath=[pkg://lab.conf]' experiment=lab method=smp "
    command += "task=mine task.label=y corpus.file=c fit=x"
    assert evaluate._task_overrides(command, overrides) == composed


def test_a_recorded_command_that_is_none_is_refused():
    with pytest.raises(BadInput, match="command cannot be split into words"):
        evaluate._task_overrides("prunebert 'task=rte", [])


@pytest.mark.parametrize("content", ["", 'sentence,label\n"a film,1\n', "\x00\x01"])
def test_a_damaged_file_of_evaluation_has_its_own_key(finished, cli, tmp_path, content):
    (tmp_path / "bad.csv").write_text(content)
    status, printed = cli("evaluate", str(finished(*TRAINED)), "task=file", "task.eval=bad.csv", "task.text=sentence")
    assert status == 2 and "task.eval=bad.csv" in printed and "task.train" not in printed, printed
