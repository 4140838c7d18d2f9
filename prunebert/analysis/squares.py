"""The numbers of `overlap` for many masks at once, as square matrices.

`overlap.pair` computes the same numbers for two masks. Both agree up to the last digits of a 64-bit float.
"""

from __future__ import annotations

import numpy as np

from prunebert.analysis.chance import ANY, Draw, spread
from prunebert.analysis.overlap import by_layer, layer_of, uniform
from prunebert.analysis.shared import Shared
from prunebert.masks.maskfile import Packed

Kind = tuple[Draw, bytes]  # what chance draws, and which matrices a mask has


def rows(shared: Shared, first: int, last: int) -> dict[str, np.ndarray]:
    """Return the numbers of masks first … last - 1 with every mask.

    Returns:
        Arrays [last - first, masks], NaN for a number without a value:
        size, kept_a, kept_b, shared, jaccard, expected_jaccard, beyond_chance, z: over all matrices that both have.
        within_expected_jaccard, within_beyond_chance, within_z: with chance drawing within every matrix.
        mean_jaccard: the mean over the matrices.
    """
    shape = (last - first, len(shared.kept))
    size, a, b, s, most = (np.zeros(shape, np.int64) for _ in range(5))
    expected, variance = (np.zeros((2, *shape)) for _ in range(2))
    jaccards = np.zeros(shape)
    matrices = np.zeros(shape, np.int64)
    for matrix in range(len(shared.names)):
        n, x, y, both = _urns(shared, matrix, first, last)
        size, a, b, most = size + n * both, a + x, b + y, most + np.minimum(x, y)
        s += shared.counts[matrix, first:last]
        _add(expected, x * y / n)
        _add(variance, _variance(n, x, y) * _spreads(shared, first, last, matrix))
        jaccard = _ratio(shared.counts[matrix, first:last], x + y - shared.counts[matrix, first:last])
        jaccards += np.nan_to_num(jaccard)
        matrices += ~np.isnan(jaccard)
    within = expected.sum(0)
    overall = a * b / np.maximum(size, 1)
    return {
        "size": size,
        "kept_a": a,
        "kept_b": b,
        "shared": s,
        **_measures(a, b, s, overall, np.minimum(a, b)),
        "z": _ratio(s - overall, np.sqrt(_variance(size, a, b) * _spreads(shared, first, last))),
        **{f"within_{key}": x for key, x in _measures(a, b, s, within, most).items() if key != "jaccard"},
        "within_z": _ratio(s - within, np.sqrt(variance.sum(0))),
        "mean_jaccard": _ratio(jaccards, matrices),
    }


def by_matrix(shared: Shared, first: int, last: int) -> dict[str, np.ndarray]:
    """Return overlap.MEASURES of masks first … last - 1 with every mask: [matrices, last - first, masks]."""
    found: dict[str, list[np.ndarray]] = {}
    for matrix in range(len(shared.names)):
        n, x, y, _ = _urns(shared, matrix, first, last)
        numbers = _measures(x, y, shared.counts[matrix, first:last].astype(np.int64), x * y / n, np.minimum(x, y))
        for key, values in numbers.items():
            found.setdefault(key, []).append(values)
    return {key: np.stack(values) for key, values in found.items()}


def correlations(headers: list[Packed]) -> np.ndarray:
    """Return overlap.correlation of every two masks, [masks, masks]; NaN where it has no value."""
    square = np.full((len(headers), len(headers)), np.nan)
    groups: dict[frozenset[str], list[int]] = {}
    for index, mask in enumerate(headers):
        groups.setdefault(frozenset(n for n in mask.shapes if layer_of(n).isdigit()), []).append(index)
    for ours, rows in groups.items():
        for theirs, columns in groups.items():
            names = sorted(ours & theirs)
            square[np.ix_(rows, columns)] = (
                _standardised(headers, rows, names) @ _standardised(headers, columns, names).T
            )
    return np.clip(square, -1, 1)


def _standardised(headers: list[Packed], indices: list[int], names: list[str]) -> np.ndarray:
    """Return each mask's kept fractions per layer, with mean 0 and norm 1; NaN where they have no correlation."""
    layers = [list(by_layer(headers[i], names).values()) for i in indices]
    if len(layers[0]) < 3:
        return np.full((len(indices), 1), np.nan)
    fractions = np.array([[kept / size for kept, size, _ in mask] for mask in layers])
    fractions[[uniform(mask) for mask in layers]] = np.nan
    centred = fractions - fractions.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).sum(1, keepdims=True))


def _urns(shared: Shared, matrix: int, first: int, last: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix's size, what either mask of each pair keeps of it, and whether both masks have it."""
    present, kept = shared.present[:, matrix], shared.kept[:, matrix]
    both = present[first:last, None] & present
    return int(shared.sizes[matrix]), kept[first:last, None] * both, kept * both, both


def _spreads(shared: Shared, first: int, last: int, matrix: int | None = None) -> np.ndarray:
    """Return chance.spread of masks first … last - 1 with every mask, of one matrix or of all that both have."""
    if all(draw == ANY for draw in shared.draws):
        return np.ones((last - first, len(shared.draws)))
    every = np.ones(len(shared.names), bool)
    layouts = [every if matrix is not None else present for present in shared.present]
    kinds = {(draw, layout.tobytes()): layout for draw, layout in zip(shared.draws, layouts, strict=True)}
    index = {kind: i for i, kind in enumerate(kinds)}
    of_mask = np.array([index[draw, layout.tobytes()] for draw, layout in zip(shared.draws, layouts, strict=True)])

    def of_pair(ours: Kind, theirs: Kind) -> float:
        common = [matrix] if matrix is not None else np.nonzero(kinds[ours] & kinds[theirs])[0].tolist()
        return spread(ours[0], theirs[0], tuple(shared.shapes[i] for i in common))

    table = np.array([[of_pair(ours, theirs) for theirs in kinds] for ours in kinds])
    return table[of_mask[first:last, None], of_mask]


def _measures(
    a: np.ndarray, b: np.ndarray, s: np.ndarray, expected: np.ndarray, most: np.ndarray
) -> dict[str, np.ndarray]:
    return {
        "jaccard": _ratio(s, a + b - s),
        "expected_jaccard": _ratio(expected, a + b - expected),
        "beyond_chance": _ratio(s - expected, most - expected),
    }


def _variance(n: int | np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the hypergeometric variance; 0 for n = 1. Floats, because the product exceeds 64 bits."""
    size = np.asarray(n, float)
    return (a / np.maximum(size, 1)) * (b / np.maximum(size, 1)) * (size - a) * ((size - b) / np.maximum(size - 1, 1))


def _ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.divide(x, y, where=y != 0, out=np.full(y.shape, np.nan))


def _add(total: np.ndarray, x: np.ndarray) -> None:
    """Add x to a sum, [2, …], that keeps its rounding error in the second place (Neumaier's summation)."""
    new = total[0] + x
    larger = np.abs(total[0]) >= np.abs(x)
    total[1] += np.where(larger, (total[0] - new) + x, (x - new) + total[0])
    total[0] = new
