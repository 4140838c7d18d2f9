"""Large tensors in pieces that fit a core's cache, and the positions at which two masks differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

SIZE = 2**17  # values of a piece: four pieces are 2 MiB


def pieces(*tensors: Tensor, room: tuple[Tensor, ...] = ()) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same piece of several contiguous tensors of one size, flat and in order.

    Behind them come as many values of each tensor in `room`. Off the CPU the whole tensor is the only piece.
    """
    flat = [x.view(-1) for x in tensors]
    length = piece(flat[0])
    for start in range(0, len(flat[0]), max(length, 1)):
        part = [x[start : start + length] for x in flat]
        yield (*part, *(x[: len(part[0])] for x in room))


def room_for(*tensors: Tensor) -> Tensor:
    """Allocate memory for the largest piece of these tensors. Every piece writes over it."""
    return tensors[0].new_empty(max(piece(x) for x in tensors))


def piece(x: Tensor) -> int:
    """Return how many values the first piece has."""
    return min(x.numel(), SIZE) if x.device.type == "cpu" else x.numel()


def larger(x: Tensor, bound: float) -> Tensor:
    """Return x > bound. On the CPU numpy takes a third of torch's time."""
    return torch.from_numpy(x.numpy() > bound) if x.device.type == "cpu" else x > bound


def differing(a: Any, b: Any) -> Any:
    """Return the positions, in order, at which two flat numpy arrays of bools, equally long, differ.

    Eight bools are compared at a time, which is quick where few differ.
    """
    whole = len(a) // 8 * 8
    words_a, words_b = a[:whole].view(np.uint64), b[:whole].view(np.uint64)
    words = np.flatnonzero(words_a != words_b)
    offsets = np.flatnonzero((words_a[words] ^ words_b[words]).view(bool))
    return np.concatenate([8 * words[offsets // 8] + offsets % 8, whole + np.flatnonzero(a[whole:] != b[whole:])])


def changed(before: Tensor, after: Tensor) -> Tensor:
    """Return the flat positions, in order, at which two bool CPU tensors of one shape differ: int64."""
    return torch.from_numpy(differing(before.numpy().reshape(-1), after.numpy().reshape(-1)))
