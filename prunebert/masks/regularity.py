"""Regularity: whether a mask satisfies a pattern, counted on the mask alone.

    N:M    of every M consecutive columns of a row, at most N weights stay
    RxC    of every block of R rows and C columns, all weights stay or none

Groups and blocks start at the first row and column of an [out, in] matrix. A matrix that they do not divide evenly
satisfies no such pattern. A matrix that keeps everything or nothing satisfies every RxC.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from prunebert.errors import BadInput
from prunebert.masks import pattern as patterns
from prunebert.masks.pattern import Blocks, Groups

WORDS = {4: np.uint32, 8: np.uint64}  # a group of so many bools, read as one number


def parse(text: str) -> Groups | Blocks | None:
    """Return the pattern that a text names. None if it names none, such as "none" or a word of another method."""
    try:
        found = patterns.parse(text)
    except BadInput:
        return None
    return found if isinstance(found, Groups | Blocks) else None


def satisfied(masks: Iterable[np.ndarray], pattern: Groups | Blocks) -> bool:
    """Return whether each of these bool matrices satisfies the pattern."""
    if isinstance(pattern, Blocks):
        return all(in_blocks(mask, pattern.rows, pattern.columns) for mask in masks)
    counts = (most_kept(mask, pattern.of) for mask in masks)
    return all(count is not None and count <= pattern.keep for count in counts)


def kept_in_groups(mask: np.ndarray, width: int) -> np.ndarray | None:
    """Return how many weights each group of `width` consecutive columns keeps, [rows, groups].

    None if the columns are no multiple of `width`.
    """
    rows, columns = mask.shape
    if columns % width:
        return None
    if width in WORDS:  # a True is a byte of value 1, so the bits of a group's bytes are its kept weights
        return np.bitwise_count(np.ascontiguousarray(mask).view(WORDS[width]))
    if width % 8 == 0 and width <= 128:  # halves of counts that a byte holds
        halves = kept_in_groups(mask, width // 2)
        return None if halves is None else halves[:, ::2] + halves[:, 1::2]
    return mask.reshape(rows, -1, width).sum(2)


def most_kept(mask: np.ndarray, width: int) -> int | None:
    """Return the most weights that a group of `width` columns keeps. None if the columns are no multiple of it."""
    counts = kept_in_groups(mask, width)
    return None if counts is None else int(counts.max(initial=0))


def in_blocks(mask: np.ndarray, rows: int, columns: int) -> bool:
    """Return whether every block of `rows` by `columns` is wholly kept or wholly removed."""
    counts = kept_in_groups(mask, columns)
    if counts is None or len(mask) % rows:
        return False
    if columns > 1 and ((counts != 0) & (counts != columns)).any():
        return False
    stacked = counts.reshape(-1, rows, counts.shape[1])
    return bool((stacked == stacked[:, :1]).all())
