"""What task.max_length does to a task's rows: how many texts it cuts, and what long rows cost."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from prunebert.tasks.batching import Rows

log = logging.getLogger(__name__)
USUAL = 512  # tokens: the longest row of BERT and most encoders after it


def cut_rows(encoded: Any, max_length: int) -> list[bool]:
    """Return for each row whether the tokenizer cut it.

    encoded: what a fast tokenizer returns for a list with truncation=True and this max_length.
    """
    return [len(row) >= max_length and bool(row.overflowing) for row in encoded.encodings]


def log_cut(cut: np.ndarray, max_length: int, split: str = "", texts: str = "texts") -> None:
    """Log in one line how many rows were cut, unless none was.

    Args:
        cut: of each row, [rows], from cut_rows.
        split: the rows' split; "" leaves it out.
        texts: what a row is.
    """
    count = int(cut.sum())
    if not count:
        return
    share = 100 * count / len(cut)
    log.info(
        "task.max_length=%d cuts %s of the %s %s%s (%s %%)",
        max_length,
        f"{count:,}",
        f"{len(cut):,}",
        texts,
        f" of {split}" if split else "",
        f"{share:.0f}" if share >= 1 else "under 1",
    )


def lengths_of(rows: Rows) -> np.ndarray:
    """Return the tokens of each row, [rows], as a batch pads it at least."""
    return np.maximum(np.diff(rows.offsets), rows.width)


def log_cost(lengths: np.ndarray, setting: str) -> None:
    """Log in one line what rows of more than 512 tokens cost in attention, if there are any.

    Args:
        lengths: tokens of each training row, [rows].
        setting: what allows such rows, for the message.
    """
    longest = int(lengths.max())
    if longest <= USUAL:
        return
    log.info(
        "%s: training rows have up to %s tokens, and %s on average. Time and memory of full attention "
        "grow with the square of the length: %s times those of 512 tokens for the longest row, %s times on average",
        setting,
        f"{longest:,}",
        f"{lengths.mean():,.0f}",
        f"{(longest / USUAL) ** 2:,.1f}",
        f"{((lengths / USUAL) ** 2).mean():,.1f}",
    )
