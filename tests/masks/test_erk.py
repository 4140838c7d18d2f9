"""The Erdős–Rényi allocation by hand, and allocations from a file."""

import pytest

from prunebert.errors import BadInput
from prunebert.masks.allocation import erk, layer_shares
from prunebert.runs import allocation_file

MATRICES = ["0.query", "0.ffn", "1.query", "1.ffn", "pooler"]


def place(name):
    layer, _, kind = name.partition(".")
    return (int(layer), kind) if kind else (-1, layer)


def test_densities_are_proportional_to_the_sum_over_the_product():
    # 10 x 10: 20/100; 10 x 40: 50/400. ε (20 + 50) = 0.1 · 500, so ε = 5/7
    found = erk({"a": (10, 10), "b": (10, 40)}, 0.9)
    assert found == pytest.approx({"a": 1 - 5 / 7 * 0.2, "b": 1 - 5 / 7 * 0.125})


def test_a_matrix_that_would_be_more_than_dense_is_dense():
    # 2 x 2: 1; 10 x 10: 0.2. At 0.5: 52 stay, ε = 52/24 > 1, so the small one is dense and 48 of 100 stay
    assert erk({"a": (2, 2), "b": (10, 10)}, 0.5) == pytest.approx({"a": 0.0, "b": 0.52})


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.97])
def test_the_whole_has_the_sparsity(sparsity):
    shapes = {"a": (3, 5), "b": (64, 32), "c": (32, 128)}
    found = erk(shapes, sparsity)
    removed = sum(s * shapes[n][0] * shapes[n][1] for n, s in found.items())
    assert removed == pytest.approx(sparsity * sum(o * i for o, i in shapes.values()))
    assert all(0 <= s <= 1 for s in found.values())


def test_shares_respect_their_limits():
    # 3 · 0.5 = 1.5; the first may have 0.4, the rest is shared 3 : 1, but the second may have no more than 0.7
    assert layer_shares([9.0, 3.0, 1.0], 0.5, [0.4, 0.7, 1.0]) == pytest.approx([0.4, 0.7, 0.4])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0: 0.8\n1: 0.9\npooler: 0.5", [0.8, 0.8, 0.9, 0.9, 0.5]),
        ("query: 0.8\nffn: 0.9\npooler: 0", [0.8, 0.9, 0.8, 0.9, 0]),
        ("{0.query: 0.1, 0.ffn: 0.2, 1.query: 0.3, 1.ffn: 0.4, pooler: 1}", [0.1, 0.2, 0.3, 0.4, 1]),
        ('{"0": 0.8, "1": 0.9, "pooler": 0.5}', [0.8, 0.8, 0.9, 0.9, 0.5]),
    ],
)
def test_a_file_gives_a_sparsity_to_layers_kinds_or_matrices(tmp_path, text, expected):
    file = tmp_path / "shares.yaml"
    file.write_text(text)
    assert allocation_file.is_one(file)
    assert allocation_file.read(file, MATRICES, place, "k") == dict(zip(MATRICES, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query: 0.8\nffn: 0.9", "no sparsity for pooler"),
        ("query: 0.8\nfnn: 0.9\npooler: 0", "fnn is no layer, kind or matrix .* did you mean ffn"),
        ("0: 0.8\nffn: 0.9\npooler: 0.5", "two sorts"),
        ("0: 1.2", "at least 0 and at most 1; the file must be a table of names and sparsities"),
        ("0: true", "at least 0 and at most 1"),
        ("0: .nan", "at least 0 and at most 1"),
        ("[0.5]", "must be a table"),
        ("query: 0.8\nquery: 0.9", "query occurs twice"),
        ("0: 0.8\n'0': 0.9", "0' occurs twice"),
        ("a: [", "no table in YAML"),
        ("", "must be a table"),
    ],
)
def test_a_file_that_does_not_say_all_is_refused(tmp_path, text, message):
    file = tmp_path / "shares.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        allocation_file.read(file, MATRICES, place, "k")
