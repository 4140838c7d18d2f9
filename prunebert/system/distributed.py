"""Ranks: one run on several devices, as `torchrun --nproc-per-node=N -m prunebert …` starts it. Alone, all this rests.

Every rank does the whole run, each step on its rows of the global batch: rank r of n takes rows r, r + n, r + 2n, …
Gradients, and the terms of the loss, are averaged by what each rank's rows count,

    g = Σ_r c_r g_r / Σ_r c_r,   c_r the number of labels among rank r's rows,

so that a mean over rows is the mean over the global batch; a mean over tokens (hidden_cosine) is one of each rank's
means. Scores, and so masks, stay the same on every rank. All of them evaluate; the first, and no other, writes.
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


TORCHRUN = "TORCHELASTIC_RUN_ID" in os.environ  # clusters set RANK and WORLD_SIZE for reasons of their own
COUNT = int(os.environ["WORLD_SIZE"]) if TORCHRUN else 1
RANK = int(os.environ["RANK"]) if TORCHRUN else 0
FIRST = RANK == 0


def silence_others() -> list[str]:
    """From now on every rank but the first says nothing but errors. Returns what such a rank adds to the command line,
    so that it leaves nothing either: what it writes is in a folder that goes when it ends."""
    if FIRST:
        return []
    folder = tempfile.TemporaryDirectory(prefix="prunebert-rank-")
    atexit.register(folder.cleanup)
    logging.disable(logging.CRITICAL)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    place = [f"hydra.{mode}.dir={folder.name}" for mode in ("run", "sweep")]
    return [*place, "hydra.output_subdir=null", "~hydra.callbacks.around"]


def start(device: torch.device) -> None:
    """Meet the other ranks, if there are any."""
    import torch.distributed as dist

    if COUNT > 1 and not dist.is_initialized():
        backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"
        dist.init_process_group(backend, timeout=timedelta(days=7))  # the first may wait for another process's lock
        atexit.register(dist.destroy_process_group)


def average(trained: Iterable[Tensor], terms: dict[str, Tensor], part: float) -> dict[str, Tensor]:
    """Average the gradients of `trained` over all ranks, in place; returns the terms of the global batch's loss."""
    if COUNT == 1:
        return terms
    import torch
    import torch.distributed as dist

    told = torch.stack([value.detach().float() for value in terms.values()])
    found = [x.grad for x in trained if x.grad is not None]
    for x in (*found, told):
        x.mul_(part) if part else x.zero_()  # what counts nothing may well be 0/0
    for work in [dist.all_reduce(x, async_op=True) for x in (*found, told)]:
        work.wait()
    return dict(zip(terms, told, strict=True))


@contextmanager
def own_random(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """While inside, random numbers (dropout) are this rank's and this step's own; outside they are the same on all."""
    if COUNT == 1:
        yield
        return
    import torch

    with torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
        torch.manual_seed((seed * 1_000_003 + step) * COUNT + RANK)
        yield


def broadcast(value: Any) -> Any:
    """What the first rank has; JSON."""
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
    """Whether it is so on some rank."""
    if COUNT == 1:
        return flag
    import torch
    import torch.distributed as dist

    found = torch.tensor([int(flag)])
    dist.all_reduce(found)
    return bool(found)


def barrier() -> None:
    """Until every rank is here."""
    any_rank(False)


@contextmanager
def in_turn() -> Iterator[None]:
    """The first rank goes first, so that the others find what it left in a cache."""
    if not FIRST:
        barrier()
    try:
        yield
    finally:
        if FIRST:
            barrier()
