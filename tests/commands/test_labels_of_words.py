"""A run that labels words, afterwards: it loads, is exported to a stock class, and is evaluated on another file."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers

import prunebert

SENTENCES = [["the", "film", "\u200b", "was"], ["an", "actor"], ["goodbad", "plot", "was", "not", "dull"]]
LABELS = [["O", "B-WORK", "O", "O"], ["O", "B-PER"], ["B-PER", "B-WORK", "O", "O", "O"]]


def columns(sentences, labels):
    return "\n".join(
        "".join(f"{w}\t{t}\n" for w, t in zip(*s, strict=True)) for s in zip(sentences, labels, strict=True)
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> list[str]:
    file = tmp_path_factory.mktemp("words") / "train.conll"
    file.write_text(columns(SENTENCES * 10, LABELS * 10))
    return ["task=file", "task.kind=tokens", f"task.train={file}", f"task.eval={file}", "task.text=0", "task.label=1"]


@pytest.fixture
def run(finished, words) -> Path:
    fit = ["fit.steps=40", "fit.lr=1e-3"]
    return finished("method=magnitude", "sparsity=0.5", "task.max_length=10", "task.label_words=null", *fit, *words)


def test_a_loaded_run_labels_words_as_it_did(run):
    """A zero-width word has no token: O. The task's ten tokens hold four words of the third sentence."""
    recorded = pd.read_parquet(run / "predictions.parquet").iloc[:3]
    loaded = prunebert.load(run)
    assert loaded.predict(SENTENCES) == [json.loads(x) for x in recorded.prediction]
    assert [json.loads(x) for x in recorded.words] == SENTENCES and loaded.predict([["film"] * 12])[0][8:] == ["O"] * 4
    assert loaded.logits(SENTENCES[:2]).shape[2] == 3
    for wrong in (["the film"], [None], [["a", 3]]):
        with pytest.raises(
            prunebert.errors.BadInput, match=r"reads lists of words: predict\(\[\['a', 'sentence'\]\]\)"
        ):
            loaded.predict(wrong)
    row = json.loads((run / "result.json").read_text())
    assert row["metric"] == "f1" and row["score"] == row["metrics"]["f1"] > row["majority_score"] == 0
    assert row["data"]["scheme"] == "iob2" and row["data"]["labels"] == ["B-PER", "B-WORK", "O"]


def test_the_exported_model_is_a_stock_token_classifier(run, cli, tmp_path):
    """The card's code gives the run's logits, and config.json has the labels' names."""
    status, printed = cli("export", str(run), "out")
    assert status == 0, printed
    model = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    assert model.config.id2label == {0: "B-PER", 1: "B-WORK", 2: "O"} and model.config.label2id["O"] == 2
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    options = {"is_split_into_words": True, "truncation": True, "padding": True, "return_tensors": "pt"}
    with torch.no_grad():
        logits = model(**tokenizer(SENTENCES, max_length=10, **options)).logits
    assert torch.allclose(logits, prunebert.load(run).logits(SENTENCES), atol=1e-5)
    card = (tmp_path / "out/README.md").read_text()
    assert "pipeline_tag: token-classification" in card and "is_split_into_words=True" in card


def test_another_files_entities_are_matched_by_name(run, cli, tmp_path):
    """Its labels come from the run. Their order in task.labels is another, and the scores are the same."""
    (tmp_path / "other.conll").write_text(columns(SENTENCES[:2], LABELS[:2]))
    predicted = prunebert.load(run).predict(SENTENCES[:2])
    right = sum(p == g for s, t in zip(predicted, LABELS, strict=False) for p, g in zip(s, t, strict=True))
    overrides = ["task=file", "task.eval=other.csv", "task.text=0", "task.label=1", "impl.threads=1"]
    overrides[1] = "task.eval=other.conll"
    for extra in ([], ["task.labels=[O,B-WORK,B-PER]"]):
        status, printed = cli("evaluate", str(run), *overrides, *extra, "--out", f"found{len(extra)}.json")
        assert status == 0, printed
        found = json.loads((tmp_path / f"found{len(extra)}.json").read_text())
        assert found["metrics"]["accuracy"] == pytest.approx(right / 6) and found["form"]["tokens"]
    status, printed = cli("evaluate", str(run), *overrides, "task.kind=classification")
    assert status == 2 and "is not known" in printed and "task.kind=tokens" in printed
    (tmp_path / "text.csv").write_text("text,label\na film,O\nan actor,B-PER\n")
    texts = ["task=file", "task.kind=classification", "task.eval=text.csv", "task.text=text", "impl.threads=1"]
    status, printed = cli("evaluate", str(run), *texts)
    assert status == 2 and "predicts labels of words, but this task needs labels of texts" in printed


def test_a_classifier_of_texts_is_not_evaluated_on_words(finished, cli, words):
    run = finished("method=magnitude", "sparsity=0.5")
    status, printed = cli("evaluate", str(run), *(w for w in words if "train=" not in w), "impl.threads=1")
    assert status == 2 and "predicts labels of texts, but this task needs labels of words" in printed
