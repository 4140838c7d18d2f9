"""Whether a mask satisfies a pattern, against loops over its groups and blocks."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.masks.regularity import kept_in_groups, most_kept, parse, satisfied


@pytest.mark.parametrize("text", ["none", "", "4:4", "5:4", "0:4", "2:0", "x4", "0x4", "2:4 ", "٢:4", "2:4:8", "-1x4"])
def test_other_text_is_no_pattern(text):
    assert parse(text) is None


def by_loops(mask, text):
    """Count every group or block of a mask, cell by cell."""
    rows, columns = mask.shape
    if ":" in text:
        most, width = map(int, text.split(":"))
        groups = [[(r, c + i) for i in range(width)] for r in range(rows) for c in range(0, columns, width)]
        return columns % width == 0 and all(sum(bool(mask[cell]) for cell in group) <= most for group in groups)
    down, across = map(int, text.split("x"))
    if rows % down or columns % across:
        return False
    corners = product(range(0, rows, down), range(0, columns, across))
    blocks = [{bool(mask[r + i, c + j]) for i in range(down) for j in range(across)} for r, c in corners]
    return all(len(block) == 1 for block in blocks)


TEXTS = ("1:2", "2:4", "1:4", "3:6", "4:8", "8:16", "5:32", "1x2", "1x4", "2x1", "4x1", "2x3", "4x4", "1x8", "2x16")


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([4, 6]), st.sampled_from([8, 12, 32]), st.sampled_from(TEXTS))
def test_a_pattern_is_found_where_loops_find_it(seed, rows, columns, text):
    """Half of the masks are made of blocks or groups, with at most one weight changed."""
    random = np.random.default_rng(seed)
    mask = random.random((rows, columns)) < random.choice([0.1, 0.5, 0.9])
    first, second = map(int, text.replace("x", ":").split(":"))
    if ":" in text and columns % second == 0:
        mask = np.argsort(random.random((rows, columns // second, second)), axis=2).reshape(mask.shape) < first
    elif "x" in text and rows % first == columns % second == 0:
        mask = np.kron(mask[: rows // first, : columns // second], np.ones((first, second), bool))
    if seed % 2:
        mask[tuple(random.integers(0, mask.shape))] ^= True
    for asked in (text, "2:4", "1x4"):
        assert satisfied([mask], parse(asked)) == by_loops(mask, asked), asked
        assert satisfied([np.zeros((16, 96), bool), mask], parse(asked)) == by_loops(mask, asked)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 24, 128, 256, 384])
def test_groups_are_counted_as_numpy_sums_them(width):
    mask = np.random.default_rng(width).random((3, 768)) < 0.9
    transposed = np.asfortranarray(mask)  # another order in memory
    for m in (mask, transposed, np.ones((2, 768), bool)):
        assert kept_in_groups(m, width).tolist() == m.reshape(len(m), -1, width).sum(2).tolist()
    assert kept_in_groups(mask, 5) is None and most_kept(mask, 5) is None
    assert most_kept(np.ones((2, 768), bool), width) == width
