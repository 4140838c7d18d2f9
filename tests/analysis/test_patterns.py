"""The pattern in topology.json, of masks whose pattern is known or was counted by hand."""

import json
import time

import numpy as np
import pytest
import torch

from prunebert.analysis import patterns

#  groups of four keep 2 1 | 2 2: at most 2, in all 7 of 16
TWO_OF_FOUR = torch.tensor([[1, 0, 1, 0, 0, 0, 1, 0], [1, 1, 0, 0, 0, 1, 0, 1]]).bool()
#  groups of four keep 3 0 | 4 1
UNEVEN = torch.tensor([[1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 1]]).bool()


def blocks(rows, columns, seed=0, shape=(32, 64)):
    """Return a mask of random blocks, half of them kept."""
    kept = np.random.default_rng(seed).permutation(shape[0] * shape[1] // (rows * columns)) % 2 == 0
    grid = kept.reshape(shape[0] // rows, shape[1] // columns)
    return torch.from_numpy(np.kron(grid, np.ones((rows, columns), bool)))


def groups(most, width, seed=0, shape=(32, 64)):
    """Return a mask with `most` random weights in every group."""
    order = np.random.default_rng(seed).random((shape[0], shape[1] // width, width)).argsort(axis=2)
    return torch.from_numpy((order < most).reshape(shape))


def test_what_is_found_in_masks_drawn_by_hand():
    assert patterns.facts({"w": TWO_OF_FOUR}, "2:4") == {
        "asked": "2:4",
        "satisfied": True,
        "found": {"n_m": "2:4", "block": None},
        "matrices": {},
        "groups_2_4": 1.0,
    }
    found = patterns.facts({"w": UNEVEN, "v": TWO_OF_FOUR}, "2:4")
    assert found["satisfied"] is False and found["groups_2_4"] == 6 / 8
    # 4 of a group stay, 15 of 32 in all; of 8 columns at most 5 stay, but their mean is 3.75
    assert found["found"] == {"n_m": None, "block": None}
    assert found["matrices"] == {"v": {"n_m": "2:4", "block": None}}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(("most", "width"), [(2, 4), (1, 4), (3, 4), (4, 8), (1, 8), (5, 16)])
def test_groups_are_found_with_the_smallest_m(most, width):
    masks = {name: groups(most, width, seed) for seed, name in enumerate("ab")}
    found = patterns.facts(masks, f"{most}:{width}")
    assert found["found"] == {"n_m": f"{most}:{width}", "block": None} and found["satisfied"]
    fewer = masks["a"].clone()
    fewer[0, : width // 2] = False  # as zeros that came about by accident; every group keeps at most as many
    assert patterns.facts({"a": fewer, "b": masks["b"]})["found"]["n_m"] == f"{most}:{width}"
    more = masks["a"].clone()
    more[1, :width] = True
    broken = patterns.facts({"a": more, "b": masks["b"]}, f"{most}:{width}")
    assert not broken["satisfied"] and broken["matrices"] == {"b": found["found"]}


@pytest.mark.parametrize("size", [(1, 4), (4, 1), (1, 8), (8, 1), (4, 4), (8, 8), (1, 32), (32, 1), (16, 16), (32, 32)])
def test_the_largest_block_is_found(size):
    mask, name = blocks(*size), f"{size[0]}x{size[1]}"
    assert patterns.facts({"w": mask}, name)["found"]["block"] == name
    with_trivial = {"w": mask, "all": torch.ones(3, 5).bool(), "nothing": torch.zeros(3, 5).bool()}
    found = patterns.facts(with_trivial)  # these two keep everything or nothing, so every block that fits is whole
    assert found["found"]["block"] == name and found["matrices"] == {}
    mask[0, 0] ^= True
    broken = patterns.facts({"w": mask, "v": blocks(*size)}, name)
    assert broken["satisfied"] is False and broken["found"]["block"] is None
    assert broken["matrices"]["v"]["block"] == name


def test_blocks_of_two_sizes_have_the_largest_block_in_common():
    found = patterns.facts({"a": blocks(8, 8), "b": blocks(4, 4)})
    assert found["found"]["block"] == "4x4" and found["matrices"] == {"a": {"n_m": None, "block": "8x8"}}


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_masks_that_remove_nothing_or_everything_have_no_pattern(density):
    found = patterns.facts({"w": torch.full((8, 32), bool(density))})
    assert found["found"] == {"n_m": None, "block": None}
    assert found["groups_2_4"] == 1 - density


def test_a_matrix_without_groups_of_four_counts_in_no_share():
    assert patterns.facts({"w": torch.eye(6).bool()})["groups_2_4"] is None
    assert patterns.facts({})["groups_2_4"] is None
    assert patterns.facts({"w": torch.eye(6).bool(), "v": UNEVEN})["groups_2_4"] == 2 / 4


def test_random_masks_of_bert_base_have_no_pattern_and_the_share_of_the_binomial_distribution():
    """A twelfth of BERT base: 7 million weights in less than 0.4 s, so the whole in less than 5. Measured: 0.02 s."""
    generator = torch.Generator().manual_seed(0)
    for density in (0.5, 0.1):
        shapes = [(768, 768)] * 4 + [(3072, 768), (768, 3072)]
        masks = {str(i): torch.rand(shape, generator=generator) < density for i, shape in enumerate(shapes)}
        start = time.perf_counter()
        found = patterns.facts(masks)
        assert time.perf_counter() - start < 0.4
        d, e = density, 1 - density
        assert found["groups_2_4"] == pytest.approx(1 - 4 * d**3 * e - d**4, abs=0.002)
        assert found["found"] == {"n_m": None, "block": None} and found["matrices"] == {}
