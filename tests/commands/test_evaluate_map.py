"""`prunebert evaluate RUN task.map=…`: the arg max over the trained classes, mapped; what is kept and refused."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import prunebert
from prunebert.commands import evaluate_head
from prunebert.errors import BadInput
from prunebert.network.heads import Mapped
from prunebert.network.interface import Form
from tests.commands.test_evaluate import TRAINED
from tests.toys import rows

MNLI = Form("mnli", False, False, False, True, 3, 16, labels=["entailment", "neutral", "contradiction"])
HANS = Form("hans", False, False, False, True, 2, 16, labels=["entailment", "non-entailment"])
DEFAULT = "entailment:entailment,neutral:non-entailment,contradiction:non-entailment,not_entailment:non-entailment"


class Fixed(nn.Module):
    """A head whose logits are its input."""

    kind, pretrained, needs, pooled = "linear", False, (), True

    def forward(self, encoded, batch):
        return encoded


def test_the_prediction_is_the_arg_max_of_the_trained_classes_and_not_the_larger_sum():
    """In the second row entailment has the largest probability, .4, and both others together have .6."""
    logits = torch.tensor([[0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.2, 0.3, 0.5], [0.5, 0.5, 0.1]]).log()
    found = Mapped(Fixed(), [0, 1, 1], 2)(logits, None)
    assert found.argmax(1).tolist() == [1, 0, 1, 0]
    assert Mapped(Fixed(), [2, 0, 0], 4)(logits, None).argmax(1).tolist() == [0, 2, 0, 2]
    logits[2, 0] = float("nan")
    assert torch.isfinite(Mapped(Fixed(), [0, 1, 1], 2)(logits, None)).all(1).tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("trained", "form", "value", "given", "expected"),
    [
        (MNLI, HANS, DEFAULT, set(), ["entailment", "non-entailment", "non-entailment"]),
        (
            replace(MNLI, labels=["not_entailment", "entailment"]),
            HANS,
            DEFAULT,
            set(),
            ["non-entailment", "entailment"],
        ),
        (HANS, HANS, DEFAULT, set(), None),  # the same classes need no map
        (HANS, HANS, {"entailment": "non-entailment", "non-entailment": "entailment"}, {"task.map"}, HANS.labels[::-1]),
        (replace(HANS, labels=["bad", "good"]), HANS, DEFAULT, set(), None),  # refused as classes that differ
        (replace(MNLI, labels=[], regression=True), HANS, DEFAULT, set(), None),
        (MNLI, HANS, None, set(), None),
    ],
)
def test_a_tasks_own_map_counts_where_classes_differ_and_a_given_one_always(trained, form, value, given, expected):
    found = evaluate_head.class_map_of(SimpleNamespace(form=trained), form, value, given)
    assert (found and list(found.values())) == expected


@pytest.mark.parametrize("form", [replace(HANS, tokens=True), replace(HANS, labels=[], choices=4)])
def test_a_given_map_needs_classes_of_texts(form):
    with pytest.raises(BadInput, match=r"^task\.map=\[a:b\]: maps classes of texts, and task=hans asks for"):
        evaluate_head.class_map_of(SimpleNamespace(form=MNLI), form, ["a:b"], {"task.map"})


@pytest.fixture
def other(tmp_path):
    table = rows(60, seed=5).assign(three=lambda t: t.label.map({0: "poor", 1: "fine"}).where(t.index % 3 > 0, "so so"))
    table.to_csv(tmp_path / "other.csv", index=False)
    return table


FILE = ["task=file", "task.eval=other.csv", "task.text=sentence", "task.label=three", "impl.threads=1"]


@pytest.mark.parametrize("word", ["task.map=[0:poor,1:fine]", "task.map={1: fine, 0: poor}"])
def test_a_binary_run_on_three_classes_says_which_is_never_predicted(finished, cli, tmp_path, other, word):
    run = finished(*TRAINED)
    before = sorted(run.rglob("*"))
    status, printed = cli("evaluate", str(run), *FILE, word, "--out", "found.json")
    assert status == 0, printed
    predicted = pd.Series(prunebert.load(run).predict(other.sentence.tolist())).map({"0": "poor", "1": "fine"})
    result = json.loads((tmp_path / "found.json").read_text())
    assert result["score"] == np.mean(predicted == other.three) and 0 < result["score"] < 1
    assert result["map"] == {"0": "poor", "1": "fine"}
    assert result["warnings"] == ["never predicted, because no trained class is mapped to it: so so"]
    assert "warning: never predicted" in printed and sorted(run.rglob("*")) == before


def test_keep_leaves_the_result_in_the_run_but_not_that_of_its_own_rows(finished, cli, tmp_path, other):
    run = finished(*TRAINED, "seed=7")
    status, printed = cli("evaluate", str(run), *FILE, "task.map=[0:poor,1:fine]", "--keep", "--out", "found.json")
    assert status == 0, printed
    (file,) = (run / "evaluations").iterdir()
    kept, written = json.loads(file.read_text()), json.loads((tmp_path / "found.json").read_text())
    assert written.items() <= kept.items() and kept.keys() - written.keys() == {"result", "checksum"}
    assert kept["result"] == json.loads((run / "result.json").read_text())["checksum"]
    status, printed = cli("evaluate", str(run), "--keep", "impl.threads=1")
    assert status == 0 and "nothing is kept: these rows are those that the run was scored on" in printed
    assert [*(run / "evaluations").iterdir()] == [file]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task.map=[0:poor]"], "task.map=[0:poor]: 1 is not mapped; the run was trained for 0, 1, and task="),
        (["task.map=[0:poor,1:good]"], "good is no class of task=file; the run was trained for 0, 1"),
        (["task.map=poor"], "poor is no pair trained:class"),
        (["task.labels=[poor,fine,so so]"], "and task.map=[trained:class,…] maps the first to the second"),
    ],
)
def test_a_map_that_does_not_fit_is_one_line(finished, cli, other, words, message):
    status, printed = cli("evaluate", str(finished(*TRAINED)), *FILE, *words)
    lines = [line for line in printed.strip().splitlines() if "once for this data" not in line]
    assert status == 2 and message in printed and len(lines) == 1, printed


@pytest.mark.parametrize("words", [["task.map=[a:b]"], ["-m", "task.map=[a:b]", "seed=0,1"], ["+task.map.a=b"]])
def test_a_run_is_not_trained_with_a_map(cli, toy, tmp_path, words):
    status, printed = cli(*toy, *TRAINED, *words)
    assert status == 2 and printed.count("\n") == 1, printed
    assert "a run is trained and scored on its task's own classes; task.map belongs to prunebert evaluate" in printed
    assert not (tmp_path / "run").exists()
