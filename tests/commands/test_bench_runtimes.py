"""The variants of `prunebert bench` in bfloat16, other runtimes and 2:4 kernels."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import prunebert
from prunebert.commands import bench_cells, bench_runtimes, export_onnx
from prunebert.commands.bench_verdicts import VARIANTS

IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


class Stock(nn.Module):
    """A model that is called like a stock one: an embedding and a linear layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = nn.Embedding(30, 8), nn.Linear(8, 4)

    def forward(self, input_ids):
        return (self.out(self.words(input_ids)).mean(1),)


@pytest.fixture
def model():
    return Stock().requires_grad_(False)


def test_bf16_is_a_copy_with_rounded_weights(model, tmp_path):
    made = bench_runtimes.builders({"zeros": model, "removed": model}, True, tmp_path)
    models, failed = bench_runtimes.build({n: made[n] for n in ("bf16", "removed bf16")}, IDS, 1)
    output = models["bf16"](input_ids=IDS)[0]
    assert failed == {} and output.dtype == torch.bfloat16 and model.out.weight.dtype == torch.float32
    assert torch.allclose(output.float(), model(IDS)[0], atol=0.02)


@pytest.mark.parametrize(
    "kind", [RuntimeError, ImportError, type("Fail", (Exception,), {"__module__": "onnxruntime.capi.state"})]
)
def test_what_a_library_refuses_is_left_out_with_its_first_line(model, tmp_path, monkeypatch, kind):
    def refuse(*_, **__):
        raise kind("\nno C++ compiler\nTraceback …")

    monkeypatch.setattr(torch, "compile", refuse)
    made = bench_runtimes.builders({"zeros": model, "removed": model}, False, tmp_path)
    models, failed = bench_runtimes.build({n: made[n] for n in ("bf16", "compiled")}, IDS, 1)
    assert list(models) == ["bf16"] and failed == {"compiled": "no C++ compiler"}


def test_every_name_is_built_somewhere_and_nothing_removed_is_not_timed_again(model, tmp_path):
    models = {"zeros": model, "removed": model}
    every = {"dense", "zeros", "csr", "removed", "removed+csr", "2:4"} | bench_runtimes.builders(
        models, True, tmp_path
    ).keys()
    assert every == set(VARIANTS)
    assert not [name for name in bench_runtimes.builders(models, False, tmp_path) if "removed" in name]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(export_onnx, "missing", lambda packages: [p for p in packages if p == "openvino"])
    assert (
        bench_runtimes.unavailable("removed openvino bf16", "cpu") == 'not installed; pip install "prunebert[openvino]"'
    )
    assert bench_runtimes.unavailable("onnxruntime", "cpu") == bench_runtimes.unavailable("compiled bf16", "cpu") == ""
    assert bench_runtimes.unavailable("onnxruntime", "cuda") == "timed on a CPU only"


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("onnxruntime", bench_runtimes.ONNX),
        pytest.param("openvino", bench_runtimes.OPENVINO, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_another_runtime_computes_the_same_with_as_many_threads(model, tmp_path, name, packages, threads):
    if missing := export_onnx.missing(packages):
        pytest.skip(f"{', '.join(missing)} not installed")
    made = bench_runtimes.builders({"zeros": model, "removed": model}, False, tmp_path)
    models, failed = bench_runtimes.build({name: made[name]}, IDS, threads)
    assert failed == {}
    for ids in (IDS, IDS + 20):
        assert torch.allclose(models[name](input_ids=ids)[0], model(ids)[0], atol=1e-6)
    assert models[name].bytes == 4 * (30 * 8 + 8 * 4 + 4)


HALF = torch.tensor([[1.0, 0, 0, 2], [0, 3, 0, 0]]).repeat(16, 16)  # [32, 64], at most 2 of 4
THREE = HALF.clone().index_put_((torch.tensor(0), torch.tensor(1)), torch.tensor(1.0))  # one group keeps 3


@pytest.mark.parametrize(
    ("weights", "capability", "reason"),
    [
        ([HALF], (8, 0), ""),
        ([HALF, HALF], (9, 0), ""),
        ([HALF, THREE], (9, 0), "the masks are not 2:4"),
        ([], (9, 0), "the masks are not 2:4"),
        ([HALF[:, :6]], (9, 0), "the masks are not 2:4"),  # no groups of four
        ([HALF], None, "need a GPU"),
        ([HALF], (7, 5), "compute capability 7.5"),
        ([HALF[:20]], (9, 0), "multiples of 32 rows and 64 columns"),
        ([HALF[:, :32]], (9, 0), "multiples of 32 rows and 64 columns"),
    ],
)
def test_when_2_4_kernels_are_used(weights, capability, reason):
    why = bench_runtimes.why_not_2_4(weights, capability)
    assert reason in why if reason else why == ""


def test_2_4_replaces_the_named_matrices_in_a_copy_in_bfloat16(model):
    converted = []

    def convert(weight):
        converted.append((weight.dtype, tuple(weight.shape)))
        return weight * 2

    small = bench_runtimes.to_2_4(model, ["out.weight"], convert)
    assert converted == [(torch.bfloat16, (4, 8))]
    assert torch.equal(small.out.weight, model.out.weight.bfloat16() * 2) and not small.out.weight.requires_grad
    assert torch.equal(small.words.weight, model.words.weight.bfloat16()) and model.out.weight.dtype == torch.float32


def test_2_4_masks_are_said_to_need_a_gpu_and_others_are_not_mentioned(finished):
    run, wanted = prunebert.load(finished("method=smp", "sparsity=0.9")), ["dense", "zeros", "2:4"]
    patterned = replace(run, masks={name: torch.arange(m.numel()).view_as(m) % 4 < 2 for name, m in run.masks.items()})
    for each, absent in ((patterned, {"2:4": "2:4 kernels need a GPU"}), (run, {})):
        with bench_cells.prepared(each, wanted, torch.device("cpu")) as bench:
            assert bench.absent == absent and list(bench.models) == ["dense", "zeros"] and bench.builders == {}
