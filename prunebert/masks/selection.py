"""Exact selection of the largest scores: Top_v(S) of groups of flat tensors, and the largest score it removes.

`selection_for` chooses the implementation for a device. Each remembers where the cuts were in the last step. That saves
time and changes no result. Among equal scores the earlier position stays.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from prunebert.errors import Diverged
from prunebert.masks import chunks, counting
from prunebert.masks.chunks import differing

Groups = list[list[Tensor]]  # each group holds flat tensors that are ranked together
Counts = list[int] | Tensor  # how many scores of each group stay, [groups]
Scalar = float | Tensor  # a float on the CPU; elsewhere a 0-d tensor on the device, which the host need not wait for
Selected = tuple[list[Tensor], Scalar]  # a group's bool masks, and its largest removed score (-inf if none is removed)

log = logging.getLogger(__name__)
MOST_LISTED = 2**21  # scores between two bounds whose positions are listed, in 16 MiB; more are counted
KERNELS_SINCE = (2, 8)  # the version of torch whose Triton can compile selection_cuda.py
NAN = "the scores became NaN, so no mask can be ranked from them; lower the learning rate"


def selection_for(scores: Iterable[Tensor]) -> Selection:
    """Return the implementation for the device that the scores are on."""
    return CpuSelection() if all(x.device.type == "cpu" for x in scores) else DeviceSelection()


class Selection(Protocol):
    """What both implementations offer."""

    reads_values: bool  # whether the host reads a tensor's values without waiting for a device

    def select(self, groups: Groups, counts: Counts, runner_up: bool = True) -> list[Selected]:
        """Return the masks and the largest removed score of every group.

        runner_up: False if the largest removed score is not needed; it may then be -inf.
        """

    def shift(self, amount: Scalar) -> None:
        """The scores were moved down by `amount`: move the remembered cuts too."""


class CpuSelection:
    """Selects on the CPU, one group after another, with a window around the last cut of each group."""

    reads_values = True

    def __init__(self) -> None:
        self.windows: defaultdict[int, Window] = defaultdict(Window)  # by the group's position

    def select(self, groups: Groups, counts: Counts, runner_up: bool = True) -> list[Selected]:
        """See Selection and `select`."""
        return [
            select(parts, int(count), self.windows[i], runner_up)
            for i, (parts, count) in enumerate(zip(groups, counts, strict=True))
        ]

    def shift(self, amount: Scalar) -> None:
        """See Selection."""
        for window in self.windows.values():
            window.shift(amount)


class DeviceSelection:
    """Selects off the CPU, all groups at once.

    It never synchronises with the device, so NaN cannot be detected here: NaN ranks as the largest score, and
    training/loop.py checks for it. On CUDA it runs the kernels of selection_cuda.py where Triton is installed, as it is
    with torch on Linux. Otherwise it sorts.
    """

    reads_values = False

    def __init__(self) -> None:
        self.windows: Tensor | None = None  # as selection_cuda.select returns them, [5, groups]

    def select(self, groups: Groups, counts: Counts, runner_up: bool = True) -> list[Selected]:
        """See Selection."""
        groups = [[_comparable(x) for x in group] for group in groups]
        if kernels_take(x for group in groups for x in group):
            from prunebert.masks import selection_cuda

            masks, largest, self.windows = selection_cuda.select(groups, counts, self.windows)
            return list(zip(masks, largest, strict=True))
        numbers = counts.tolist() if isinstance(counts, Tensor) else counts
        return [by_sorting(group, count) for group, count in zip(groups, numbers, strict=True)]

    def shift(self, amount: Scalar) -> None:
        """See Selection."""
        if self.windows is not None:
            self.windows[:3] -= amount


@dataclass
class Window:
    """Two bounds around the cut of the last step, for one group on the CPU."""

    low: float = math.nan
    high: float = math.nan
    cut: float = math.nan

    def is_set(self) -> bool:
        """Return whether the window has bounds."""
        return self.low < self.high

    def follow(self, cut: float, width: float, within: int, size: int) -> None:
        """Place the window for the next step around this step's cut.

        The new width is the larger of 8 × the cut's last move and the old width, halved if the old window held many
        scores. It is limited to what holds 1 in 200 scores (1,000 where there are few). There is no window if the cut
        moves further than that, or if the width is 0 or not finite.

        Args:
            cut: This step's cut.
            width: The old window's width.
            within: How many scores the old window held.
            size: How many scores there are.
        """
        move, self.cut = abs(cut - self.cut), cut
        move = 0.0 if math.isnan(move) else move
        widest = width * max(size / 200, 1000) / within
        crowded = within > max(size / 2000, 64)
        width = min(max(width / 2 if crowded else width, 8 * move), widest)
        lost = not math.isfinite(width) or 4 * move > widest
        self.low, self.high = (math.nan, math.nan) if lost else (cut - width / 2, cut + width / 2)

    def shift(self, amount: Scalar) -> None:
        """Move the window down by `amount`. A window without a cut does not read `amount`."""
        if not math.isnan(self.cut):
            self.low, self.high, self.cut = (x - float(amount) for x in (self.low, self.high, self.cut))


def select(parts: list[Tensor], count: int, window: Window | None = None, runner_up: bool = True) -> Selected:
    """Select the `count` largest of all scores in several flat CPU tensors, as if they were one tensor.

    It follows Floyd & Rivest and copies no full tensor. A sample of 2 n^(2/3) evenly spaced scores gives two bounds
    between which the cut almost surely lies. Scores above both stay, and only the few in between are sorted. If the cut
    lies outside, or many scores are in between, it is found by counting.

    A window from the last step is narrower and is tried first. Scores that have one are not searched for NaN again,
    because a training step raises before its scores become NaN (training/step.py).

    Args:
        parts: The group's flat tensors.
        count: How many scores stay, of all parts together.
        window: Bounds around the last step's cut. It is moved to this step's cut.
        runner_up: False if the largest removed score is not needed; it may then be -inf.

    Returns:
        The bool masks, in the order of `parts`, and the largest removed score; -inf if none is removed.

    Raises:
        Diverged: The scores hold NaN.
    """
    window = window or Window()
    flats = [_comparable(x).numpy() for x in parts]  # numpy compares twice as fast as torch
    size = sum(len(x) for x in flats)
    if count <= 0 or count >= size or not window.is_set():
        largest = np.array([x.max(initial=-math.inf) for x in flats])
        if np.isnan(largest).any():
            raise Diverged(NAN)
    if count <= 0 or count >= size:
        constant = [torch.full_like(x, count > 0, dtype=torch.bool) for x in parts]
        return constant, float(largest.max()) if count <= 0 < size else -math.inf
    for bounds in _windows(flats, count, size, window):
        low, high, width = bounds
        if split := _split(flats, count, low, high, MOST_LISTED):
            break
    else:
        return _by_counting(flats, count, window, width)
    parts_of_masks, still_to_keep = split
    values = [x[positions] for x, (_, positions) in zip(flats, parts_of_masks, strict=True)]
    candidates = np.concatenate(values)
    order = np.partition(candidates, len(candidates) - still_to_keep)
    removed, stay = order[:-still_to_keep], order[-still_to_keep:]
    cut, below = stay[0], removed.max(initial=-math.inf)
    ties = int(np.count_nonzero(stay == cut))
    for (mask, positions), value in zip(parts_of_masks, values, strict=True):
        mask[positions[value >= cut]] = True
        if below == cut:
            equal = positions[value == cut]
            mask[equal[ties:]] = False
            ties = max(ties - len(equal), 0)
    window.follow(float(cut), width, len(candidates), size)
    if below == -math.inf and runner_up:
        below = counting.largest_below(flats, low)
    return [torch.from_numpy(mask) for mask, _ in parts_of_masks], float(below)


def _by_counting(flats: list[Any], count: int, window: Window, width: float) -> Selected:
    """Select where no narrow bounds hold the cut, as where many scores are equal. See `select`."""
    if any(np.isnan(x.max(initial=-math.inf)) for x in flats):
        raise Diverged(NAN)
    cut, still_to_keep, equal = counting.cut_of(flats, count)
    window.follow(cut, width, equal, sum(len(x) for x in flats))
    below = cut if still_to_keep < equal else counting.largest_below(flats, cut)
    return [torch.from_numpy(mask) for mask in counting.masks_at(flats, cut, still_to_keep)], below


def by_sorting(parts: list[Tensor], count: int) -> tuple[list[Tensor], Tensor]:
    """Select by a stable sort of all scores. This is the definition that the other implementations agree with."""
    together = torch.cat(parts)
    count = min(max(count, 0), len(together))
    values, order = together.sort(descending=True, stable=True)
    mask = torch.zeros_like(together, dtype=torch.bool).index_fill_(0, order[:count], True)
    largest = values[count] if count < len(values) else values.new_full((), -math.inf)
    return list(mask.split([len(x) for x in parts])), largest


def kernels_take(tensors: Iterable[Tensor]) -> bool:
    """Return whether the Triton kernels can read these: contiguous float32 on the current CUDA device."""
    tensors = list(tensors)
    if not all(x.is_cuda and x.dtype == torch.float32 and x.is_contiguous() for x in tensors):
        return False
    return {x.get_device() for x in tensors} == {torch.cuda.current_device()} and _triton()


@cache
def _triton() -> bool:
    """Return whether selection_cuda.py works here.

    Its histogram with a mask needs a later Triton than torch 2.7 has, and Triton needs a C compiler.
    """
    if find_spec("triton") is None or tuple(int(x) for x in torch.__version__.split(".")[:2]) < KERNELS_SINCE:
        return False
    try:
        from prunebert.masks import selection_cuda

        selection_cuda.select([[torch.arange(3.0, device="cuda")]], [1])
    except Exception as error:  # noqa: BLE001  whatever Triton lacks
        log.warning("Triton does not work here, so masks are sorted: %s", str(error).partition("\n")[0])
        return False
    return True


def _comparable(x: Tensor) -> Tensor:
    """Return half-precision scores as float32, others unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _windows(flats: list[Any], count: int, size: int, previous: Window) -> Iterator[tuple[float, float, float]]:
    """Yield the bounds to try, in order: (low, high, the next step's window width)."""
    if previous.is_set():
        yield previous.low, previous.high, previous.high - previous.low
    low, high = _bounds(flats, count, size)
    inner = np.nextafter(low, np.inf, dtype=flats[0].dtype), np.nextafter(high, -np.inf, dtype=flats[0].dtype)
    if inner[0] < inner[1]:  # excludes the bounds themselves, a value that many scores may share (0, say)
        yield float(inner[0]), float(inner[1]), (high - low) / 4
    yield low, high, (high - low) / 4


def _bounds(flats: list[Any], count: int, size: int) -> tuple[float, float]:
    """Return two scores between which the count-th largest lies, except for one draw in a thousand."""
    spacing = max(1, round(size ** (1 / 3) / 2))
    sample = np.concatenate([x[::spacing] for x in flats])
    drawn = len(sample)
    rank, width = drawn * count / size, 3.5 * math.sqrt(drawn * count / size * (1 - count / size)) + 2
    low, high = drawn - 1 - math.ceil(rank + width), drawn - 1 - math.floor(rank - width)
    order = np.sort(sample)
    return float(order[low]) if low >= 0 else -math.inf, float(order[high]) if high < drawn else math.inf


def _split(
    flats: list[Any], count: int, low: float, high: float, most: int
) -> tuple[list[tuple[Any, Any]], int] | None:
    """Split the scores at two bounds.

    Returns:
        For each tensor a mask of the scores above `high`, and the positions of its candidates (from `low` to `high`),
        in order. Then how many of all candidates still have to be kept. None if the cut is not among the candidates, or
        if they are more than `most`.
    """
    split, still_to_keep, total = [], count, 0
    for x in flats:
        step = chunks.SIZE
        above, candidates, room = np.empty(len(x), bool), [], np.empty(min(len(x), step), bool)
        for start in range(0, max(len(x), 1), step):
            part = x[start : start + step]
            over = np.greater(part, high, out=above[start : start + step])
            candidates.append(start + differing(over, np.greater_equal(part, low, out=room[: len(part)])))
            if (total := total + len(candidates[-1])) > most:
                return None
        split.append((above, np.concatenate(candidates)))
        still_to_keep -= int(np.count_nonzero(above))
    return (split, still_to_keep) if 0 < still_to_keep <= total else None
