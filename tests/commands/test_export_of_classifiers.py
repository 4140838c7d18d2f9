"""The export of a run on another task's classifier: stock pipelines answer as the run does."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers

import prunebert
from tests.toys import save_model

NUMBER = ("task.kind=regression", "task.label=number")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Checkpoints of classifiers with four labels, whose tokenizers pad on the left."""
    root, folders = tmp_path_factory.mktemp("classifiers"), {}
    for family in ("bert", "distilbert"):
        folder = save_model(root / family, family)
        marks = {
            "problem_type": "multi_label_classification",
            "id2label": {str(i): f"topic{i}" for i in range(4)},
            "label2id": {f"topic{i}": i for i in range(4)},
            "finetuning_task": "topics",
            "function_to_apply": "none",
            "task_specific_params": {"text-classification": {"function_to_apply": "sigmoid"}},
        }
        for name, changes in {"config.json": marks, "tokenizer_config.json": {"padding_side": "left"}}.items():
            (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | changes))
        folders[family] = folder
    return folders


def exported(run: Path, out: Path, cli) -> Path:
    status, printed = cli("export", str(run), str(out))
    assert status == 0, printed
    return out


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_the_pipeline_answers_by_softmax_in_batches_too(folders, finished, cli, tmp_path, family):
    run = finished(f"model.name={folders[family]}", "method=magnitude", "sparsity=0.5", "task.labels=['0','1']")
    out = exported(run, tmp_path / "out", cli)
    config = json.loads((out / "config.json").read_text())
    assert config["problem_type"] == "single_label_classification"
    left_over = {"finetuning_task", "function_to_apply", "task_specific_params"}
    assert not left_over & config.keys() and "topic0" not in json.dumps(config)
    assert [name for name in config["architectures"] if name.endswith("ForSequenceClassification")]
    texts = ["the good film", "a dull plot and a bright scene it was not bad", "bad"]
    pipeline = transformers.pipeline("text-classification", model=str(out), device="cpu", top_k=None)
    expected = prunebert.load(run).logits(texts).softmax(-1)
    for answers, row in zip(pipeline(texts, batch_size=3), expected, strict=True):
        scores = {answer["label"]: answer["score"] for answer in answers}
        assert torch.allclose(torch.tensor([scores["0"], scores["1"]]), row, atol=1e-5)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    inputs = transformers.AutoTokenizer.from_pretrained(out)(texts, return_tensors="pt", padding=True)
    labels = torch.tensor([1, 0, 0])
    loss = torch.nn.functional.cross_entropy(expected.log(), labels)
    assert torch.isclose(stock(**inputs, labels=labels).loss, loss, atol=1e-5)


def test_a_number_is_a_regression_and_the_pipeline_returns_it(folders, finished, cli, tmp_path):
    run = finished(f"model.name={folders['bert']}", "method=magnitude", "sparsity=0.5", *NUMBER)
    out = exported(run, tmp_path / "out", cli)
    config = transformers.AutoConfig.from_pretrained(out)
    assert (config.problem_type, config.num_labels) == ("regression", 1)
    pipeline = transformers.pipeline("text-classification", model=str(out), device="cpu")
    texts = ["the good film", "bad"]
    assert pd.Series([a["score"] for a in pipeline(texts, function_to_apply="none")]).tolist() == pytest.approx(
        prunebert.load(run).predict(texts), abs=1e-5
    )


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_spans_have_two_outputs_whatever_the_checkpoint_had(folders, finished, questions, cli, tmp_path, family):
    words = ["method=magnitude", "sparsity=0.5", *questions]
    out = exported(finished(f"model.name={folders[family]}", *words), tmp_path / "out", cli)
    config = transformers.AutoConfig.from_pretrained(out)
    assert config.num_labels == 2 and config.problem_type is None
    model, info = transformers.AutoModelForQuestionAnswering.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"] and model.qa_outputs.out_features == 2
