"""A finished run on texts with several labels: evaluated, loaded, exported, and read by the report."""

import json

import pandas as pd
import pytest
import torch
import transformers

import prunebert
from prunebert.commands.info_facts import constant
from prunebert.report.page.answers import Store
from prunebert.report.statistics.examples import example_scores, unit
from prunebert.runs import artifacts
from tests.toys import rows

NAMES = ["good", "plot"]
TEXTS = ["the good film", "a dull plot and a bright scene it was not bad", "bad"]


def table(count, seed):
    found = rows(count, seed)
    plot = found.sentence.str.split().map(lambda words: "plot" in words)
    return found[["sentence"]].assign(
        y=[[n for n, y in zip(NAMES, x, strict=True) if y] for x in zip(found.label, plot, strict=True)]
    )


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    for name, seed in (("train", 0), ("eval", 1)):
        table(64, seed).to_json(folder / f"{name}.jsonl", orient="records", lines=True)
    files = [f"task.train={folder / 'train.jsonl'}", f"task.eval={folder / 'eval.jsonl'}"]
    words = ["task=file", "task.kind=multilabel", "task.text=sentence", "task.label=y", "task.max_length=32"]
    return finished("method=magnitude", "sparsity=0.5", "fit.steps=6", "fit.head_lr=0.1", *words, *files)


def right(run, table):
    return [
        {*found} == {*gold}
        for found, gold in zip(prunebert.load(run).predict(table.sentence.tolist()), table.y, strict=True)
    ]


def test_the_loaded_run_predicts_lists_of_names_and_evaluate_scores_them(run, cli, tmp_path):
    other = table(40, 7)
    other.assign(y=other.y.map("+".join)).to_csv(tmp_path / "other.csv", index=False)
    file = ["task=file", "task.eval=other.csv", "task.text=sentence", "task.label=y", "task.separator=+"]
    status, printed = cli("evaluate", str(run), *file, "impl.threads=1", "--out", "found.json")
    assert status == 0, printed
    result = json.loads((tmp_path / "found.json").read_text())
    assert result["metrics"]["subset_accuracy"] == pytest.approx(sum(right(run, other)) / 40)
    assert result["form"]["labels"] == NAMES and result["metric"] == "micro_f1"
    rows(8).to_csv(tmp_path / "classes.csv", index=False)
    file = ["task=file", "task.eval=classes.csv", "task.text=sentence", "task.kind=classification"]
    status, printed = cli("evaluate", str(run), *file, "task.labels=['0','1']")
    assert status == 2 and "predicts several labels of each text, but this task needs labels of texts" in printed


def test_the_export_is_a_stock_model_of_several_labels(run, cli, tmp_path):
    status, printed = cli("export", str(run), str(tmp_path / "out"))
    assert status == 0, printed
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert model.config.problem_type == "multi_label_classification"
    assert model.config.id2label == dict(enumerate(NAMES))
    inputs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        probabilities = model(**inputs).logits.sigmoid()
    expected = [[name for name, p in zip(NAMES, row, strict=True) if p > 0.5] for row in probabilities.tolist()]
    assert prunebert.load(run).predict(TEXTS) == expected and any(expected)
    assert "a sigmoid above 0.5" in (tmp_path / "out/README.md").read_text()


def test_a_row_is_right_for_the_report_if_its_sets_of_labels_are_equal(run, tmp_path):
    facts, evaluated = artifacts.result(run), table(64, 1)
    expected = right(run, evaluated)
    for metric in ("micro_f1", "subset_accuracy"):
        scores = example_scores(run, metric)
        assert scores[[("validation", str(i)) for i in range(64)]].tolist() == expected
    assert facts["metrics"]["subset_accuracy"] == pytest.approx(sum(expected) / 64) and 0 < sum(expected) < 64
    assert unit("macro_f1", "topics") == "all labels right or not"
    assert constant(facts) == "always the labels that most training rows have"
    store = Store("micro_f1", NAMES, 10**6)
    store.add(run, facts)
    content = store.content(pd.DataFrame({"directory": [run]}))
    assert content["kind"] == "text" and content["label"] == [", ".join(y) or "(no label)" for y in evaluated.y]
