"""Impl: on what hardware a run computes, and how. Never what it computes."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Literal

import torch

from prunebert.errors import BadInput, bad_choice


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Impl:
    """device: "auto" takes CUDA where there is one. precision: of the forward pass; weights and scores stay float32.

    compile: torch.compile the encoder. threads: of torch on the CPU, null for OMP_NUM_THREADS or else all cores.
    """

    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    compile: bool
    threads: int | None

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise bad_choice("impl.device", self.device, ["auto", "cpu", "cuda"])
        if self.precision not in ("fp32", "bf16"):
            raise bad_choice("impl.precision", self.precision, ["fp32", "bf16"])
        if self.device == "cuda" and not torch.cuda.is_available():
            raise BadInput("impl.device=cuda: torch sees no CUDA device here; use impl=cpu or impl=auto")
        if self.threads is not None and not 1 <= self.threads <= 4096:
            raise BadInput(f"impl.threads={self.threads}: must be at least 1, or null for all cores")

    @property
    def torch_device(self) -> torch.device:
        """Where tensors live. Cells of a sweep side by side (PRUNEBERT_CELL tells which one) share out the GPUs, and so
        do the ranks of one run (LOCAL_RANK, torchrun's)."""
        if self.device == "cpu" or (self.device == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        cell = os.environ.get("PRUNEBERT_CELL") or os.environ.get("LOCAL_RANK")
        return torch.device("cuda", int(cell) % torch.cuda.device_count()) if cell else torch.device("cuda")

    def autocast(self) -> contextlib.AbstractContextManager:
        """The forward pass's precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16)

    def start(self) -> None:
        """Set torch's threads, and reset the peak of device memory."""
        told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        torch.set_num_threads(self.threads or (int(told) if told.isdigit() and int(told) else cores()))
        if self.torch_device.type == "cuda":
            torch.cuda.set_device(self.torch_device.index or 0)
            torch.cuda.reset_peak_memory_stats()

    def describe(self) -> str:
        """The device in words, as result.json has it."""
        if self.torch_device.type == "cuda":
            return torch.cuda.get_device_name()
        return f"cpu, {torch.get_num_threads()} threads"

    def peak_memory(self) -> int:
        """Bytes: of the device on CUDA; else of this process so far (in a sweep in one process: of all its runs)."""
        if self.torch_device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        import resource
        import sys

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
