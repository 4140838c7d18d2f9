"""Many masks compared in blocks, against each pair compared by itself and against numpy on unpacked masks."""

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from prunebert.analysis import comparison, overlap, shared, squares
from prunebert.commands import compare, compare_figure
from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile, pack
from tests.toys import RESULT, write_result

SHAPES = {f"x.layer.{n}.{k}": (9 + n, 70) for n in range(4) for k in "ab"} | {"pooler": (5, 5)}


def draw(seed, density, names=tuple(SHAPES)):
    random = np.random.default_rng(seed)
    return {n: random.random(SHAPES[n]) < min(density * random.uniform(0.5, 1.5), 1) for n in names}


@pytest.fixture(scope="module")
def masks():
    """Nine masks of several densities; some lack the pooler or a layer, one keeps nothing of a matrix."""
    found = [draw(i, density) for i, density in enumerate((0.1, 0.1, 0.5, 0.5, 0.9, 0.02))]
    found += [draw(7, 0.3, tuple(SHAPES)[:-1]), draw(8, 0.4, tuple(SHAPES)[2:])]
    found.append(draw(9, 0.3) | {"x.layer.1.a": np.zeros(SHAPES["x.layer.1.a"], bool)})
    return found


@pytest.fixture(scope="module")
def packed(masks):
    return [pack(MaskFile({n: torch.from_numpy(m) for n, m in mask.items()}, "toy", "h")) for mask in masks]


def write(root, packed, number):
    (root / ".hydra").mkdir(parents=True)
    masks = {n: torch.from_numpy(m) for n, m in packed.items()}
    (root / "masks.safetensors").write_bytes(maskfile.encode(MaskFile(masks, "toy", "h")))
    write_result(root, RESULT | {"seed": number, "model": "toy"})
    return root


@pytest.fixture(scope="module")
def runs(masks, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [write(root / str(i), mask, i) for i, mask in enumerate(masks)]


def counted(packed, monkeypatch, block_bytes):
    monkeypatch.setattr(shared, "BLOCK_BYTES", block_bytes)
    blocks = shared.split([sum(x.nbytes for x in mask.bits.values()) for mask in packed])
    return blocks, shared.count([replace(mask, bits={}) for mask in packed], blocks, lambda i: packed[i])


@pytest.mark.parametrize("block_bytes", [1, 2500, 2**28])
def test_blocks_of_any_size_give_the_counts_of_numpy(masks, packed, monkeypatch, block_bytes):
    monkeypatch.setattr(shared, "WORDS", 3)
    monkeypatch.setattr(shared, "ROWS", 2)
    blocks, counts = counted(packed, monkeypatch, block_bytes)
    assert [len(block) for block in blocks] == {1: [1] * 9, 2500: [3, 3, 3], 2**28: [9]}[block_bytes]
    for i, a in enumerate(masks):
        for j, b in enumerate(masks):
            expected = [int((a[n] & b[n]).sum()) if n in a and n in b else 0 for n in counts.names]
            assert counts.counts[:, i, j].tolist() == expected


def test_a_full_word_of_many_words_does_not_overflow():
    ones = np.full((1, 3 * shared.WORDS + 1), 2**64 - 1, np.uint64)
    assert shared.shared_words(ones[0], ones).tolist() == [64 * ones.size]


def same(value, expected):
    return value is expected is None or value == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.fixture(scope="module")
def patterned():
    """Masks of two patterns and without one, two of them without a matrix."""
    shapes, random = {"x.layer.0.a": (8, 32), "x.layer.1.a": (4, 16), "pooler": (12, 8)}, np.random.default_rng(0)
    found = []
    for i, pattern in enumerate(["2:4", "4x4", "none", "2:4", "4x4", "4x4", "1x8", "2:4", "none"]):
        names = [n for n in shapes if i < 5 or n != "pooler" or i == 8]
        r, c = {"4x4": (4, 4), "1x8": (1, 8)}.get(pattern, (1, 1))
        masks = {
            n: np.kron(random.random((shapes[n][0] // r, shapes[n][1] // c)) < 0.4, np.ones((r, c))) for n in names
        }
        if pattern == "2:4":
            masks = {n: (random.random((m.size // 4, 4)).argsort(1) < 2).reshape(m.shape) for n, m in masks.items()}
        masks = {n: torch.from_numpy(m.astype(bool)) for n, m in masks.items()}
        found.append(pack(MaskFile(masks, "toy", "h", pattern)))
    return found


@pytest.mark.parametrize("which", ["packed", "patterned"])
def test_the_square_matrices_equal_each_pair_compared_by_itself(which, monkeypatch, request):
    packed = request.getfixturevalue(which)
    _, counts = counted(packed, monkeypatch, 4000)
    found, correlations = squares.rows(counts, 0, 9), squares.correlations(packed)
    for i, a in enumerate(packed):
        for j, b in enumerate(packed):
            pair = overlap.pair(a, b)
            flat = {**pair, "kept_a": pair["kept"][0], "kept_b": pair["kept"][1]}
            flat |= {f"within_{k}": pair["within"][k] for k in ("expected_jaccard", "beyond_chance", "z")}
            for key, square in found.items():
                (value,) = comparison._plain(square[i, [j]])
                assert same(value, flat[key]), (i, j, key)
            assert same(comparison._plain(correlations[i, [j]])[0], pair["layer_budget_correlation"])


def test_the_comparison_of_runs_has_the_numbers_of_each_pair(runs, packed):
    found = comparison.comparison(runs)
    assert len(found["pairs"]) == 36 and found["pairs_not_listed"] == 0 and found["damaged"] == []
    assert found["different_sets"] == {"pairs": 15, "example": [0, 6, 1, 0]}
    for p in found["pairs"]:
        pair = overlap.pair(packed[p["a"]], packed[p["b"]])
        assert p.keys() - {"a", "b"} == pair.keys()
        assert (p["size"], p["kept"], p["shared"], p["only"]) == tuple(
            pair[k] for k in ("size", "kept", "shared", "only")
        )
        for key in ("jaccard", "expected_jaccard", "beyond_chance", "z", "mean_jaccard", "layer_budget_correlation"):
            assert same(p[key], pair[key]), key
        assert p["within"].keys() == pair["within"].keys()
        assert all(same(p["within"][k], x) for k, x in pair["within"].items() if k != "kept")
        for key in overlap.MEASURES:
            expected = [pair["matrices"].get(n, {}).get(key) for n in found["matrices"]]
            assert all(same(x, y) for x, y in zip(p["matrices"][key], expected, strict=True))
    assert "".join(compare.as_json(found)) == json.dumps(found) + "\n"


def test_masks_that_do_not_fit_into_memory_are_read_again(runs, monkeypatch):
    whole = comparison.comparison(runs)
    monkeypatch.setattr(shared, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(comparison, "ROWS", 2)
    assert comparison.comparison(runs) == whole


def test_of_many_pairs_those_with_the_largest_overlap_are_listed(runs, monkeypatch, capsys):
    whole = comparison.comparison(runs)
    monkeypatch.setattr(comparison, "MAX_PAIRS", 5)
    fewer = comparison.comparison(runs)
    assert len(fewer["pairs"]) == 5 and fewer["pairs_not_listed"] == 31
    largest = sorted(whole["pairs"], key=lambda p: -(p["beyond_chance"] or 0))[:5]
    assert fewer["pairs"] == sorted(largest, key=lambda p: (p["a"], p["b"]))
    assert fewer["beyond_chance"] == whole["beyond_chance"]
    compare.show(fewer)
    assert "its square matrices have all 36" in capsys.readouterr().out


def test_a_run_that_was_named_is_refused_if_damaged_and_one_that_was_found_is_left_out(runs, masks, tmp_path):
    damaged = write(tmp_path / "damaged", masks[0], 0)
    (damaged / "result.json").write_text('{"method": "smp"}')
    with pytest.raises(BadInput, match="damaged"):
        comparison.comparison([*runs, damaged])
    found = comparison.comparison([*runs, damaged], [damaged])
    assert len(found["labels"]) == 9 and len(found["damaged"]) == 1 and "damaged/result.json" in found["damaged"][0]


def test_runs_that_removed_nothing_or_everything_are_left_out_and_named(runs, masks, tmp_path):
    all_or_nothing = [
        write(tmp_path / name, {n: np.full_like(m, keeps) for n, m in masks[0].items()}, 0)
        for name, keeps in (("nothing removed", True), ("nothing left", False))
    ]
    found = comparison.comparison([all_or_nothing[0], runs[0], all_or_nothing[1], runs[1]])
    assert found["left_out"] == [str(run) for run in all_or_nothing]
    assert [row["directory"] for row in found["runs"]] == [str(run) for run in runs[:2]]


def test_a_mask_that_changes_meanwhile_is_refused(packed, monkeypatch):
    with pytest.raises(BadInput, match="has changed"):
        shared.count(packed, shared.split([1] * 9), lambda i: packed[8 - i])


def test_a_picture_of_many_runs_is_no_larger_than_a_poster(monkeypatch):
    monkeypatch.setattr(compare_figure, "MAX_HEIGHT", 6.0)
    n = 200
    rows = [{"layers": {"0": 0.5}, "size": 8, "kept": 4}] * n
    overlaps = np.eye(n).tolist()
    found = {"labels": ["$x_\x1b" * 600] * n, "runs": rows, "beyond_chance": overlaps, **comparison.cluster(overlaps)}
    width, height = Image.open(BytesIO(compare_figure.png(found))).size
    assert 900 < width < 2000 and 900 < height < 2000
