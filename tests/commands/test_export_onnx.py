"""`prunebert export --onnx`: ONNX Runtime makes the run's predictions, and what it would not make is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import prunebert
from prunebert.commands import export_onnx
from prunebert.runs import artifacts
from tests.network import small
from tests.toys import save_model

installed = pytest.mark.skipif(bool(export_onnx.missing(export_onnx.PACKAGES)), reason='pip install "prunebert[onnx]"')
FAMILIES = [*small.OWN, "roberta", "distilbert", "electra"]


def outputs_of(file, inputs):
    session = export_onnx.session(file, 1)
    return torch.from_numpy(session.run(["logits"], {name: x.numpy() for name, x in inputs.items()})[0])


def exported(cli, run, tmp_path):
    status, printed = cli("export", str(run), "out", "--onnx")
    assert status == 0, printed
    return tmp_path / "out/model.onnx", " ".join(printed.split())


@installed
@pytest.mark.slow
def test_the_graph_is_checked_and_computes_any_batch_and_length(finished, cli, tmp_path):
    run = finished("method=smp", "sparsity=0.9")
    file, printed = exported(cli, run, tmp_path)
    loaded = prunebert.load(run)
    for texts in (["the film"], ["a dull plot and a bright scene " * 6, "bad", "it was good"]):
        inputs = loaded.tokenizer(texts, padding=True, return_tensors="pt", truncation=True, max_length=32)
        assert torch.allclose(outputs_of(file, inputs), loaded.logits(texts), atol=1e-5)
    facts = json.loads((tmp_path / "out/prunebert.json").read_text())["onnx"]
    count = len(pd.read_parquet(run / "predictions.parquet"))
    for reference in ("network", "predictions"):
        found = facts[reference]
        assert (found["rows"], found["labels"], found["same_labels"]) == (count, count, count)
        assert 0 < found["largest_difference"] < 1e-5 < facts["tolerance"]
    line = f"model.onnx in ONNX Runtime against the run's stored predictions, {count} rows"
    assert line in printed and f"{count} of {count} labels are the same" in printed
    assert line in (tmp_path / "out/README.md").read_text()


@pytest.fixture
def quick(monkeypatch):
    """Replace the graph by the network itself plus a constant, so that nothing is exported."""

    def use(run, constant):
        class Graph:
            def run(self, names, inputs):
                from prunebert.network.interface import Batch

                tensors = {name: torch.from_numpy(x) for name, x in inputs.items()}
                batch = Batch(tensors, torch.zeros(len(tensors["input_ids"])), torch.arange(len(tensors["input_ids"])))
                return [run.net(batch, run.head, run.masks, run.theta).logits.numpy() + constant]

        monkeypatch.setattr(export_onnx, "session", lambda file: Graph())
        monkeypatch.setattr(export_onnx, "write", lambda run, file: file.write_bytes(b"graph"))
        monkeypatch.setattr(export_onnx, "require_packages", lambda: None)

    return use


@pytest.mark.parametrize("constant", [0.5, float("nan"), np.array([0.0, 0.01])])
def test_a_graph_that_computes_something_else_is_refused_and_nothing_is_left(finished, cli, tmp_path, quick, constant):
    run = finished("method=smp", "sparsity=0.9")
    quick(prunebert.load(run), constant)
    status, printed = cli("export", str(run), "out", "--onnx")
    assert status == 2 and "--onnx: the graph's logits differ from the network's outputs in torch by up to" in printed
    assert "nothing was written" in printed and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "precision", "message"),
    [
        (lambda table: table[:-3], "fp32", "now has 40 rows, and the run predicted 37"),
        (lambda table: table.assign(scores=table.scores + 0.5), "fp32", "differ from the run's stored predictions by"),
        (lambda table: table.assign(scores=table.scores + 0.5), "bf16", ""),  # rounding is no reason to refuse
    ],
)
def test_other_predictions_than_the_stored_ones(
    finished, cli, tmp_path, quick, monkeypatch, change, precision, message
):
    run = finished("method=smp", "sparsity=0.9")
    quick(prunebert.load(run), 0.0)
    table = change(pd.read_parquet(run / "predictions.parquet"))
    monkeypatch.setattr(artifacts, "predictions", lambda root: table)
    monkeypatch.setattr(artifacts, "config", lambda root: f"impl: {{precision: {precision}}}")
    status, printed = cli("export", str(run), "out", "--onnx")
    assert status == (2 if message else 0) and message in printed, printed
    assert (tmp_path / "out").exists() == (not message)
    if not message:
        facts = json.loads((tmp_path / "out/prunebert.json").read_text())["onnx"]
        assert facts["predictions"]["largest_difference"] == pytest.approx(0.5)
        assert facts["network"]["largest_difference"] == 0


def test_other_rows_than_those_of_the_run_are_refused_however_close_the_logits(
    finished, cli, tmp_path, quick, monkeypatch
):
    """The fingerprint of the rows decides. The tolerance here allows every logit."""
    run = finished("method=smp", "sparsity=0.9")
    quick(prunebert.load(run), 0.0)
    facts = artifacts.result(run)
    changed = {split: value[::-1] for split, value in facts["data"]["fingerprint"].items()}
    monkeypatch.setattr(export_onnx, "TOLERANCE", 1e9)
    monkeypatch.setattr(artifacts, "result", lambda *_: facts | {"data": facts["data"] | {"fingerprint": changed}})
    status, printed = cli("export", str(run), "out", "--onnx")
    assert status == 2 and "has changed since the run; restore the data" in printed and not list(tmp_path.iterdir())


def test_a_runtime_that_fails_is_named_in_one_line(finished, cli, tmp_path, quick, monkeypatch):
    run = finished("method=smp", "sparsity=0.9")
    quick(prunebert.load(run), 0.0)
    fail = type("Fail", (Exception,), {"__module__": "onnxruntime.capi.state"})  # as ONNX Runtime's own

    def refuse(file):
        raise fail("no kernel\nmuch detail")

    monkeypatch.setattr(export_onnx, "session", refuse)
    status, printed = cli("export", str(run), "out", "--onnx")
    assert status == 2 and printed.endswith("--onnx: ONNX Runtime cannot run the graph: no kernel\n")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(export_onnx, "session", lambda file: 1 / 0)  # a fault of ours is not hidden
    with pytest.raises(ZeroDivisionError):
        cli("export", str(run), "out", "--onnx")


def test_refusals_are_one_line(finished, cli, tmp_path, monkeypatch):
    run = str(finished("method=smp", "sparsity=0.9"))
    monkeypatch.setattr(export_onnx, "missing", lambda packages: ["onnx", "onnxruntime"])
    for words, message in (
        (("--onnx",), '--onnx: onnx, onnxruntime not installed; pip install "prunebert[onnx]"'),
        (("--onnx", "--sparse"), "a task delta (--sparse) has no graph"),
    ):
        status, printed = cli("export", run, "out", *words)
        assert status == 2 and message in printed and len(printed.strip().splitlines()) == 1, printed

    def refuse(*_, **__):
        raise RuntimeError("Failed to export\nwith much detail")

    monkeypatch.setattr(export_onnx, "missing", lambda packages: [])
    monkeypatch.setattr(export_onnx, "write_graph", refuse)
    status, printed = cli("export", run, "out", "--onnx")
    assert status == 2 and "with a head label_words: Failed to export" in printed and "much detail" not in printed
    assert list(tmp_path.iterdir()) == []


def test_agreement_is_counted_by_hand(finished):
    """Two batches: the logits differ by at most 0.5, and two of three rows have the same largest one."""
    run = prunebert.load(finished("method=smp", "sparsity=0.9"))
    wanted = [np.array([[1.0, 0.0], [0.2, 0.3]]), np.array([[5.0, 4.0]])]
    found = [np.array([[1.25, 0.0], [0.4, 0.3]]), np.array([[5.0, 4.5]])]
    assert export_onnx.compare(wanted, found, run) == export_onnx.Agreement(3, 0.5, 3, 2)


HEADS = [
    ("bert", ["method=smp", "sparsity=0.7", "task.text=[sentence,second]"]),
    ("bert", ["method=smp", "sparsity=0.7", "prunable=encoder_pooler_embeddings"]),
    ("bert", ["method=magnitude", "sparsity=0.6"]),
    ("bert", ["method=abp", "sparsity=0.5"]),
    ("bert", ["method=smp", "method.head=linear", "questions"]),
    ("bert", ["method=smp", "questions"]),
    ("bert", ["method=magnitude", "task=mlm", "task.block=16", "corpus"]),
    ("bert", ["method=magnitude", "task.kind=regression", "task.label=number"]),
    *((family, ["method=magnitude", "method.head=linear"]) for family in FAMILIES),
    *((family, ["method=magnitude", "method.head=label_words"]) for family in FAMILIES[1:3]),
]


@installed
@pytest.mark.slow
@pytest.mark.parametrize(("family", "words"), HEADS, ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_families_and_heads(finished, cli, tmp_path, tmp_path_factory, questions, text, family, words):
    overrides = [w for w in words if w not in ("questions", "corpus")]
    overrides += questions if "questions" in words else text if "corpus" in words else []
    if family != "bert":
        folder = tmp_path_factory.mktemp(family)
        save = save_model if family in ("roberta", "distilbert", "electra") else small.save
        overrides.append(f"model.name={save(folder / family, family)}")
    _, printed = exported(cli, finished(*overrides), tmp_path)
    facts = json.loads((tmp_path / "out/prunebert.json").read_text())["onnx"]["network"]
    assert facts["largest_difference"] < 1e-4 and facts["same_labels"] == facts["labels"]
    assert "against the network's outputs in torch" in printed


@installed
@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "layer_mix"])
def test_multiple_choice(finished, cli, tmp_path, head):
    rows = [{"q": f"what was it {i}", "a": "a film", "b": "a dull plot", "c": "a scene", "y": i % 3} for i in range(12)]
    pd.DataFrame(rows).to_csv(tmp_path / "x.csv", index=False)
    words = [
        "task.max_length=32",
        "task.text=q",
        "task.choices=[a,b,c]",
        "task.label=y",
        f"task.train={tmp_path}/x.csv",
    ]
    method = ["method=abp"] if head == "layer_mix" else ["method=magnitude"]
    run = finished(*method, "sparsity=0.5", "task=file", "task.kind=choices", *words, f"task.eval={tmp_path}/x.csv")
    _, printed = exported(cli, run, tmp_path)
    assert "12 of 12 labels are the same" in printed
