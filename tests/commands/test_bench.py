"""`prunebert bench`: the timed variants compute the same, exactly the dead parts go, and verdicts follow from times."""

import copy
import json

import pytest
import torch
import transformers

import prunebert
from prunebert.commands import bench, bench_cells, bench_models
from prunebert.commands.bench_verdicts import DENSE, VARIANTS
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
    models, _, summary = bench_cells.variants(run)
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
    status, printed = cli("bench", str(run), *words, "--variants", "bf16,csr,removed,removed+csr")
    assert status == 0, printed
    result = json.loads((tmp_path / "x.json").read_text())
    assert f"torch {torch.__version__}" in result["hardware"] and result["hardware"] in printed.replace("\n", " ")
    assert "the machine was busy (load 7.2 on 4 cores), so these times are only rough" in printed
    assert "the vocabulary" not in printed and "encoder without its head" in printed
    cells = [(c["batch"], c["length"], c["threads"], c["repetitions"]) for c in result["cells"]]
    assert cells == [(1, 9, 1, 6), (3, 9, 1, 6)] and result["not_timed"] == {}
    for timing in result["cells"]:
        assert list(timing["variants"]) == ["dense", "zeros", "bf16", "csr", "removed", "removed+csr"]
        best = timing["best_dense"]
        assert best in ("dense", "zeros", "bf16") and timing["variants"][best]["times_best_dense"] == [1.0] * 3
        assert min(timing["variants"], key=lambda n: timing["variants"][n]["p50_ms"] + 1e9 * (n not in DENSE)) == best
        for name, row in timing["variants"].items():
            assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] and row["bytes"] > 0
            assert row["texts_per_second"] == pytest.approx(timing["batch"] / row["p50_ms"] * 1e3)
            assert row["labels"] == timing["batch"]
            if name not in ("dense", "bf16"):
                assert row["output_differs_by"] < 1e-5 and row["same_labels"] == row["labels"]
        rounded = timing["variants"]["bf16"]
        assert (
            1e-5 < rounded["output_differs_by"] < 0.1 and rounded["bytes"] * 2 == timing["variants"]["zeros"]["bytes"]
        )


@pytest.mark.parametrize(
    ("words", "cores", "counts"),
    [("1,all", 4, [1, 4]), ("1,all", 1, [1]), ("all", 3, [3]), ("2,1", 8, [2, 1]), ("1, all,1,2,all", 2, [1, 2])],
)
def test_numbers_of_threads(words, cores, counts, monkeypatch):
    monkeypatch.setattr(bench, "cores", lambda: cores)
    assert bench._threads(words) == counts


def test_what_predicts_labels_in_the_timed_part(finished):
    """The labels of an output are those that the loaded run predicts."""
    texts = ["the good film", "a dull plot and a bright scene", "bad"]
    for words in (("method=smp", "sparsity=0.9"), ("method=magnitude", "sparsity=0.9")):
        run = prunebert.load(finished(*words))
        inputs = run.tokenizer(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            output = bench_cells.variants(run)[0]["zeros"](**inputs)[0]
            predicted = bench_cells.labels(run)(output)
        assert predicted.tolist() == run.logits(texts).argmax(-1).tolist()
    assert bench_cells.labels(prunebert.load(finished("method=abp", "sparsity=0.9"))) is None


def test_bad_input_is_one_line(finished, cli, capsys):
    run = str(finished("method=smp", "sparsity=0.9"))
    capsys.readouterr()  # of the run
    for words, message in (
        (["nowhere"], "no such directory"),
        ([run, "--batch", "0"], "--batch=0: must be whole numbers of at least 1"),
        ([run, "--length", "8,x"], "--length=8,x"),
        ([run, "--length", "65"], "reads at most 64 tokens"),
        ([run, "--repeats", "2"], "--repeats=2: must be at least 5"),
        ([run, "--device", "tpu"], "--device=tpu: allowed are auto, cpu, cuda"),
        ([run, "--seconds", "nan"], "--seconds=nan: must be a number of at least 0"),
        ([run, "--seconds", "-1"], "--seconds=-1: must be a number of at least 0"),
        ([run, "--threads", "0"], "--threads=0: must be all, or whole numbers of at least 1"),
        ([run, "--threads", "1,some"], "--threads=1,some: must be all, or"),
        (
            [run, "--threads", "1,5000"],
            "--threads=1,5000: must be all, or whole numbers of at least 1 and at most 4096",
        ),
        ([run, "--variants", "csr,,bf16"], "--variants=: allowed are all"),
        ([run, "--variants", "csr,bf15"], "--variants=bf15: allowed are all, dense, zeros, bf16"),
        ([run, "--out", "nowhere/x.json"], "--out=nowhere/x.json: the folder nowhere does not exist"),
        ([], "required: RUN; usage: prunebert bench"),
    ):
        status, printed = cli("bench", *words)
        assert status == 2 and message in printed and len(printed.strip().splitlines()) == 1, printed


def test_lists_without_repetitions():
    assert bench._numbers("--batch", "8,1,8") == [8, 1]
    assert bench._names("csr,csr") == ["dense", "zeros", "csr"]
    assert bench._names("csr,all") == bench._names("all") == list(VARIANTS)


def test_a_batch_beyond_the_memory_is_refused(finished, cli, tmp_path):
    words = ["--batch", str(10**14), "--length", "8", "--threads", "1", "--variants", "zeros", "--out", "x.json"]
    status, printed = cli("bench", str(finished("method=smp", "sparsity=0.9")), *words)
    message = "prunebert: --batch=100000000000000 --length=8: there is not enough memory; choose smaller ones"
    assert (status, printed.splitlines()[-1]) == (2, message) and list(tmp_path.iterdir()) == []
