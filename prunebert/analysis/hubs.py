"""Hubs: the units that keep the most weights, and whether two sub-networks have the same ones.

A degree is a unit's number of kept weights. The units of a set are counted in all matrices that belong to them:

    stream     a dimension of the residual stream: its columns of the matrices that read it (query, key, value,
               intermediate, multiplier) and its rows of those that write it (attention-output, output), of all layers
    heads      an attention head: its rows of query, key and value, and its columns of attention-output
    neurons    a feed-forward neuron: its row of intermediate (and multiplier), and its column of output
    rows, columns    of the matrices of one kind

Heads, neurons, rows and columns are units of a layer. The pooler and the word embeddings are no part of the stream's
degrees, because they are masked only in some runs.

By chance the weights that a matrix keeps are spread evenly, so that a unit's degree is a sum of binomial numbers: each
of its n weights in a matrix stays with the matrix's density p. The mean is Σ n p and the variance Σ n p (1 - p).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from prunebert.masks.maskfile import Packed

READERS = ("query", "key", "value", "intermediate", "multiplier")  # of the stream, by their columns
WRITERS = ("attention-output", "output")  # by their rows
STREAM, HEADS, NEURONS = "stream", "heads", "neurons"
LISTED = 10  # units of a set that topology.json names
LEAST = 5  # units of a layer; the ranks of fewer say next to nothing
OF_A_MATRIX = 3  # units of each matrix's rows, and of its columns
Place = Callable[[str], tuple[int, str]]  # parameter name -> (layer, kind); layer -1 for pooler and embeddings


class Units(NamedTuple):
    """Degrees of the units of one layer, or of the whole stream, and what chance gives."""

    layer: int | None  # None: of all layers
    degree: np.ndarray  # int64 [units]
    mean: np.ndarray  # float [units], of the degree by chance
    variance: np.ndarray  # float [units]

    @property
    def z(self) -> np.ndarray:
        """(degree - mean) / √variance, float [units]. NaN where the matrices keep all or nothing."""
        with np.errstate(invalid="ignore"):
            return (self.degree - self.mean) / np.sqrt(np.where(self.variance > 0, self.variance, np.nan))


class Sides(NamedTuple):
    """The units along both sides of one matrix."""

    rows: Units
    columns: Units


Sets = dict[str, list[Units]]  # by "stream", "heads", "neurons", "query rows", "query columns", …: one for each layer


def facts(
    masks: Mapping[str, np.ndarray], place: Place, heads: Mapping[str, int], largest: Sets | None
) -> dict[str, Any]:
    """Return topology.json's `hubs`.

    Args:
        masks: M, bool [out, in] by parameter name.
        place: gives a parameter's layer and kind.
        heads: the number of heads by kind of matrix.
        largest: `sets` of Top(|W|), the largest pre-trained weights, as many of each matrix. None if they are unknown.

    Returns:
        sets: for each set its number of `units`; the `mean` degree; the `dispersion`, the mean of z², which is 1 by
            chance; `top`, the LISTED units with the largest z, each with its degree, its z and, except for the
            stream, its layer; and `magnitude`, the rank correlation of the degrees with those of Top(|W|).
        matrices: for rows and columns of each matrix the `dispersion` and the OF_A_MATRIX `top` units: index, degree
            and z.
        A number without a value is None: the matrices keep all or nothing, or all units keep the same.
    """
    matrices = {name: sides(name, mask, place) for name, mask in masks.items()}
    by_set = sets(matrices, place, heads)
    return {
        "sets": {
            name: {
                "units": sum(u.degree.size for u in units),
                "mean": float(np.concatenate([u.degree for u in units]).mean()),
                "dispersion": dispersion(units),
                "top": [_named(*one) for one in top(units, LISTED)],
                "magnitude": None if largest is None else correlation(units, largest[name]),
            }
            for name, units in by_set.items()
        },
        "matrices": {
            name: {
                side: {
                    "dispersion": dispersion([units]),
                    "top": [[unit, degree, z] for _, unit, degree, z in top([units], OF_A_MATRIX)],
                }
                for side, units in zip(Sides._fields, pair, strict=True)
            }
            for name, pair in matrices.items()
        },
    }


def sides(name: str, mask: np.ndarray, place: Place) -> Sides:
    """Return the degrees of a matrix's rows and columns. mask: bool [out, in]."""
    layer, size = place(name)[0], mask.shape
    degrees = np.count_nonzero(mask, axis=1), mask.sum(0, dtype=np.int64)
    density = int(degrees[0].sum()) / mask.size
    found = []
    for degree, weights in zip(degrees, (size[1], size[0]), strict=True):
        mean = np.full(degree.size, weights * density)
        found.append(Units(layer, degree, mean, mean * (1 - density)))
    return Sides(*found)


def of_packed(mask: Packed, place: Place, heads: Mapping[str, int]) -> Sets:
    """Return the sets of a mask file, one matrix unpacked at a time."""
    matrices = {}
    for name, shape in mask.shapes.items():
        size = shape[0] * shape[1]
        matrices[name] = sides(name, np.unpackbits(mask.bits[name], count=size).view(bool).reshape(shape), place)
    return sets(matrices, place, heads)


def sets(matrices: Mapping[str, Sides], place: Place, heads: Mapping[str, int]) -> Sets:
    """Return the degrees of all sets, layer by layer. A layer without a set's matrices has no entry there.

    There is no stream where the matrices read and write different numbers of dimensions.

    Args:
        matrices: the two sides of each matrix, by parameter name.
        place: gives a parameter's layer and kind.
        heads: the number of heads by kind of matrix.
    """
    layers: dict[int, dict[str, Sides]] = {}
    for name, pair in matrices.items():
        layer, kind = place(name)
        layers.setdefault(layer, {})[kind] = pair
    inside = [layers[layer] for layer in sorted(layers) if layer >= 0]
    stream = [m[k].columns for m in inside for k in READERS if k in m]
    stream += [m[k].rows for m in inside for k in WRITERS if k in m]
    found: Sets = {
        STREAM: [_sum(None, stream)] if len({u.degree.size for u in stream}) == 1 else [],
        HEADS: [_heads(m, heads) for m in inside if {"query", "key", "value", "attention-output"} <= m.keys()],
        NEURONS: [
            _sum(
                m["output"].columns.layer,
                [m[k].rows for k in ("intermediate", "multiplier") if k in m] + [m["output"].columns],
            )
            for m in inside
            if {"intermediate", "output"} <= m.keys()
        ],
    }
    for layer in sorted(layers):
        for kind, pair in layers[layer].items():
            for side, units in zip(Sides._fields, pair, strict=True):
                found.setdefault(f"{kind} {side}", []).append(units)
    return {name: units for name, units in found.items() if units}


def _heads(matrices: Mapping[str, Sides], heads: Mapping[str, int]) -> Units:
    """Return one layer's degrees by query head. A head of keys and values counts for every head that it serves."""
    parts = []
    for kind in ("query", "key", "value", "attention-output"):
        units = matrices[kind].rows if kind != "attention-output" else matrices[kind].columns
        served = heads["query"] // heads[kind]
        numbers = (x.reshape(heads[kind], -1).sum(1).repeat(served) for x in units[1:])
        parts.append(Units(units.layer, *numbers))
    return _sum(parts[0].layer, parts)


def _sum(layer: int | None, parts: Sequence[Units]) -> Units:
    return Units(layer, *(np.sum(numbers, axis=0) for numbers in list(zip(*parts, strict=True))[1:]))


def dispersion(units: Iterable[Units]) -> float | None:
    """Return the mean of z² over all units, 1 by chance. None if no unit has a z."""
    z = np.concatenate([u.z for u in units])
    return float(np.nanmean(z**2)) if (~np.isnan(z)).any() else None


def top(units: Sequence[Units], count: int) -> list[tuple[int | None, int, int, float]]:
    """Return the units with the largest z as (layer, index, degree, z); of equal ones the first. Those without a z
    are left out."""
    z = np.concatenate([u.z for u in units])
    where = [(u.layer, index) for u in units for index in range(u.degree.size)]
    degree = np.concatenate([u.degree for u in units])
    order = np.argsort(-z, kind="stable")[:count]  # NaN last
    return [(*where[i], int(degree[i]), round(float(z[i]), 3)) for i in order.tolist() if z[i] == z[i]]


def _named(layer: int | None, unit: int, degree: int, z: float) -> dict[str, Any]:
    return ({} if layer is None else {"layer": layer}) | {"unit": unit, "degree": degree, "z": z}


def correlation(a: Sequence[Units], b: Sequence[Units]) -> float | None:
    """Return Spearman's rank correlation of the degrees, the mean over the layers that both have.

    None if no layer of both has ranks (see `ranks`).
    """
    return mean_correlation(ranks(a), ranks(b))


def ranks(units: Iterable[Units]) -> dict[int | None, np.ndarray]:
    """Return the standardised ranks of each layer's degrees, float [units], equal degrees with their mean rank.

    The product of two of them is Spearman's correlation. A layer is left out if its units all keep the same, or if it
    has fewer than LEAST units.
    """
    from scipy.stats import rankdata

    found = {}
    for layer, degree, *_ in units:
        if degree.size < LEAST:
            continue
        rank = rankdata(degree)
        rank -= rank.mean()
        if norm := float(np.sqrt(rank @ rank)):
            found[layer] = rank / norm
    return found


def mean_correlation(a: Mapping[int | None, np.ndarray], b: Mapping[int | None, np.ndarray]) -> float | None:
    """Return the mean over layers of the product of two runs' `ranks`; None if they have no layer in common."""
    products = [float(a[layer] @ b[layer]) for layer in a if layer in b]
    return sum(products) / len(products) if products else None


def without(common: float | None, a: float | None, b: float | None) -> float | None:
    """Return the partial correlation of two runs' degrees, given those of Top(|W|).

    Args:
        common: the correlation of the two runs.
        a: that of the first run with Top(|W|).
        b: that of the second run with Top(|W|).

    Returns:
        (common - a b) / √((1 - a²)(1 - b²)). None without one of the numbers, or if a run has the hubs of Top(|W|).
    """
    if common is None or a is None or b is None:
        return None
    left = (1 - a * a) * (1 - b * b)
    return float((common - a * b) / np.sqrt(left)) if left > 1e-9 else None


def membership(units: Iterable[Units]) -> dict[int | None, np.ndarray]:
    """Return which units are among the top 1 % of their layer, at least one, by degree: bool [units] of each layer.

    All units with the degree of the last one belong to them.
    """
    found = {}
    for layer, degree, *_ in units:
        places = max(1, round(degree.size / 100))
        found[layer] = degree >= np.partition(degree, -places)[-places]
    return found


def shared_top(
    a: Mapping[int | None, np.ndarray], b: Mapping[int | None, np.ndarray]
) -> tuple[float | None, float | None]:
    """Return which part of the top 1 % two runs have in common, and the same by chance, over all layers.

    The part is Σ |A ∧ B| / Σ min(|A|, |B|). Chance draws the units of a layer at random, so it is hypergeometric with
    the mean |A| |B| / n. Without a common layer both are None.
    """
    layers = [layer for layer in a if layer in b]
    sizes = [(int(a[layer].sum()), int(b[layer].sum()), a[layer].size) for layer in layers]
    places = sum(min(x, y) for x, y, _ in sizes)
    if not places:
        return None, None
    common = sum(int((a[layer] & b[layer]).sum()) for layer in layers)
    return common / places, sum(x * y / n for x, y, n in sizes) / places
