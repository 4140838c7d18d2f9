"""Spectra: the two largest singular values of every mask, and what they say about how well its units are connected.

A mask M [out, in] is the biadjacency matrix of a bipartite graph: one side has the in-units, the other the out-units,
and an edge is a kept weight. The eigenvalues of the graph's adjacency matrix are ± the singular values σ₁ ≥ σ₂ ≥ … of
M. A large gap σ₁ - σ₂ means that no small set of edges separates the graph into two large parts.

    bound                 √(d_in - 1) + √(d_out - 1), with the average degrees of the units that keep a weight. A
                          biregular graph with σ₂ ≤ bound is Ramanujan, a property that Pal et al. (ICML 2022) study in
                          masks. For irregular graphs average degrees are a convention (Hoang et al., ICLR 2023).
    difference of bound   bound - σ₂
    IMDB                  the iterative mean difference of bound (Hoang et al., ICLR 2023); see `imdb`
    weighted gap          σ₁ - σ₂ of |W| ⊙ M (Hoang et al., NeurIPS 2023)

What they cannot tell: which of two masks scores higher. Hoang et al. (ICLR 2023) find no significant relation between
the Ramanujan property and the performance of masks of one sparsity, and that maximising it leads to random graphs.
Uniformly random masks nearly meet the bound. So every number has a null beside it: the mean over random masks that keep
as many weights of the matrix. For large matrices the null's σ₂ is near √(δ(1 - δ)) (√in + √out), δ the density: the
largest singular value of the centred mask, at the edge of the Marchenko-Pastur law.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebert.system.countdown import track

if TYPE_CHECKING:  # `prunebert info` answers without torch
    from torch import Tensor

    from prunebert.analysis.live_paths import PlaceOf
    from prunebert.masks.top_v import Masks

Array = NDArray[Any]

SMALL = 256  # up to this length of the shorter side, all eigenvalues of the Gram matrix are computed
TOLERANCE = 1e-8  # of larger ones: Lanczos' relative tolerance for σ²
ZERO = 1e-6  # σ₂ / σ₁ below this is rounding, and σ₂ is 0
DIGITS = 6  # significant ones; the last bits depend on the number of threads
FULL = 0.3  # of a denser matrix, the Gram matrix is computed; a sparser one is multiplied as CSR
DRAWS, ENOUGH = 8, 2**18  # random masks of a matrix; one is enough if it has this many weights
LEAST_DEGREE = 3  # on both sides of a subgraph in IMDB, as in the code of its authors


def facts(masks: Masks, place: PlaceOf, weights: Mapping[str, Tensor], *, trained: bool) -> dict[str, Any]:
    """Return the entry "spectral" of topology.json.

    Args:
        masks: M, bool [out, in] by parameter name.
        place: gives a parameter's layer and kind. Word embeddings are [in, out].
        weights: the network's final weights by name; they may have more names than `masks`.
        trained: whether the run trained them; if not, they are the checkpoint's.

    Returns:
        weights: "trained" or "checkpoint".
        matrices: see `matrix`, by name.
    """
    described = {}
    for name, mask in track(masks.items(), "spectra of masks", total=len(masks)):
        kept, values = (x.detach().cpu().numpy() for x in (mask.bool(), weights[name].float()))
        embeds = place(name)[1] == "embeddings"
        described[name] = matrix(*((kept, values) if embeds else (kept.T, values.T)))
    return {"weights": "trained" if trained else "checkpoint", "matrices": described}


def matrix(mask: Array, weights: Array | None = None) -> dict[str, Any]:
    """Describe the graph of one mask.

    Args:
        mask: bool, [in, out].
        weights: [in, out]. None if they are not known.

    Returns:
        components: the number of connected components with an edge.
        unweighted: sigma_1, sigma_2 and gap of M. Below "random", the same as means over random masks that keep as
            many weights.
        weighted: the same of |W| ⊙ M. None without weights, or if one is infinite or NaN.
        bound, difference_of_bound: see the module. None if no weight is kept.
        imdb, imdb_subgraphs: see `imdb`.
    """
    random = [] if mask.all() else draws(mask)  # a full mask is its own null
    own = two_largest(mask.astype(float))
    magnitudes = None if weights is None else np.abs(weights).astype(float)
    if magnitudes is not None and not np.isfinite(magnitudes).all():
        magnitudes = None
    bound = degree_bound(mask)
    mean, count = imdb(mask)
    return {
        "components": _components(mask)[0],
        "unweighted": _named(*own) | {"random": _null(own, [two_largest(one.astype(float)) for one in random])},
        "weighted": None if magnitudes is None else _weighted(mask, magnitudes, random),
        "bound": _rounded(bound),
        "difference_of_bound": _rounded(None if bound is None else bound - own[1]),
        "imdb": _rounded(mean),
        "imdb_subgraphs": count,
    }


def _weighted(mask: Array, magnitudes: Array, random: list[Array]) -> dict[str, Any]:
    own = two_largest(magnitudes * mask)
    return _named(*own) | {"random": _null(own, [two_largest(magnitudes * one) for one in random])}


def _null(own: tuple[float, float], random: list[tuple[float, float]]) -> dict[str, float | None]:
    """Return the means over random masks; of a full mask its own values."""
    first, second = np.mean(random, axis=0) if random else own
    return _named(first, second)


def relative(matrices: Iterable[Mapping[str, Any]], which: str) -> float | None:
    """Return σ₂ divided by the null's σ₂, as a mean over matrices. None if no matrix has both.

    Args:
        matrices: what `matrix` returns of each.
        which: "unweighted" or "weighted".
    """
    spectra = [spectrum for described in matrices if (spectrum := described[which]) is not None]
    ratios = [s["sigma_2"] / s["random"]["sigma_2"] for s in spectra if s["random"]["sigma_2"]]
    return sum(ratios) / len(ratios) if ratios else None


def degree_bound(mask: Array) -> float | None:
    """Return √(d_in - 1) + √(d_out - 1) of a bool mask, with the average degrees of the units that keep a weight.

    None if no weight is kept.
    """
    kept, units_in, units_out = (int(x.sum()) for x in (mask, mask.any(1), mask.any(0)))
    return math.sqrt(kept / units_in - 1) + math.sqrt(kept / units_out - 1) if kept else None


def imdb(mask: Array) -> tuple[float | None, int]:
    """Return the iterative mean difference of bound of a bool mask [in, out], and the number of its subgraphs.

    A subgraph has all in-units of one degree, and the out-units that they reach. It counts if both of its average
    degrees are at least LEAST_DEGREE, which takes as many in-units. The mean is over bound - σ₂ of each. The choice of
    subgraphs is that of the authors' published code. None if no subgraph counts.
    """
    degrees = mask.sum(1)
    differences = []
    for degree in np.unique(degrees[degrees >= LEAST_DEGREE]):
        subgraph = mask[degrees == degree]
        if subgraph.sum() >= LEAST_DEGREE * subgraph.any(0).sum():
            differences.append((degree_bound(subgraph) or 0.0) - two_largest(subgraph.astype(float))[1])
    return (float(np.mean(differences)) if differences else None), len(differences)


def draws(mask: Array) -> list[Array]:
    """Return uniformly random bool masks that keep as many weights as `mask`; the same ones in every call."""
    generator, kept = np.random.default_rng(0), int(mask.sum())
    masks = []
    for _ in range(1 if mask.size >= ENOUGH else DRAWS):
        one = np.zeros(mask.size, dtype=bool)
        one[generator.choice(mask.size, kept, replace=False, shuffle=False)] = True
        masks.append(one.reshape(mask.shape))
    return masks


def two_largest(values: Array) -> tuple[float, float]:
    """Return the two largest singular values of a matrix without negative entries.

    A matrix whose shorter side is at most SMALL gets all eigenvalues of its Gram matrix. A larger one gets Lanczos'
    method for each connected component. In a component σ₁ is simple (Perron and Frobenius), so that one start vector
    cannot miss a second σ of the same value. σ₂ is 0 for a matrix of one row or column.
    """
    if min(values.shape) <= SMALL:
        first, second = _all_eigenvalues(values)
    else:
        count, rows, columns = _components(values != 0)
        parts = [values] if count == 1 else [values[rows == i][:, columns == i] for i in range(count)]
        found = (_lanczos(part) if min(part.shape) > SMALL else _all_eigenvalues(part) for part in parts)
        first, second = sorted([0.0, 0.0, *(value for pair in found for value in pair)])[:-3:-1]
    return first, (second if second > ZERO * first else 0.0)


def _all_eigenvalues(values: Array) -> tuple[float, float]:
    gram = values @ values.T if len(values) <= values.shape[1] else values.T @ values
    squares = [0.0, *np.linalg.eigvalsh(gram)]
    return math.sqrt(max(squares[-1], 0)), math.sqrt(max(squares[-2], 0))


def _lanczos(values: Array) -> tuple[float, float]:
    from scipy import sparse  # of a large matrix only: the import takes longer than a small one
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    short = values if len(values) <= values.shape[1] else values.T
    if np.count_nonzero(short) > FULL * short.size:
        gram = short @ short.T
    else:
        rows = sparse.csr_array(short)
        columns = rows.T
        gram = LinearOperator((len(short), len(short)), matvec=lambda x: rows @ (columns @ x), dtype=float)
    start = np.random.default_rng(0).standard_normal(len(short))
    try:
        squares = eigsh(gram, k=2, which="LA", tol=TOLERANCE, v0=start, return_eigenvectors=False)
    except ArpackNoConvergence:
        return _all_eigenvalues(values)
    second, first = np.sqrt(np.maximum(np.sort(squares), 0))
    return float(first), float(second)


def _components(edges: Array) -> tuple[int, Array, Array]:
    """Return the number of connected components with an edge, and the number of each row's and column's component.

    Components have the numbers 0, 1, … A row or column without an edge has -1.
    """
    rows, columns = (np.where(edges.any(axis), 0, -1) for axis in (1, 0))
    if not (rows == 0).any():
        return 0, rows, columns
    near = edges[:, edges[edges.sum(1).argmax()]].any(1)  # the rows that share a column with the fullest one
    if near.sum() == (rows == 0).sum() and edges[near].any(0).sum() == (columns == 0).sum():
        return 1, rows, columns  # quick, and almost always so
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    ends = np.nonzero(edges)
    size = sum(edges.shape)
    graph = sparse.coo_array((np.ones(len(ends[0]), dtype=bool), (ends[0], ends[1] + len(edges))), shape=(size, size))
    label = connected_components(graph, directed=False)[1]
    used = np.concatenate([rows, columns]) == 0
    numbers, label[used] = np.unique(label[used], return_inverse=True)
    label[~used] = -1
    return len(numbers), label[: len(edges)], label[len(edges) :]


def _named(first: float, second: float) -> dict[str, float | None]:
    return {"sigma_1": _rounded(first), "sigma_2": _rounded(second), "gap": _rounded(first - second)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
