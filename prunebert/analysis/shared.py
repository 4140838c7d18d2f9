"""Count the weights that every two of many masks share, with a bound on the memory.

The masks stay packed, eight weights to a byte. Two blocks of masks are in memory at a time, each of at most BLOCK_BYTES
or one mask. The counts take 4 bytes for each matrix and ordered pair of masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prunebert.analysis.chance import Draw, draw_of
from prunebert.errors import BadInput
from prunebert.masks.maskfile import Packed
from prunebert.system.countdown import track

BLOCK_BYTES = 2**28
WORDS, ROWS = 512, 64  # of 64 bits, and masks: a piece this large stays in the processor's cache


@dataclass(frozen=True)
class Shared:
    """What every two masks share, matrix by matrix."""

    names: list[str]  # of all matrices
    shapes: list[tuple[int, ...]]  # of the matrices
    sizes: np.ndarray  # int64 [matrices], weights
    draws: list[Draw]  # of each mask, what chance draws
    present: np.ndarray  # bool [masks, matrices]: whether the mask has the matrix
    kept: np.ndarray  # int64 [masks, matrices]; 0 where the mask lacks the matrix
    counts: np.ndarray  # uint32 [matrices, masks, masks]; 0 where one of the two lacks the matrix


def count(headers: Sequence[Packed], blocks: Sequence[range], read: Callable[[int], Packed]) -> Shared:
    """Count what every two masks share.

    Args:
        headers: the masks; their bits are not read.
        blocks: the indices of the masks, split as `split` does.
        read: returns a mask with its bits.

    Raises:
        BadInput: what `read` raises, or a mask is not the one whose header was given.
    """
    names = list(dict.fromkeys(name for mask in headers for name in mask.shapes))
    shapes = {name: shape for mask in headers for name, shape in mask.shapes.items()}
    shared = Shared(
        names,
        [shapes[name] for name in names],
        np.array([math.prod(shapes[name]) for name in names]),
        [draw_of(mask) for mask in headers],
        np.array([[name in mask.shapes for name in names] for mask in headers]),
        np.array([[mask.kept.get(name, 0) for name in names] for mask in headers]),
        np.zeros((len(names), len(headers), len(headers)), np.uint32),
    )
    pairs = len(headers) * (len(headers) + 1) // 2
    for done in track(_pieces(shared, headers, blocks, read), "comparing masks", pairs, unit="pairs", by_item=False):
        del done  # the number of pairs; `track` shows it
    return shared


def split(sizes: Sequence[int]) -> list[range]:
    """Split masks of these sizes in bytes into consecutive blocks of at most BLOCK_BYTES, or of one mask."""
    starts, total = [0], 0
    for index, size in enumerate(sizes):
        if total + size > BLOCK_BYTES and index > starts[-1]:
            starts.append(index)
            total = 0
        total += size
    return [range(a, b) for a, b in zip(starts, [*starts[1:], len(sizes)], strict=True)]


def _pieces(
    shared: Shared, headers: Sequence[Packed], blocks: Sequence[range], read: Callable[[int], Packed]
) -> Iterator[int]:
    """Fill the counts of `shared`, a row of two blocks at a time. Yield the number of pairs that were counted."""
    for i, rows in enumerate(blocks):
        ours = _load(shared.names, headers, rows, read)
        for columns in blocks[i:]:
            theirs = ours if columns is rows else _load(shared.names, headers, columns, read)
            for row, index in enumerate(rows):
                first = row if columns is rows else 0
                for matrix, name in enumerate(shared.names):
                    found = shared_words(ours[name][row], theirs[name][first:])
                    shared.counts[matrix, index, columns.start + first : columns.stop] = found
                    shared.counts[matrix, columns.start + first : columns.stop, index] = found
                yield len(columns) - first


def _load(
    names: list[str], headers: Sequence[Packed], indices: range, read: Callable[[int], Packed]
) -> dict[str, np.ndarray]:
    """Read a block of masks as uint64 [masks, words] for each matrix; 0 where a mask lacks the matrix."""
    widths = {name: -(-math.prod(shape) // 64) for mask in headers for name, shape in mask.shapes.items()}
    block = {name: np.zeros((len(indices), widths[name]), np.uint64) for name in names}
    for row, index in enumerate(indices):
        mask, header = read(index), headers[index]
        if (mask.shapes, mask.kept, mask.weights_hash) != (header.shapes, header.kept, header.weights_hash):
            raise BadInput("a mask file has changed while it was compared")
        for name, bits in mask.bits.items():
            block[name].view(np.uint8)[row, : bits.size] = bits
    return block


def shared_words(mask: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return |A ∧ B| of one mask, uint64 [words], and each of the others, uint64 [masks, words]: uint32 [masks]."""
    counts = np.zeros(len(others), np.uint32)
    for word in range(0, mask.size, WORDS):
        for row in range(0, len(others), ROWS):
            common = mask[word : word + WORDS] & others[row : row + ROWS, word : word + WORDS]
            counts[row : row + ROWS] += np.bitwise_count(common).sum(1, dtype=np.uint16)  # at most 512 · 64
    return counts
