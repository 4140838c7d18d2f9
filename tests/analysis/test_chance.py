"""The spread of chance overlap under patterns, against all masks of a pattern and against drawn masks."""

from itertools import combinations, product

import numpy as np
import pytest
import torch

from prunebert.analysis import overlap
from prunebert.analysis.chance import ANY, Draw, draw_of, spread
from prunebert.masks.maskfile import MaskFile, pack

ROWS, COLUMNS = 2, 4
TWO_OF_FOUR, PAIRS = Draw((1, 1), (1, 4)), Draw((1, 1), (1, 2))
ACROSS, DOWN, SQUARE = Draw((1, 2), None), Draw((2, 1), None), Draw((2, 2), None)


def every_mask(draw):
    """Return every half-dense 2 × 4 mask that chance may draw, [masks, weights]."""
    cells = list(product(range(ROWS), range(COLUMNS)))
    units: dict[tuple[int, int], list[int]] = {}
    for i, (r, c) in enumerate(cells):
        units.setdefault((r // draw.unit[0], c // draw.unit[1]), []).append(i)
    urns: dict[tuple[int, int], list[list[int]]] = {}
    down, across = draw.urn or (ROWS, COLUMNS)
    for members in units.values():
        r, c = cells[members[0]]
        urns.setdefault((r // down, c // across), []).append(members)
    masks = []
    for chosen in product(*(combinations(urn, len(urn) // 2) for urn in urns.values())):
        kept = [i for urn in chosen for unit in urn for i in unit]
        masks.append(np.isin(np.arange(len(cells)), kept))
    return np.array(masks, float)


@pytest.mark.parametrize("a", [ANY, TWO_OF_FOUR, PAIRS, ACROSS, DOWN, SQUARE])
@pytest.mark.parametrize("b", [ANY, TWO_OF_FOUR, PAIRS, ACROSS, DOWN, SQUARE])
def test_mean_and_variance_are_those_over_all_pairs_of_masks(a, b):
    shared = every_mask(a) @ every_mask(b).T
    assert shared.mean() == pytest.approx(2)  # a quarter of 8 under every pattern
    unstructured = 4 * 4 * 4 * 4 / (8**2 * 7)
    assert shared.var() == pytest.approx(unstructured * spread(a, b, ((ROWS, COLUMNS),)), abs=1e-12)


def test_two_2_4_masks_vary_as_their_groups_do():
    # In a group two of four meet two of four: 0, 1 or 2 in common in 1, 4 and 1 of 6 ways, so the variance is 1 / 3.
    assert spread(TWO_OF_FOUR, TWO_OF_FOUR, ((ROWS, COLUMNS),)) * 4**4 / (8**2 * 7) == pytest.approx(2 / 3)


def test_one_block_cannot_vary_and_one_weight_has_no_spread():
    assert spread(Draw((2, 4), None), SQUARE, ((2, 4),)) == 0
    assert spread(SQUARE, SQUARE, ((1, 1),)) == 1


def drawn(random, pattern, shapes):
    """Draw a half-dense mask: of 2:4 in every group, of 4x4 blocks in all matrices together."""
    if pattern == "2:4":
        return {n: (random.random((r, c // 4, 4)).argsort(2) < 2).reshape(r, c) for n, (r, c) in shapes.items()}
    sizes = {n: (r // 4, c // 4) for n, (r, c) in shapes.items()}
    total = sum(r * c for r, c in sizes.values())
    kept, masks = random.permutation(total) < total // 2, {}
    for n, (r, c) in sizes.items():
        masks[n], kept = np.kron(kept[: r * c].reshape(r, c), np.ones((4, 4), bool)), kept[r * c :]
    return masks


def packed(masks, pattern):
    return pack(MaskFile({n: torch.from_numpy(m) for n, m in masks.items()}, "toy", "h", pattern))


SHAPES = {"x.layer.0.a": (16, 32), "x.layer.1.a": (32, 8)}


@pytest.mark.parametrize("pattern", ["2:4", "4x4"])
def test_z_of_random_masks_has_mean_0_and_deviation_1(pattern):
    """There are 300 pairs, so the deviation's standard error is 4 %. As unstructured masks 4x4 would have about 4."""
    random = np.random.default_rng(0)
    pairs = [[packed(drawn(random, pattern, SHAPES), pattern) for _ in "ab"] for _ in range(300)]
    z = np.array([overlap.pair(a, b)["z"] for a, b in pairs])
    assert abs(z.mean()) < 0.2 and z.std() == pytest.approx(1, abs=0.15)


def test_the_overlap_of_2_4_and_4x4_cannot_vary():
    random = np.random.default_rng(0)
    groups, blocks = packed(drawn(random, "2:4", SHAPES), "2:4"), packed(drawn(random, "4x4", SHAPES), "4x4")
    found = overlap.pair(groups, blocks)
    assert found["shared"] == found["kept"][0] / 2 and found["z"] is None and found["within"]["z"] is None


def test_a_pattern_changes_no_number_beside_an_unstructured_mask():
    random = np.random.default_rng(0)
    flat = packed({n: random.random(shape) < 0.5 for n, shape in SHAPES.items()}, "none")
    for pattern in ("2:4", "4x4"):
        masks = drawn(random, pattern, SHAPES)
        assert overlap.pair(packed(masks, pattern), flat) == overlap.pair(packed(masks, "none"), flat)


def test_groups_that_keep_fewer_weights_are_drawn_as_any_mask():
    masks = drawn(np.random.default_rng(0), "2:4", SHAPES)
    assert draw_of(packed(masks, "2:4")) == TWO_OF_FOUR and draw_of(packed(masks, "none")) == ANY
    masks["x.layer.0.a"][0, :4] = False
    assert draw_of(packed(masks, "2:4")) == ANY


def test_jaccard_of_two_random_2_4_masks_is_that_of_unstructured_ones():
    random = np.random.default_rng(1)
    found = overlap.pair(*(packed(drawn(random, "2:4", {"w": (256, 256)}), "2:4") for _ in "ab"))
    assert found["expected_jaccard"] == pytest.approx(0.5 / 1.5)
    assert found["jaccard"] == pytest.approx(0.5 / 1.5, abs=0.01) and abs(found["beyond_chance"]) < 0.02
