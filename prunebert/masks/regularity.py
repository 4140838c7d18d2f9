"""Regularity: whether a mask satisfies a pattern, counted on the mask alone.

    N:M    of every M consecutive columns of a row, at most N weights stay
    RxC    of every block of R rows and C columns, all weights stay or none

Groups and blocks start at the first row and column of an [out, in] matrix. A matrix that they do not divide evenly
satisfies no such pattern. A matrix that keeps everything or nothing satisfies every RxC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

NONE = "none"  # the pattern of masks without one
WORDS = {4: np.uint32, 8: np.uint64}  # a group of so many bools, read as one number


class Pattern(NamedTuple):
    """A pattern: N of every M columns if `most` is given, else blocks of `rows` by `columns`."""

    rows: int  # of a block; 1 for N:M
    columns: int  # of a block; M for N:M
    most: int | None  # N for N:M; None for blocks


def parse(pattern: str) -> Pattern | None:
    """Read "N:M" with N below M, or "RxC". None for any other text, such as "none"."""
    if match := re.fullmatch(r"([1-9]\d{0,5}):([1-9]\d{0,5})", pattern, re.ASCII):
        most, columns = map(int, match.groups())
        return Pattern(1, columns, most) if most < columns else None
    if match := re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", pattern, re.ASCII):
        return Pattern(int(match[1]), int(match[2]), None)
    return None


def satisfied(masks: Iterable[np.ndarray], pattern: Pattern) -> bool:
    """Return whether each of these bool matrices satisfies the pattern."""
    if pattern.most is None:
        return all(in_blocks(mask, pattern.rows, pattern.columns) for mask in masks)
    counts = (most_kept(mask, pattern.columns) for mask in masks)
    return all(count is not None and count <= pattern.most for count in counts)


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
