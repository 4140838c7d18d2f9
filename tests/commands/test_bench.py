"""`prunebert bench`: the timed variants compute the same, exactly the dead parts go, and verdicts follow from times."""

import copy
import json

import numpy as np
import pytest
import torch
import transformers

import prunebert
from prunebert.commands import bench, bench_models
from prunebert.network.families import FAMILIES
from tests.toys import save_model


def model_with_dead_parts(folder, family):
    """Return a stock classifier with dead parts of every sort, and its matrices by place.

    In layer 0 three of four heads are dead, and in layer 1 all neurons.
    """
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    names = dict(model.named_modules())
    modules = {FAMILIES[family].place(f"{n.removeprefix(family + '.')}.weight"): m for n, m in names.items()}
    with torch.no_grad():
        modules[0, "value"].weight[:8] = 0  # head 0 outputs only its bias
        modules[0, "attention-output"].weight[:, 8:16] = 0  # head 1 is not read
        modules[0, "value"].weight[16:24] = 0  # head 2: both
        modules[0, "attention-output"].weight[:, 16:24] = 0
        modules[0, "query"].weight[24:] = 0  # head 3 attends uniformly and is live
        modules[1, "value"].weight[:] = 0  # every head of layer 1 is dead; one remains
        modules[0, "intermediate"].weight[:20] = 0
        modules[0, "output"].weight[:, 10:30] = 0
        modules[1, "intermediate"].weight[:] = 0
    return model, modules


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_removing_dead_heads_and_neurons_changes_no_output(tmp_path, family):
    model, modules = model_with_dead_parts(save_model(tmp_path / family, family), family)
    inputs = {"input_ids": torch.randint(5, 60, (4, 12), generator=torch.Generator().manual_seed(0))}
    inputs["attention_mask"] = (torch.arange(12) < torch.tensor([[12], [3], [7], [1]])).long()
    small = copy.deepcopy(model)
    removed = bench_models.remove_dead(small, FAMILIES[family], 4, transformers.activations.ACT2FN["gelu"])
    assert removed == bench_models.Removed(3 + 3, 8, 30 + 63, 128)
    with torch.no_grad():
        before, after = model(**inputs).logits, small(**inputs).logits
    assert torch.allclose(before, after, atol=1e-6) and bench_models.size(small) < bench_models.size(model)
    remaining = {FAMILIES[family].place(f"{n.removeprefix(family + '.')}.weight"): m for n, m in small.named_modules()}
    assert tuple(remaining[0, "query"].weight.shape) == (8, 32)
    assert tuple(remaining[1, "output"].weight.shape) == (32, 1)
    with torch.no_grad():
        modules[0, "attention-output"].weight[:, :8] = 0  # head 0's constant output matters and must go into the bias
        assert not torch.allclose(before, model(**inputs).logits, atol=1e-6)


def test_a_csr_layer_is_the_dense_layer():
    torch.manual_seed(0)
    layer = torch.nn.Linear(7, 5)
    with torch.no_grad():
        layer.weight *= torch.rand(5, 7) < 0.3
        layer.weight[2] = 0
    sparse, x = bench_models.CsrLinear(layer), torch.randn(3, 4, 7)
    assert torch.allclose(sparse(x), layer(x), atol=1e-6) and sparse(x).shape == (3, 4, 5)
    nonzero = int(layer.weight.count_nonzero())
    assert sparse.bytes == 4 * (6 + nonzero + nonzero + 5)
    model = torch.nn.Sequential(layer, torch.nn.Linear(5, 2))
    assert bench_models.to_csr(model, ["0.weight", "1.weight", "2.weight"]) == 1  # the second contains no zero
    assert bench_models.size(model) == sparse.bytes + 4 * 12


@pytest.mark.parametrize(
    "words", [("method=smp", "sparsity=0.9"), ("method=magnitude", "sparsity=0.9"), ("method=abp", "sparsity=0.9")]
)
def test_the_timed_variants_are_the_exported_model(finished, words):
    run = prunebert.load(finished(*words))
    models, summary = bench.variants(run)
    inputs = {"input_ids": torch.randint(5, 60, (4, 12)), "attention_mask": torch.ones(4, 12, dtype=torch.long)}
    with torch.no_grad():
        outputs = {name: model.eval()(**inputs)[0] for name, model in models.items()}
    for name in ("csr", "removed", "removed+csr"):
        assert torch.allclose(outputs[name], outputs["zeros"], atol=1e-5), name
    assert not torch.allclose(outputs["dense"], outputs["zeros"], atol=1e-5)
    assert "12 matrices are CSR" in summary and "of 8 heads" in summary
    assert bench_models.size(models["csr"]) < bench_models.size(models["dense"]) == bench_models.size(models["zeros"])


def test_bench_prints_percentiles_hardware_and_a_verdict(finished, cli, tmp_path, monkeypatch):
    loads = iter([(0.5, 0, 0), (7.25, 0, 0)])
    monkeypatch.setattr(bench.os, "getloadavg", lambda: next(loads))
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 4)
    run = finished("method=smp", "sparsity=0.9")
    words = ["--batch", "1,3", "--length", "9", "--repeats", "6", "--threads", "1", "--out", "x.json"]
    status, printed = cli("bench", str(run), *words)
    assert status == 0, printed
    result = json.loads((tmp_path / "x.json").read_text())
    assert f"torch {torch.__version__}" in result["hardware"] and result["hardware"] in printed.replace("\n", " ")
    assert "the machine was busy (load 7.2 on 4 cores), so these times are only rough" in printed
    assert "the vocabulary" not in printed and "encoder without its head" in printed
    assert [(c["batch"], c["length"], c["repetitions"]) for c in result["cells"]] == [(1, 9, 6), (3, 9, 6)]
    for timing in result["cells"]:
        assert list(timing["variants"]) == ["dense", "zeros", "csr", "removed", "removed+csr"]
        for row in timing["variants"].values():
            assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] and row["bytes"] > 0
            assert row["texts_per_second"] == pytest.approx(timing["batch"] / row["p50_ms"] * 1e3)
            assert row["output_differs_by"] < 1e-5 or row is timing["variants"]["dense"]


def test_the_measured_times_are_reported(finished, monkeypatch):
    """With a clock that gives every variant its own time, the percentiles and factors are those of the clock."""
    models, _ = bench.variants(prunebert.load(finished("method=smp", "sparsity=0.9")))
    numbers = {id(m): i + 1 for i, m in enumerate(models.values())}
    calls = dict.fromkeys(numbers.values(), 0)

    def clock(model, inputs, device):
        number = numbers[id(model)]
        calls[number] += 1
        return number * (1 + calls[number])

    monkeypatch.setattr(bench, "_time", clock)
    timing = bench.measure(models, 2, 8, repeats=20, seconds=60)
    series = np.arange(2, 22)
    for i, row in enumerate(timing["variants"].values(), 1):
        assert row["p50_ms"] == pytest.approx(np.median(series) * i * 1e3)
        assert row["p99_ms"] == pytest.approx(np.percentile(series, 99) * i * 1e3)
        assert row["times_dense"] == pytest.approx([i, i, i])


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        ([2.0, 1.8, 2.2], "2.00 times SLOWER (1.80 to 2.20)"),
        ([0.5, 0.4, 0.8], "2.00 times faster (1.25 to 2.50)"),
        ([1.0, 0.96, 1.04], "no difference"),
        ([1.2, 0.9, 1.5], "uncertain (0.90 to 1.50 of its time)"),
        ([1.06, 1.02, 1.1], "uncertain (1.02 to 1.10 of its time)"),
    ],
)
def test_verdicts(factor, text):
    assert bench.verdict(factor) == text


def test_bad_input_is_one_line(finished, cli):
    run = str(finished("method=smp", "sparsity=0.9"))
    for words, message in (
        (["nowhere"], "no such directory"),
        ([run, "--batch", "0"], "--batch=0: must be whole numbers of at least 1"),
        ([run, "--length", "8,x"], "--length=8,x"),
        ([run, "--length", "65"], "reads at most 64 tokens"),
        ([run, "--repeats", "2"], "--repeats=2: must be at least 5"),
        ([run, "--device", "tpu"], "impl.device=tpu"),
        ([run, "--threads", "0"], "impl.threads=0"),
        ([run, "--out", "nowhere/x.json"], "--out=nowhere/x.json: the folder nowhere does not exist"),
        ([], "required: RUN; usage: prunebert bench"),
    ):
        status, printed = cli("bench", *words)
        assert status == 2 and message in printed and len(printed.strip().splitlines()) == 1, printed
