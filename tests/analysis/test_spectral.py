"""Spectra of masks against numpy's SVD, and of graphs whose spectrum is known."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse import linalg

from prunebert.analysis import spectral
from prunebert.analysis.spectral import degree_bound, draws, facts, imdb, matrix, relative, two_largest

RANDOM = np.random.default_rng(5)
SPARSE, DENSE = (RANDOM.random((60, 90)) < density for density in (0.1, 0.6))
LINES = [[0, 1, 3], [1, 2, 4], [2, 3, 5], [3, 4, 6], [4, 5, 0], [5, 6, 1], [6, 0, 2]]  # of the Fano plane


def hypercube(dimensions):
    """The biadjacency matrix of the hypercube: corners with an even number of ones, and those with an odd one."""
    corners = list(itertools.product((0, 1), repeat=dimensions))
    sides = [[c for c in corners if sum(c) % 2 == parity] for parity in (0, 1)]
    return np.array([[sum(map(int.__ne__, a, b)) == 1 for b in sides[1]] for a in sides[0]])


def fano():
    return np.array([[point in line for point in range(7)] for line in LINES])


def blocks(*parts):
    return sparse.block_diag(parts).toarray() != 0


HALF = RANDOM.random((20, 25)) < 0.3
GRAPHS = {
    "sparse": SPARSE,
    "dense": DENSE,
    "tall": SPARSE.T,
    "all ones": np.ones((12, 15), bool),
    "empty": np.zeros((12, 15), bool),
    "zero rows and columns": np.pad(HALF, ((3, 4), (5, 2))),
    "one edge": np.eye(12, 15) * (np.arange(15) == 3) != 0,
    "a matching": np.eye(12, 15) != 0,
    "two equal copies": blocks(HALF, HALF),
    "complete graphs apart": blocks(np.ones((9, 9)), np.ones((10, 8)), np.ones((2, 2))),
    "one row": np.ones((1, 9), bool),
    "one column": np.ones((9, 1), bool),
    "hypercube": hypercube(4),
}


@pytest.mark.parametrize("small", [256, 7])
@pytest.mark.parametrize("name", GRAPHS)
def test_two_singular_values_are_those_of_numpy(name, small, monkeypatch):
    """small: a shorter side above it is computed with Lanczos' method, component by component."""
    monkeypatch.setattr(spectral, "SMALL", small)
    magnitudes = np.abs(np.random.default_rng(1).standard_normal(GRAPHS[name].shape))
    for values in (GRAPHS[name].astype(float), GRAPHS[name] * magnitudes):
        expected = [*np.linalg.svd(values, compute_uv=False), 0.0][:2]
        assert two_largest(values) == pytest.approx(expected, rel=1e-6, abs=1e-6 * expected[0])


def test_a_matrix_of_a_real_size():
    values = np.abs(np.random.default_rng(0).standard_normal((300, 400))) * (RANDOM.random((300, 400)) < 0.05)
    assert two_largest(values) == pytest.approx(np.linalg.svd(values, compute_uv=False)[:2], rel=1e-6)


@pytest.mark.parametrize("small", [256, 7])
def test_a_second_singular_value_that_is_rounding_is_zero(small, monkeypatch):
    monkeypatch.setattr(spectral, "SMALL", small)
    rank_one = np.outer(np.arange(1.0, 13), np.linspace(0.1, 3, 17))
    assert two_largest(rank_one)[1] == 0 and two_largest(np.ones((12, 15)))[1] == 0


def test_where_lanczos_does_not_converge_all_eigenvalues_are_computed(monkeypatch):
    def fails(*_, **__):
        raise linalg.ArpackNoConvergence("no", [], [])

    monkeypatch.setattr(spectral, "SMALL", 7)
    monkeypatch.setattr(linalg, "eigsh", fails)
    assert two_largest(SPARSE.astype(float)) == pytest.approx(np.linalg.svd(SPARSE, compute_uv=False)[:2])


@pytest.mark.parametrize(
    ("mask", "first", "second", "bound"),
    [
        (np.ones((4, 9), bool), 6, 0, math.sqrt(8) + math.sqrt(3)),  # complete: sqrt(4 · 9), and rank 1
        (hypercube(4), 4, 2, 2 * math.sqrt(3)),  # eigenvalues 4, 2, 0, -2, -4
        (fano(), 3, math.sqrt(2), 2 * math.sqrt(2)),  # degree q + 1 and σ₂ = sqrt(q), q = 2
        (np.pad(fano(), ((0, 3), (0, 1))), 3, math.sqrt(2), 2 * math.sqrt(2)),  # units without an edge do not count
        (np.eye(5) != 0, 1, 1, 0),
        (np.ones((1, 5), bool), math.sqrt(5), 0, 2),
    ],
)
def test_graphs_with_a_known_spectrum(mask, first, second, bound):
    found = matrix(mask)
    numbers = [found["unweighted"][name] for name in ("sigma_1", "sigma_2", "gap")]
    assert numbers == pytest.approx([first, second, first - second], abs=1e-5)
    assert [found["bound"], found["difference_of_bound"]] == pytest.approx([bound, bound - second], abs=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_components_are_those_of_a_search(name):
    def reached(seed):
        rows, before = {seed}, set()
        while rows != before:
            before = rows
            columns = GRAPHS[name][sorted(rows)].any(0)
            rows = set(np.flatnonzero(GRAPHS[name][:, columns].any(1)))
        return frozenset(rows)

    assert matrix(GRAPHS[name])["components"] == len({reached(i) for i in np.flatnonzero(GRAPHS[name].any(1))})


def test_an_empty_mask_has_no_bound():
    found = matrix(np.zeros((3, 4), bool), np.ones((3, 4)))
    assert (found["components"], found["bound"], found["difference_of_bound"], found["imdb"]) == (0, None, None, None)
    assert found["weighted"]["sigma_1"] == 0 and degree_bound(np.zeros((2, 2), bool)) is None


def test_imdb_is_the_mean_over_the_in_units_of_a_degree():
    """Three in-units of degree 3 make K(3, 3), four of degree 4 K(4, 4); σ₂ is 0 in both."""
    counted = blocks(np.ones((3, 3)), np.ones((4, 4)))
    mean = (2 * math.sqrt(2) + 2 * math.sqrt(3)) / 2
    assert imdb(counted) == (pytest.approx(mean), 2)
    few, low = np.ones((2, 5)), np.ones((3, 2))  # two units, and degree 2
    thin = np.kron(np.eye(3), np.ones((1, 6)))  # three units of degree 6 whose out-units have degree 1
    assert imdb(blocks(counted, few, low, thin)) == (pytest.approx(mean), 2)
    assert imdb(blocks(few, low, thin)) == (None, 0)


def test_random_masks_keep_as_many_weights_and_lie_at_the_edge_of_marchenko_and_pastur():
    mask = np.random.default_rng(3).random((512, 600)) < 0.1
    (random,) = draws(mask)
    assert random.sum() == mask.sum() and not np.array_equal(random, mask)
    density = mask.mean()
    edge = math.sqrt(density * (1 - density)) * (math.sqrt(512) + math.sqrt(600))
    assert two_largest(random.astype(float))[1] == pytest.approx(edge, rel=0.02)
    several = draws(SPARSE)
    assert {one.sum() for one in several} == {SPARSE.sum()} and len({one.tobytes() for one in several}) == 8
    assert [one.tobytes() for one in draws(SPARSE)] == [one.tobytes() for one in several]


def test_weights_count_by_their_magnitude():
    weights = np.random.default_rng(2).standard_normal(SPARSE.shape)
    found = matrix(SPARSE, weights)
    expected = np.linalg.svd(np.abs(weights) * SPARSE, compute_uv=False)
    assert [found["weighted"][name] for name in ("sigma_1", "sigma_2", "gap")] == pytest.approx(
        [expected[0], expected[1], expected[0] - expected[1]], rel=1e-5
    )
    null = [np.linalg.svd(np.abs(weights) * one, compute_uv=False)[:2] for one in draws(SPARSE)]
    assert [found["weighted"]["random"][name] for name in ("sigma_1", "sigma_2")] == pytest.approx(
        np.mean(null, axis=0), rel=1e-5
    )
    assert matrix(SPARSE)["weighted"] is None
    weights[3, 4] = math.nan
    assert matrix(SPARSE, weights)["weighted"] is None


def test_facts_are_plain_json_and_rows_of_word_embeddings_are_in_units():
    # columns: three of degree 3, which makes K(3, 3), and two of a lower one; rows: one of each degree
    uneven = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]).bool()
    places = {"e": (-1, "embeddings"), "q": (0, "query")}
    weights = {name: torch.full((3, 5), -2.0) for name in "eqx"}
    found = facts({"e": uneven, "q": uneven}, places.__getitem__, weights, trained=False)
    assert json.loads(json.dumps(found)) == found and found["weights"] == "checkpoint"
    assert list(found["matrices"]) == ["e", "q"]
    assert [found["matrices"][name]["imdb_subgraphs"] for name in "eq"] == [0, 1]
    assert found["matrices"]["q"]["imdb"] == pytest.approx(2 * math.sqrt(2), rel=1e-5)
    own, weighted = (found["matrices"]["q"][which]["sigma_1"] for which in ("unweighted", "weighted"))
    assert weighted == pytest.approx(2 * own, rel=1e-5)
    assert facts({}, places.__getitem__, {}, trained=True) == {"weights": "trained", "matrices": {}}


def test_relative_is_the_mean_over_the_matrices_that_have_a_null():
    def entry(own, random):
        return {"unweighted": {"sigma_2": own, "random": {"sigma_2": random}}, "weighted": None}

    entries = [entry(3.0, 2.0), entry(1.0, 2.0), entry(0.0, 0.0)]
    assert relative(entries, "unweighted") == 1.0 and relative(entries, "weighted") is None
