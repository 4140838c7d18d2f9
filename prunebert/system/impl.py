"""Impl: the hardware a run computes on, its precision and its threads. None of it is part of a run's identity."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch

from prunebert.errors import BadInput, bad_choice
from prunebert.ranges import check_fields
from prunebert.system.allocator import keep_freed_memory
from prunebert.system.console import counted
from prunebert.system.threads import cores

Threads = Annotated[int, "at least 1 and at most 4096"]


@dataclass(frozen=True, kw_only=True)
class Impl:
    """How a run uses the machine.

    Attributes:
        device: "auto" is CUDA if torch finds a CUDA device, else the CPU.
        precision: of the forward pass. Weights and scores stay float32.
        compile: whether the encoder goes through torch.compile.
        threads: torch's threads on the CPU. None: OMP_NUM_THREADS, or all cores if that is not set.
    """

    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    compile: bool
    threads: Threads | None

    def __post_init__(self) -> None:
        check_fields(self, "impl")
        if self.device not in ("auto", "cpu", "cuda"):
            raise bad_choice("impl.device", self.device, ["auto", "cpu", "cuda"])
        if self.precision not in ("fp32", "bf16"):
            raise bad_choice("impl.precision", self.precision, ["fp32", "bf16"])
        if self.device == "cuda" and not torch.cuda.is_available():
            raise BadInput("impl.device=cuda: torch sees no CUDA device here; use impl=cpu or impl=auto")

    @property
    def torch_device(self) -> torch.device:
        """The device that holds the tensors.

        Parallel cells of a sweep are distributed over the GPUs by their number (PRUNEBERT_CELL). The ranks of one run
        are distributed by torchrun's LOCAL_RANK.
        """
        if self.device == "cpu" or (self.device == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        cell = os.environ.get("PRUNEBERT_CELL") or os.environ.get("LOCAL_RANK")
        return torch.device("cuda", int(cell) % torch.cuda.device_count()) if cell else torch.device("cuda")

    def autocast(self) -> contextlib.AbstractContextManager:
        """Return a context in which the forward pass has this precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16)

    def start(self) -> None:
        """Set torch's number of threads, the allocator and the CUDA device, and reset the peak of device memory."""
        keep_freed_memory()
        omp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        torch.set_num_threads(self.threads or (int(omp) if omp.isdigit() and int(omp) else cores()))
        if self.torch_device.type == "cuda":
            torch.cuda.set_device(self.torch_device.index or 0)
            torch.cuda.reset_peak_memory_stats()

    def describe(self) -> str:
        """Return the device's name as result.json records it."""
        if self.torch_device.type == "cuda":
            return torch.cuda.get_device_name()
        return f"cpu, {counted(torch.get_num_threads(), 'thread')}"

    def peak_memory(self) -> int:
        """Return the peak memory in bytes.

        On CUDA it is the device's peak since `start`. On the CPU it is the peak of the whole process. A sweep in one
        process therefore counts its earlier runs too.
        """
        if self.torch_device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        import resource
        import sys

        status = Path("/proc/self/status")  # getrusage also counts the process that started this one
        if status.is_file() and (peak := re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)):
            return 1024 * int(peak[1])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
