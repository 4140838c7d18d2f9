"""Random masks that keep every row's and every column's number of kept weights, and what two of them share.

Chance in `overlap` keeps only how many weights stay in a matrix. Masks that favour the same rows and columns then share
more than by that chance. Here chance draws uniformly among all masks with the same degrees: the number of kept weights
of each row and of each column. What two masks share beyond it is the choice of single weights.

Masks are drawn with global Curveball trades. One trade pairs all rows at random, and every pair trades what only one of
the two rows keeps. The traded columns are shuffled, and the first row receives as many as it gave. Columns kept by both
rows stay. So no trade changes a degree. Strona et al. (Nature Communications 5:4114, 2014) introduced the trade of one
pair, Carstens (Physical Review E 91:042812, 2015) proved that its limit is uniform, and Carstens, Berger and Strona
(MethodsX 5, 2018) proved the same of global trades. The smaller side of the matrix trades, because that is faster.

How many trades are enough depends on the degrees, so it is measured for every matrix (see `settle`).
"""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

import numpy as np

from prunebert.analysis.chance import Draw
from prunebert.analysis.overlap import shared_bits

SAMPLES = 10  # masks that are drawn of each mask
WINDOW = 5  # trades whose overlaps with the start are averaged
SPACING = 4  # a quarter of the trades that were enough lies between two samples


class Sampled(NamedTuple):
    """A mask's degrees, and random masks that have them."""

    rows: np.ndarray  # int64 [rows], kept weights
    columns: np.ndarray  # int64 [columns]
    packed: list[np.ndarray]  # uint8, each of the SAMPLES as `numpy.packbits` packs it
    trades: int  # that `settle` needed


class Expected(NamedTuple):
    """What two masks of one matrix share, given the degrees of both."""

    mean: float
    variance: float  # of the number that two random masks share
    most: int  # no two masks with these degrees share more


def can_draw(draw: Draw) -> bool:
    """Return whether chance can keep a mask's pattern and its degrees: not where groups of columns are urns (N:M)."""
    return draw.urn is None


def trade(mask: np.ndarray, random: np.random.Generator) -> None:
    """Make one global trade, in place. mask: bool [rows, columns]; every pair of rows trades once."""
    rows, width = mask.shape
    order = random.permutation(rows)
    first, second = order[: rows // 2], order[rows // 2 : rows // 2 * 2]
    ours, theirs = mask[first], mask[second]
    traded = ours ^ theirs
    sizes = np.count_nonzero(traded, axis=1)
    gives = np.count_nonzero(ours & traded, axis=1)
    pair = np.repeat(np.arange(sizes.size), sizes)
    columns = np.flatnonzero(traded) - pair * width
    # One number sorts by pair and then at random. Its last bits are the column. Of BERT's matrices 30 bits or more are
    # random, so two columns of a pair almost never have the same ones.
    column_bits, random_bits = width.bit_length(), 63 - rows.bit_length() - width.bit_length()
    keys = random.integers(0, 1 << random_bits, pair.size, dtype=np.int64) << column_bits
    keys |= columns
    keys |= pair << (column_bits + random_bits)
    keys.sort()
    places = (keys & ((1 << column_bits) - 1)) + pair * width
    rank = np.arange(pair.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    to_first = rank < np.repeat(gives, sizes)
    ours &= theirs  # kept by both
    theirs[:] = ours
    ours.reshape(-1)[places[to_first]] = True
    theirs.reshape(-1)[places[~to_first]] = True
    mask[first], mask[second] = ours, theirs


def settle(mask: np.ndarray, random: np.random.Generator) -> int:
    """Trade in place until nothing of the start is left but what the degrees force. Returns half the trades made.

    The overlap with the start decreases towards a limit, and from there it only varies. It counts as reached after the
    first WINDOW trades whose mean overlap is not below that of the WINDOW before. As many trades again follow.
    """
    start = mask.copy()
    before, trades = math.inf, 0
    while True:
        total = 0
        for _ in range(WINDOW):
            trade(mask, random)
            total += int(np.count_nonzero(mask & start))
        trades += WINDOW
        if total >= before:
            break
        before = total
    for _ in range(trades):
        trade(mask, random)
    return trades


def sample(bits: np.ndarray, shape: tuple[int, ...], draw: Draw, seed: tuple[int, str]) -> Sampled:
    """Draw masks with the degrees of a packed one. Blocks stay whole: they are traded in place of single weights.

    Args:
        bits: the mask, packed.
        shape: of the mask, [rows, columns].
        draw: what chance draws for it, see `can_draw`.
        seed: a number that differs between masks which are compared, and the matrix's name.
    """
    mask = np.unpackbits(bits, count=math.prod(shape)).view(bool).reshape(shape)
    height, width = draw.unit
    units = mask[::height, ::width]
    is_tall = units.shape[0] > units.shape[1]
    state = np.array(units.T if is_tall else units, order="C")
    random = np.random.default_rng([seed[0], zlib.crc32(seed[1].encode())])
    trades, packed = settle(state, random), []
    for number in range(SAMPLES):
        for _ in range(-(-trades // SPACING) if number else 0):
            trade(state, random)
        drawn = np.repeat(np.repeat(state.T if is_tall else state, height, 0), width, 1)
        packed.append(np.packbits(drawn.reshape(-1)))
    return Sampled(np.count_nonzero(mask, axis=1), np.count_nonzero(mask, axis=0), packed, trades)


def expected(a: Sampled, b: Sampled) -> Expected:
    """Return what two masks share by chance: the mean and variance (n - 1) over SAMPLES pairs of random masks."""
    shared = np.array([shared_bits(x, y) for x, y in zip(a.packed, b.packed, strict=True)], dtype=float)
    most = min(int(np.minimum(a.rows, b.rows).sum()), int(np.minimum(a.columns, b.columns).sum()))
    return Expected(float(shared.mean()), float(shared.var(ddof=1)), most)


def measures(matrices: list[Expected], kept: tuple[int, int], shared: int) -> dict[str, Any]:
    """Return the numbers of a pair of masks, with chance given the degrees in every matrix.

    Args:
        matrices: what each matrix shares by chance. They are drawn independently.
        kept: how many weights each of the two masks keeps in these matrices.
        shared: how many weights they share.

    Returns:
        expected_shared, sd: the mean number of shared weights by chance, and its standard deviation.
        expected_jaccard: the Jaccard index at that mean. None if both masks keep nothing.
        beyond_chance: (shared - mean) / (most - mean). It is 1 if one mask contains the other. `most` is what the
            degrees of the rows, or those of the columns, allow. None if they allow no more than chance gives.
        z: (shared - mean) / sd. None if the overlap by chance does not vary.
    """
    mean, most = math.fsum(m.mean for m in matrices), sum(m.most for m in matrices)
    sd = math.sqrt(math.fsum(m.variance for m in matrices))
    return {
        "expected_shared": mean,
        "sd": sd,
        "expected_jaccard": mean / (sum(kept) - mean) if sum(kept) > mean else None,
        "beyond_chance": (shared - mean) / (most - mean) if most > mean else None,
        "z": (shared - mean) / sd if sd else None,
    }
