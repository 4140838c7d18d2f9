"""Pieces: large tensors a part at a time that a core's cache holds, and where two masks differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

SIZE = 2**17  # values: four such parts are 2 MiB


def pieces(*tensors: Tensor, room: tuple[Tensor, ...] = ()) -> Iterator[tuple[Tensor, ...]]:
    """The same parts of several contiguous tensors of one size, flat, in order, and behind them as many values of each
    in `room`. Anywhere but on the CPU the only part is the whole."""
    flat = [x.view(-1) for x in tensors]
    length = piece(flat[0])
    for start in range(0, len(flat[0]), max(length, 1)):
        part = [x[start : start + length] for x in flat]
        yield (*part, *(x[: len(part[0])] for x in room))


def room_for(*tensors: Tensor) -> Tensor:
    """Memory for the largest piece of them, to be written over by every one."""
    return tensors[0].new_empty(max(piece(x) for x in tensors))


def piece(x: Tensor) -> int:
    """How many values its first part has."""
    return min(x.numel(), SIZE) if x.device.type == "cpu" else x.numel()


def larger(x: Tensor, than: float) -> Tensor:
    """x > than, by numpy on the CPU, where it takes a third of torch's time."""
    return torch.from_numpy(x.numpy() > than) if x.device.type == "cpu" else x > than


def differing(a: Any, b: Any) -> Any:
    """Flat positions, in order, at which two flat, equally long numpy arrays of bools differ.

    Compared eight at a time: quick where few differ.
    """
    whole = len(a) // 8 * 8
    eights = a[:whole].view(np.uint64), b[:whole].view(np.uint64)
    words = np.flatnonzero(eights[0] != eights[1])
    found = np.flatnonzero((eights[0][words] ^ eights[1][words]).view(bool))
    return np.concatenate([8 * words[found // 8] + found % 8, whole + np.flatnonzero(a[whole:] != b[whole:])])


def changed(before: Tensor, now: Tensor) -> Tensor:
    """Flat positions, in order, at which two bool tensors of one shape on the CPU differ: int64."""
    return torch.from_numpy(differing(before.numpy().reshape(-1), now.numpy().reshape(-1)))
