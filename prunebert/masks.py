"""Masks: which weights stay. Pure functions from scores S to masks M, both dicts of parameter name -> tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebert.errors import BadInput, Diverged, bad_choice

Scores = dict[str, Tensor]  # real, same shape as the weight each ranks
Masks = Mapping[str, Tensor]  # bool: True = the weight stays. Float in the forward pass where a gradient flows to S


def top(scores: Tensor, count: int) -> Tensor:
    """Top_v(S): True at exactly `count` largest scores; among equal scores the earlier position stays.

    Any shape in, the same shape out (bool). Raises Diverged if the scores hold NaN.
    """
    (mask,), _ = select([scores.detach().flatten()], count)
    return mask.view_as(scores)


def select(parts: list[Tensor], count: int) -> tuple[list[Tensor], float]:
    """The same over several flat tensors in a row, without a copy of them all; and the largest score that is removed.

    Floyd & Rivest's idea: 2 n^(2/3) scores, evenly spaced, tell two bounds between which the cut almost surely lies.
    What is above both stays; only the few in between are sorted. If the cut is not there, all are.
    """
    if any(flat.sum().isnan() and flat.isnan().any() for flat in parts):
        raise Diverged("the scores became NaN, so no mask can be ranked from them; lower the learning rate")
    size = sum(flat.numel() for flat in parts)
    if count <= 0 or count >= size:
        largest = max(float(x.max()) for x in parts if len(x)) if count <= 0 < size else -math.inf
        return [torch.full_like(x, count > 0, dtype=torch.bool) for x in parts], largest
    found = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in parts]
    flats = [x.numpy() if x.device.type == "cpu" else x for x in found]  # numpy compares twice as fast
    low, high = _bounds(flats, count, size)
    masks: list[Any] = [x > high for x in flats]
    between = [_between(x, low, m) for x, m in zip(flats, masks, strict=True)]
    need = count - sum(int(np.count_nonzero(m) if isinstance(m, np.ndarray) else m.sum()) for m in masks)
    if not 0 < need <= sum(len(i) for i in between):
        masks, need, low, high = [x != x for x in flats], count, -math.inf, math.inf
        between = [_between(x, low, m) for x, m in zip(flats, masks, strict=True)]
    values = [x[i] for x, i in zip(flats, between, strict=True)]
    cut = low if low == high else _largest(values, need)
    ties = need - sum(int((v > cut).sum()) for v in values)
    below = cut if ties < sum(int((v == cut).sum()) for v in values) else _largest_below(values, cut)
    if below == -math.inf:
        below = _largest_below(flats, cut)
    for mask, position, value in zip(masks, between, values, strict=True):
        mask[position[value > cut]] = True
        equal = position[value == cut][:ties]
        mask[equal] = True
        ties -= len(equal)
    return [torch.as_tensor(m) for m in masks], float(below)


def _bounds(flats: list[Any], count: int, size: int) -> tuple[float, float]:
    """Two scores between which the count-th largest lies, but for one draw in a thousand."""
    apart = max(1, round(size ** (1 / 3) / 2))
    samples = [x[::apart] for x in flats]
    drawn = sum(len(x) for x in samples)
    rank, width = drawn * count / size, 3.5 * math.sqrt(drawn * count / size * (1 - count / size)) + 2
    order = np.sort(np.concatenate(samples)) if isinstance(flats[0], np.ndarray) else torch.cat(samples).sort().values
    low, high = drawn - 1 - math.ceil(rank + width), drawn - 1 - math.floor(rank - width)
    return float(order[low]) if low >= 0 else -math.inf, float(order[high]) if high < drawn else math.inf


def _between(x: Any, low: float, above: Any) -> Any:
    """Where x is at least `low` and not `above`, in order."""
    if isinstance(x, np.ndarray):
        found = x >= low
        return np.flatnonzero(np.logical_xor(found, above, out=found))
    return ((x >= low) ^ above).nonzero().flatten()


def _largest_below(values: list[Any], cut: float) -> float:
    return max((float(lower.max()) for v in values if len(lower := v[v < cut])), default=-math.inf)


def _largest(values: list[Any], k: int) -> float:
    """The k-th largest of all."""
    if isinstance(values[0], np.ndarray):
        together = np.concatenate(values)
        return float(np.partition(together, len(together) - k)[len(together) - k])
    return float(torch.cat(values).sort(descending=True).values[k - 1])


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


def keep_top(S: Scores, sparsity: float | dict[str, float], scope: str = "local") -> dict[str, Tensor]:
    """M = Top_v(S), removing exactly the asked fraction.

    scope="local": the fraction (one for all, or one per matrix) is removed in every matrix.
    scope="global": one ranking over all matrices together.
    """
    if scope == "local":
        per_matrix = sparsity if isinstance(sparsity, dict) else dict.fromkeys(S, sparsity)
        kept = counts({n: s.numel() for n, s in S.items()}, per_matrix)
        return {n: top(s, kept[n]) for n, s in S.items()}
    if scope == "global":
        if isinstance(sparsity, dict):
            raise BadInput("scope=global: one ranking over all matrices has one sparsity, not one for each")
        return ranked(S, sparsity)[0]
    raise bad_choice("scope", scope, ["local", "global"])


def ranked(S: Scores, sparsity: float) -> tuple[dict[str, Tensor], float]:
    """M = Top_v(S) over all matrices together, and the largest score it removes; -inf if it removes none."""
    flats = [s.detach().flatten() for s in S.values()]
    size = sum(len(x) for x in flats)
    masks, largest = select(flats, round(size - size * sparsity))
    return {n: mask.view_as(s) for (n, s), mask in zip(S.items(), masks, strict=True)}, largest


def quantile(S: Scores, sparsity: float) -> float:
    """The largest score that is removed when the asked fraction of all scores together is; -inf if none is."""
    return ranked(S, sparsity)[1]


def shift(S: Scores, amount: float) -> None:
    """S ← S - amount, in place, outside of any gradient."""
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
