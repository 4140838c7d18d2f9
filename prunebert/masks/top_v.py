"""Masks: which weights stay. Pure functions from scores S to masks M, both dicts of parameter name -> tensor."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebert.errors import BadInput, Diverged, bad_choice
from prunebert.masks import chunks
from prunebert.masks.chunks import differing

Scores = dict[str, Tensor]  # real, same shape as the weight each ranks
Masks = Mapping[str, Tensor]  # bool: True = the weight stays. Float in the forward pass where a gradient flows to S

log = logging.getLogger(__name__)
NAN = "the scores became NaN, so no mask can be ranked from them; lower the learning rate"


@dataclass
class Window:
    """Two bounds around the cut that was found last. Kept from step to step they save time, and change no result."""

    low: float = math.nan
    high: float = math.nan
    cut: float = math.nan
    there: Tensor | None = None  # the same on a GPU, of several groups at once: radix.py

    def known(self) -> bool:
        """Whether there are any."""
        return self.low < self.high

    def follow(self, cut: float, width: float, within: int, size: int) -> None:
        """Look for the next cut around this one: as far on either side as four times what it has moved, or `width` in
        all, within which were so many of `size` scores, if that is more, or half of it where they were many. No wider
        than holds 1 in 200 (of few scores 1,000), and nowhere if the cut moves further than that; nor if `width` is 0
        or not finite.
        """
        moved, self.cut = abs(cut - self.cut), cut
        moved = 0.0 if math.isnan(moved) else moved
        widest = width * max(size / 200, 1000) / within
        many = within > max(size / 2000, 64)
        width = min(max(width / 2 if many else width, 8 * moved), widest)
        lost = not math.isfinite(width) or 4 * moved > widest
        self.low, self.high = (math.nan, math.nan) if lost else (cut - width / 2, cut + width / 2)

    def shift(self, amount: float | Tensor) -> None:
        """The scores have moved down."""
        if self.there is not None:
            self.there[:3] -= amount
        elif not math.isnan(self.cut):
            self.low, self.high, self.cut = (x - float(amount) for x in (self.low, self.high, self.cut))


Near = defaultdict[str, Window]  # by matrix; of a ranking of all together under ""


def top(scores: Tensor, count: int, near: Window | None = None) -> Tensor:
    """Top_v(S): True at exactly `count` largest scores; among equal scores the earlier position stays.

    Any shape in, the same shape out (bool). Raises Diverged if the scores hold NaN.
    """
    (mask,), _ = select([scores.detach().flatten()], count, near, runner_up=False)
    return mask.view_as(scores)


def tops(S: Scores, counts: list[int] | Tensor, near: Near | None = None) -> dict[str, Tensor]:
    """`top` of every matrix; counts in the order of S, on a GPU maybe a tensor there: [matrices]."""
    if any(s.device.type != "cpu" for s in S.values()):
        found = elsewhere(
            [[s.detach().flatten().float()] for s in S.values()], counts, None if near is None else near[""]
        )
        return {n: mask.view_as(s) for (n, s), ((mask,), _) in zip(S.items(), found, strict=True)}
    return {
        n: top(s, int(k), near[n] if near is not None else None) for (n, s), k in zip(S.items(), counts, strict=True)
    }


def select(
    parts: list[Tensor], count: int, previous_window: Window | None = None, runner_up: bool = True
) -> tuple[list[Tensor], float | Tensor]:
    """Top_v(S) over several flat tensors as over one in a row: their bool masks, in the order of `parts`, and the
    largest score that is removed, -inf if none is: on the CPU a float, elsewhere a 0-d tensor there.

    count: how many stay, of all parts together. previous_window: where the cut was the last time; it is tried first and
    moved to where the cut is now. runner_up=False: the largest removed score is not needed, and may be -inf.

    On the CPU by Floyd & Rivest's idea, without a copy of them all: 2 n^(2/3) scores, evenly spaced, tell two bounds
    between which the cut almost surely lies. What is above both stays; only the few in between are sorted. If the cut
    is not there, all are. A previous window's bounds are narrower, around the last step's cut; scores that had one are
    not looked through for NaN again, which a training step does not let come about (step.py). On other
    devices see `elsewhere`.
    """
    previous_window = previous_window or Window()
    scores = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in parts]
    if any(x.device.type != "cpu" for x in scores):
        return elsewhere([scores], [count], previous_window)[0]
    flats = [x.numpy() for x in scores]  # numpy compares twice as fast as torch
    size = sum(len(x) for x in flats)
    if count <= 0 or count >= size or not previous_window.known():
        largest = np.array([x.max(initial=-math.inf) for x in flats])
        if np.isnan(largest).any():
            raise Diverged(NAN)
    if count <= 0 or count >= size:
        every = [torch.full_like(x, count > 0, dtype=torch.bool) for x in parts]
        return every, float(largest.max()) if count <= 0 < size else -math.inf
    for window in _windows(flats, count, size, previous_window):
        low, high, width = window
        split, still_to_keep = _split(flats, count, low, high)
        if still_to_keep:
            break
    else:
        raise Diverged(NAN)
    values = [x[positions] for x, (_, positions) in zip(flats, split, strict=True)]
    candidates = np.concatenate(values)
    order = np.partition(candidates, len(candidates) - still_to_keep)
    removed, stay = order[:-still_to_keep], order[-still_to_keep:]
    cut, below = stay[0], removed.max(initial=-math.inf)
    ties = int(np.count_nonzero(stay == cut))
    for (mask, positions), value in zip(split, values, strict=True):
        mask[positions[value >= cut]] = True
        if below == cut:
            equal = positions[value == cut]
            mask[equal[ties:]] = False
            ties = max(ties - len(equal), 0)
    previous_window.follow(float(cut), width, len(candidates), size)
    if below == -math.inf and runner_up:
        below = max(float(x[x < low].max(initial=-math.inf)) for x in flats)
    return [torch.from_numpy(mask) for mask, _ in split], float(below)


def elsewhere(
    groups: list[list[Tensor]], counts: list[int] | Tensor, window: Window | None = None
) -> list[tuple[list[Tensor], Tensor]]:
    """`select` of several groups at once, not on the CPU: without the host's waiting for the device, and so NaN is not
    raised for (see train.py), but ranks as the largest. On CUDA by radix.py where Triton is there, as it is with torch
    on Linux; else by a stable sort.
    """
    if on_gpu(x for group in groups for x in group):
        from prunebert.masks import selection_cuda

        window = window or Window()
        found, largest, window.there = selection_cuda.select(groups, counts, window.there)
        return list(zip(found, largest, strict=True))
    numbers = counts.tolist() if isinstance(counts, Tensor) else counts
    return [by_sorting(group, count) for group, count in zip(groups, numbers, strict=True)]


def on_gpu(scores: Iterable[Tensor]) -> bool:
    """Whether Triton's kernels can take them: float32, in a row, on the current CUDA device, and Triton works."""
    scores = list(scores)
    if not all(x.is_cuda and x.dtype == torch.float32 and x.is_contiguous() for x in scores):
        return False
    return {x.get_device() for x in scores} == {torch.cuda.current_device()} and _triton()


@cache
def _triton() -> bool:
    """Whether radix.py works here: its histogram's mask is there since torch 2.8's Triton, which needs a C compiler."""
    if find_spec("triton") is None or tuple(int(x) for x in torch.__version__.split(".")[:2]) < (2, 8):
        return False
    try:
        from prunebert.masks import selection_cuda

        selection_cuda.select([[torch.arange(3.0, device="cuda")]], [1])
    except Exception as error:  # noqa: BLE001  whatever Triton lacks
        log.warning("Triton does not work here, masks are sorted instead: %s", str(error).partition("\n")[0])
        return False
    return True


def by_sorting(parts: list[Tensor], count: int) -> tuple[list[Tensor], Tensor]:
    """`select` as it is defined: by a stable sort of all of them."""
    together = torch.cat(parts)
    count = min(max(count, 0), len(together))
    values, order = together.sort(descending=True, stable=True)
    mask = torch.zeros_like(together, dtype=torch.bool).index_fill_(0, order[:count], True)
    largest = values[count] if count < len(values) else values.new_full((), -math.inf)
    return list(mask.split([len(x) for x in parts])), largest


def _windows(flats: list[Any], count: int, size: int, previous: Window) -> Iterator[tuple[float, float, float]]:
    """Where to look for the cut, in order: (low, high, width of the next step's window); at last everywhere."""
    if previous.known():
        yield previous.low, previous.high, previous.high - previous.low
    low, high = _bounds(flats, count, size)
    inner = np.nextafter(low, np.inf, dtype=flats[0].dtype), np.nextafter(high, -np.inf, dtype=flats[0].dtype)
    if inner[0] < inner[1]:  # without the scores that many may share, 0 say
        yield float(inner[0]), float(inner[1]), (high - low) / 4
    yield low, high, (high - low) / 4
    yield -math.inf, math.inf, math.nan


def _bounds(flats: list[Any], count: int, size: int) -> tuple[float, float]:
    """Two scores between which the count-th largest lies, but for one draw in a thousand."""
    apart = max(1, round(size ** (1 / 3) / 2))
    sample = np.concatenate([x[::apart] for x in flats])
    drawn = len(sample)
    rank, width = drawn * count / size, 3.5 * math.sqrt(drawn * count / size * (1 - count / size)) + 2
    low, high = drawn - 1 - math.ceil(rank + width), drawn - 1 - math.floor(rank - width)
    order = np.sort(sample)
    return float(order[low]) if low >= 0 else -math.inf, float(order[high]) if high < drawn else math.inf


def _split(flats: list[Any], count: int, low: float, high: float) -> tuple[list[tuple[Any, Any]], int]:
    """Of each, a mask of what is above `high`, and the positions of its candidates, from `low` to `high`, in order; and
    how many of all candidates still have to be kept, 0 if the cut is not among them."""
    found, still_to_keep = [], count
    for x in flats:
        step = chunks.SIZE
        above, candidates, room = np.empty(len(x), bool), [], np.empty(min(len(x), step), bool)
        for start in range(0, max(len(x), 1), step):
            part = x[start : start + step]
            over = np.greater(part, high, out=above[start : start + step])
            candidates.append(start + differing(over, np.greater_equal(part, low, out=room[: len(part)])))
        found.append((above, np.concatenate(candidates)))
        still_to_keep -= int(np.count_nonzero(above))
    return found, still_to_keep if 0 < still_to_keep <= sum(len(positions) for _, positions in found) else 0


def counts(sizes: dict[str, int], sparsity: dict[str, float]) -> dict[str, int]:
    """Weights to keep in each matrix: within 1 of n(1-s), and together exactly round(Σ n(1-s)).

    Largest remainders decide who gets the last ones, so the sparsity asked is the one measured to within one weight.
    """
    exact = {n: size - size * sparsity[n] for n, size in sizes.items()}
    kept = {n: int(x + 1e-6) for n, x in exact.items()}  # 1e-6: 10 * (1 - 0.9) must floor to 1
    short = round(sum(exact.values())) - sum(kept.values())
    by_remainder = sorted(exact, key=lambda n: (kept[n] - exact[n], n))
    for n in by_remainder[: max(short, 0)]:
        kept[n] += 1
    return kept


def keep_top(
    S: Scores, sparsity: float | dict[str, float], scope: str = "local", near: Near | None = None
) -> dict[str, Tensor]:
    """M = Top_v(S), removing exactly the asked fraction.

    scope="local": the fraction (one for all, or one per matrix) is removed in every matrix.
    scope="global": one ranking over all matrices together. near: where the cuts were the last time, to be quicker.
    """
    near = Near(Window) if near is None else near
    if scope == "local":
        per_matrix = sparsity if isinstance(sparsity, dict) else dict.fromkeys(S, sparsity)
        kept = counts({n: s.numel() for n, s in S.items()}, per_matrix)
        return tops(S, [kept[n] for n in S], near)
    if scope == "global":
        if isinstance(sparsity, dict):
            raise BadInput("scope=global: one ranking over all matrices has one sparsity, not one for each")
        return ranked(S, sparsity, near[""])[0]
    raise bad_choice("scope", scope, ["local", "global"])


def ranked(S: Scores, sparsity: float, near: Window | None = None) -> tuple[dict[str, Tensor], float | Tensor]:
    """M = Top_v(S) over all matrices together, and the largest score it removes; -inf if it removes none."""
    flats = [s.detach().flatten() for s in S.values()]
    size = sum(len(x) for x in flats)
    masks, largest = select(flats, round(size - size * sparsity), near)
    return {n: mask.view_as(s) for (n, s), mask in zip(S.items(), masks, strict=True)}, largest


def quantile(S: Scores, sparsity: float, near: Window | None = None) -> float | Tensor:
    """The largest score that is removed when the asked fraction of all scores together is; -inf if none is. On a GPU a
    0-d tensor there, of the precision of a float."""
    largest = ranked(S, sparsity, near)[1]
    return largest.double() if isinstance(largest, Tensor) else largest


def shift(S: Scores, amount: float | Tensor, near: Window | None = None) -> None:
    """S ← S - amount, in place, outside of any gradient; near moves along."""
    if near:
        near.shift(amount)
    with torch.no_grad():
        for s in S.values():
            s.sub_(amount)


def kept(masks: Masks) -> int:
    """How many weights stay, over all matrices."""
    return sum(int(torch.count_nonzero(m)) for m in masks.values())


def sparsity(masks: Masks) -> float:
    """Fraction removed of the weights that have a mask; 0 where there is none."""
    total = sum(m.numel() for m in masks.values())
    return 1 - kept(masks) / total if total else 0.0
