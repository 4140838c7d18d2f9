"""One run on several devices, as `torchrun --nproc-per-node=N -m prunebert …` starts it. One process skips this.

Every rank does the whole run, each step on its rows of the global batch: rank r of n takes rows r, r + n, r + 2n, …
Gradients and the terms of the loss are averaged over the ranks, weighted by how many labels each rank has,

    g = Σ_r c_r g_r / Σ_r c_r,   c_r the number of labels among rank r's rows.

A mean over rows is then the mean over the global batch. A mean over tokens (hidden_cosine) becomes a mean of the
ranks' means. Scores, and therefore masks, stay equal on every rank. All ranks evaluate; only the first writes.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


TORCHRUN = "TORCHELASTIC_RUN_ID" in os.environ  # clusters set RANK and WORLD_SIZE for other purposes
COUNT = int(os.environ["WORLD_SIZE"]) if TORCHRUN else 1
RANK = int(os.environ["RANK"]) if TORCHRUN else 0
FIRST = RANK == 0


def silence_others() -> list[str]:
    """Silence this process unless it is the first rank, and return the words to add to its command line.

    These words send what the rank writes to a temporary folder, which is deleted when the rank ends.
    """
    if FIRST:
        return []
    folder = tempfile.TemporaryDirectory(prefix="prunebert-rank-")
    atexit.register(folder.cleanup)
    logging.disable(logging.CRITICAL)
    sys.stdout = open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    directories = [f"hydra.{mode}.dir={folder.name}" for mode in ("run", "sweep")]
    return [*directories, "hydra.output_subdir=null", "~hydra.callbacks.around"]


def start(device: torch.device) -> None:
    """Connect to the other ranks, if there are any."""
    import torch.distributed as dist

    if COUNT > 1 and not dist.is_initialized():
        backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"
        dist.init_process_group(
            backend, timeout=timedelta(days=7)
        )  # the first rank may wait for another process's lock
        atexit.register(dist.destroy_process_group)


def average(trained: Iterable[Tensor], terms: dict[str, Tensor], part: float) -> dict[str, Tensor]:
    """Average the gradients of `trained` over all ranks, in place. Returns the terms of the global batch's loss.

    part: this rank's share of the global batch's labels.
    """
    if COUNT == 1:
        return terms
    import torch
    import torch.distributed as dist

    values = torch.stack([value.detach().float() for value in terms.values()])
    gradients = [x.grad for x in trained if x.grad is not None]
    for x in (*gradients, values):
        x.mul_(part) if part else x.zero_()  # a mean over no label is 0/0
    for work in [dist.all_reduce(x, async_op=True) for x in (*gradients, values)]:
        work.wait()
    return dict(zip(terms, values, strict=True))


@contextmanager
def own_random(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """While inside, random numbers (dropout) depend on the rank and the step; outside they are equal on all ranks."""
    if COUNT == 1:
        yield
        return
    import torch

    with torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
        torch.manual_seed(((seed * 1_000_003 + step) * COUNT + RANK) % 2**64)  # torch takes seeds below 2**64
        yield


def broadcast(value: Any) -> Any:
    """The first rank's value, on every rank. It must be JSON."""
    if COUNT == 1:
        return value
    import torch
    import torch.distributed as dist

    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    size = torch.tensor([len(content)])
    dist.broadcast(size, 0)
    if not FIRST:
        content = torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(content, 0)
    return json.loads(content.numpy().tobytes())


def any_rank(flag: bool) -> bool:
    """Whether `flag` is true on any rank."""
    if COUNT == 1:
        return flag
    import torch
    import torch.distributed as dist

    count = torch.tensor([int(flag)])
    dist.all_reduce(count)
    return bool(count)


def barrier() -> None:
    """Wait until every rank has come here."""
    any_rank(False)


@contextmanager
def in_turn() -> Iterator[None]:
    """The first rank goes first; the others then find what it left in a cache."""
    if not FIRST:
        barrier()
    try:
        yield
    finally:
        if FIRST:
            barrier()
