"""The variants of bench beyond float32 in torch: bfloat16, torch.compile, ONNX Runtime, OpenVINO and 2:4 kernels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebert.commands import bench_models, export_onnx
from prunebert.errors import BadInput
from prunebert.system.countdown import Countdown
from prunebert.system.library_errors import first_line, is_of_a_library

ONNX = ("onnx", "onnxscript", "onnxruntime")
OPENVINO = ("onnx", "onnxscript", "openvino")
SPARSE_CORES = (8, 0)  # the compute capability from which on a GPU multiplies 2:4 matrices
ROWS, COLUMNS = 32, 64  # torch's 2:4 kernels need multiples of these in 16 bits
Build = Callable[[Tensor, int], Any]  # (token ids, threads) -> a model for this shape and number of threads


class Runtime:
    """A graph in another runtime, called like a stock model."""

    def __init__(self, compute: Callable[[Any], Any], size: int) -> None:
        """Wrap a function from token ids, a numpy array, to the output; `size` is that of the weights in bytes."""
        self.compute, self.bytes = compute, size

    def __call__(self, input_ids: Tensor) -> tuple[Tensor]:
        """Return the output in a tuple, as a stock model does."""
        return (torch.from_numpy(self.compute(input_ids.numpy())),)


class FirstOutput(nn.Module):
    """A stock model that reads token ids alone and returns its first output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return what the stock model returns first: its logits, or its last hidden states."""
        output: Tensor = self.model(input_ids=input_ids)[0]
        return output


class Graphs:
    """ONNX files of some models, each written when it is first needed."""

    def __init__(self, models: dict[str, nn.Module], folder: Path) -> None:
        self.models, self.folder = models, folder

    def file(self, name: str) -> Path:
        """Return the ONNX file of a model. Raises RuntimeError if torch cannot export it."""
        file = self.folder / f"{name}.onnx"
        if not file.exists():
            example = {"input_ids": torch.arange(32).view(2, 16) % 20 + 5}
            export_onnx.write_graph(FirstOutput(self.models[name]), example, file)
        return file

    def onnxruntime(self, name: str, ids: Tensor, threads: int) -> Runtime:
        """Return a model in ONNX Runtime."""
        session = export_onnx.session(self.file(name), threads)
        size = bench_models.size(self.models[name])
        return Runtime(lambda array: session.run(["logits"], {"input_ids": array})[0], size)

    def openvino(self, name: str, precision: str, ids: Tensor, threads: int) -> Runtime:
        """Return a model in OpenVINO, compiled for the shape of `ids`. Raises RuntimeError if it cannot be."""
        import openvino

        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("OpenVINO finds no bfloat16 on this processor")
        graph = core.read_model(self.file(name))
        graph.reshape({"input_ids": list(ids.shape)})
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        settings |= {"ENABLE_HYPER_THREADING": True}  # else it may use fewer threads than the others
        request = core.compile_model(graph, "CPU", settings).create_infer_request()
        size = bench_models.size(self.models[name])
        return Runtime(lambda array: request.infer({"input_ids": array}).to_tuple()[0].copy(), size)


def builders(models: dict[str, nn.Module], smaller: bool, folder: Path) -> dict[str, Build]:
    """Return a function for every variant that is not in `models`.

    Args:
        models: must have "zeros" and "removed".
        smaller: whether "removed" lacks any head or neuron. If not, it is "zeros", and other runtimes skip it.
        folder: for ONNX files.
    """
    graphs = Graphs(models, folder)
    made: dict[str, Build] = {
        "bf16": lambda ids, threads: _bf16(models["zeros"]),
        "compiled": lambda ids, threads: _compiled(models["zeros"]),
        "compiled bf16": lambda ids, threads: _compiled(_bf16(models["zeros"])),
        "onnxruntime": lambda ids, threads: graphs.onnxruntime("zeros", ids, threads),
        "openvino": lambda ids, threads: graphs.openvino("zeros", "f32", ids, threads),
        "openvino bf16": lambda ids, threads: graphs.openvino("zeros", "bf16", ids, threads),
    }
    if smaller:
        made |= {
            "removed bf16": lambda ids, threads: _bf16(models["removed"]),
            "removed onnxruntime": lambda ids, threads: graphs.onnxruntime("removed", ids, threads),
            "removed openvino": lambda ids, threads: graphs.openvino("removed", "f32", ids, threads),
            "removed openvino bf16": lambda ids, threads: graphs.openvino("removed", "bf16", ids, threads),
        }
    return made


def unavailable(name: str, device: str) -> str:
    """Return why a variant cannot be timed here, before anything is built; "" if it may be."""
    for word, packages, extra in (("onnxruntime", ONNX, "onnx"), ("openvino", OPENVINO, "openvino")):
        if word in name.split():
            if device != "cpu":
                return "timed on a CPU only"
            if export_onnx.missing(packages):
                return f'not installed; pip install "prunebert[{extra}]"'
    return ""


def build(made: dict[str, Build], ids: Tensor, threads: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Build variants for one shape and number of threads, and call each once.

    Returns:
        The models, and for every variant that fails the first line of its error.
    """
    torch._dynamo.reset()  # what was compiled for other threads
    models, failed = {}, {}
    with Countdown("preparing", len(made), "variants") as countdown, torch.no_grad():
        for name, make in made.items():
            try:
                model = make(ids, threads)
                model(input_ids=ids)
                models[name] = model
            except Exception as error:
                if not is_of_a_library(error):
                    raise
                failed[name] = first_line(error)
            countdown.advance()
    return models, failed


def _bf16(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).to(torch.bfloat16)


def _compiled(model: nn.Module) -> Any:
    return torch.compile(model, dynamic=False)


def is_2_4(weight: Tensor) -> bool:
    """Return whether at most two of every four neighbours in a row of a matrix are not 0."""
    if weight.shape[1] % 4:
        return False
    return bool((weight.unflatten(1, (-1, 4)) != 0).sum(-1).le(2).all())


def why_not_2_4(weights: list[Tensor], capability: tuple[int, int] | None) -> str:
    """Return why torch's 2:4 kernels cannot be used; "" if they can.

    Args:
        weights: the matrices that have masks.
        capability: of the GPU; None on a CPU.
    """
    if not weights or not all(is_2_4(weight) for weight in weights):
        return "the masks are not 2:4 (method.pattern=2:4)"
    if capability is None:
        return "2:4 kernels need a GPU"
    if capability < SPARSE_CORES:
        return f"this GPU has compute capability {capability[0]}.{capability[1]}, and 2:4 kernels need 8.0"
    if any(weight.shape[0] % ROWS or weight.shape[1] % COLUMNS for weight in weights):
        return f"2:4 kernels need multiples of {ROWS} rows and {COLUMNS} columns"
    return ""


def to_2_4(model: nn.Module, names: list[str], convert: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """Return a copy of a model in bfloat16 whose named matrices are 2:4 for torch's kernels.

    Args:
        model: a stock model on a GPU.
        names: of weights of linear layers.
        convert: makes a matrix 2:4; torch's own by default.
    """
    small, convert = _bf16(model), convert or torch.sparse.to_sparse_semi_structured
    for name in names:
        layer = small.get_submodule(name.removesuffix(".weight"))
        if not isinstance(layer, nn.Linear):
            raise BadInput(f"{name} is no linear layer's weight")
        layer.weight = nn.Parameter(convert(layer.weight.detach()), requires_grad=False)
    return small
