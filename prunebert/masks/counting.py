"""Selection by counting: exact for any scores, in little memory. It is slower than selection.select's narrow bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from prunebert.masks import chunks

DIGIT = 16  # bits of a number that one pass over the scores counts


def cut_of(flats: list[Any], count: int) -> tuple[float, int, int]:
    """Return the `count`-th largest of all scores, by a radix search from the highest bits down.

    Args:
        flats: flat numpy arrays of one float type, without NaN.
        count: from 1 to the number of scores.

    Returns:
        The cut. How many of the scores equal to it are among the `count` largest. How many are equal to it.
    """
    bits = 8 * flats[0].dtype.itemsize
    prefix, still_to_keep, histogram, digit = 0, count, np.zeros(0, np.int64), 0
    for shift in range(bits - DIGIT, -1, -DIGIT):
        histogram = np.zeros(2**DIGIT, np.int64)
        for _, part in _pieces(flats):
            keys = _ordered(part)
            if shift < bits - DIGIT:
                keys = keys[keys >> (shift + DIGIT) == prefix]
            digits = (keys >> shift).astype(np.int64) & (2**DIGIT - 1)
            histogram += np.bincount(digits, minlength=2**DIGIT)
        at_least = histogram[::-1].cumsum()[::-1]
        digit = int(np.flatnonzero(at_least >= still_to_keep)[-1])
        still_to_keep -= int(at_least[digit] - histogram[digit])
        prefix = prefix << DIGIT | digit
    return _value(prefix, flats[0].dtype), still_to_keep, int(histogram[digit])


def masks_at(flats: list[Any], cut: float, still_to_keep: int) -> list[Any]:
    """Return masks of the scores above the cut, and of the first `still_to_keep` of those equal to it."""
    masks = [np.empty(len(x), bool) for x in flats]
    for (number, start), part in _pieces(flats):
        mask = masks[number][start : start + len(part)]
        np.greater(part, cut, out=mask)
        equal = part == cut if still_to_keep else mask[:0]
        stay = min(int(np.count_nonzero(equal)), still_to_keep)
        mask[np.flatnonzero(equal)[:stay]] = True
        still_to_keep -= stay
    return masks


def largest_below(flats: list[Any], bound: float) -> float:
    """Return the largest score below a bound, -inf if there is none."""
    return max((float(part[part < bound].max(initial=-math.inf)) for _, part in _pieces(flats)), default=-math.inf)


def _pieces(flats: list[Any]) -> Iterator[tuple[tuple[int, int], Any]]:
    """Yield (the array's number, the piece's start) and the piece, in order."""
    for number, x in enumerate(flats):
        for start in range(0, len(x), chunks.SIZE):
            yield (number, start), x[start : start + chunks.SIZE]


def _ordered(x: Any) -> Any:
    """Return unsigned integers in the order of the floats. Equal floats, 0 and -0 too, have equal integers."""
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    sign = unsigned.type(1 << 8 * x.dtype.itemsize - 1)
    keys = (x + x.dtype.type(0)).view(unsigned)  # -0 + 0 is 0
    return np.where(keys & sign, ~keys, keys | sign)


def _value(key: int, dtype: Any) -> float:
    """Return the float whose `_ordered` integer this is."""
    bits = 8 * dtype.itemsize
    sign = 1 << bits - 1
    key = key ^ sign if key & sign else key ^ (1 << bits) - 1
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
