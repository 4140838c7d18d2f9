"""Rankings under every allocation and pattern, against sorted lists of all weights, for random scores with ties."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.masks.pattern import parse
from prunebert.masks.ranking import UNIFORM, Ranking, by_shape, proportional

SHAPES = {"a": (8, 8), "b": (4, 16), "c": (4, 8)}  # 64 + 64 + 32 weights
GIVEN = {"a": 0.75, "b": 0.25, "c": 0.5}  # removes 48 + 16 + 16 of 160
SHARES = {"global": None, "uniform": UNIFORM, "erk": by_shape(SHAPES), "file": proportional(GIVEN, 0.5)}
GROUPS, BLOCKS = ("2:4", "4:8"), ("none", "1x4", "4x4", "2x1")
CASES = [*product(SHARES, BLOCKS), *product(("global", "uniform"), GROUPS)]  # N:M removes the same of every matrix
SPARSITIES = (0.0, 0.1, 0.25, 0.4, 0.5)  # as a schedule gives them; 0.5 is that of 2:4 and 4:8
SCORES = st.integers(0, 2**32), st.sampled_from([2, 5, 1000])  # a seed, and how many values the scores have


def draw(seed, values):
    """Draw whole numbers, so that the mean of a block has no rounding."""
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randint(-values, values, shape, generator=generator).float() for n, shape in SHAPES.items()}


def units_of(S, pattern):
    """Return (rank, matrix, position, weights) of all that stay or go together; the highest rank stays longest."""
    units = []
    down, across = map(int, pattern.split("x")) if "x" in pattern else (1, 1)
    for name, s in S.items():
        rows, columns = s.shape
        for r, c in product(range(0, rows, down), range(0, columns, across)):
            cells = [(name, r + i, c + j) for i in range(down) for j in range(across)]
            rank = (0, sum(float(s[cell[1:]]) for cell in cells))
            if ":" in pattern:  # one of the N largest of its group, of equal ones the earlier, never goes
                most, width = map(int, pattern.split(":"))
                first = c // width * width
                group = sorted(range(first, first + width), key=lambda k, s=s, r=r: (-float(s[r, k]), k))
                rank = (1, 0) if c in group[:most] else rank
            units.append((rank, name, len(units), cells))
    return units


def by_sorting(S, sparsity, pattern):
    """Return the weights that one ranking over all units keeps. Of equal units the earlier one stays."""
    units = units_of(S, pattern)
    stay = round(len(units) - len(units) * sparsity)
    ordered = sorted(units, key=lambda unit: (-unit[0][0], -unit[0][1], unit[2]))
    return {cell for unit in ordered[:stay] for cell in unit[3]}


def kept(M):
    return {(n, *cell) for n, m in M.items() for cell in torch.nonzero(m).tolist()}


@settings(deadline=None, max_examples=12, derandomize=True)
@given(*SCORES)
@pytest.mark.parametrize("pattern", ["none", "2:4", "1x4", "4x4", "2x1"])
def test_one_ranking_keeps_what_sorting_all_units_keeps(pattern, seed, values):
    S = draw(seed, values)
    rank = Ranking(None, parse(pattern))
    for sparsity in SPARSITIES:
        assert kept(rank(S, sparsity)) == by_sorting(S, sparsity, pattern), sparsity


@settings(deadline=None, max_examples=6, derandomize=True)
@given(*SCORES)
@pytest.mark.parametrize(("allocation", "pattern"), CASES)
def test_masks_are_exact_of_their_pattern_and_only_shrink(allocation, pattern, seed, values):
    S, asked = draw(seed, values), parse(pattern)
    rank, last = Ranking(SHARES[allocation], asked), {n: torch.ones(shape).bool() for n, shape in SHAPES.items()}
    for sparsity in SPARSITIES:
        M = rank(S, sparsity)
        removed = sum(int((~m).sum()) for m in M.values())
        assert abs(removed - 160 * sparsity) <= asked.unit / 2
        assert all((m <= last[n]).all() for n, m in M.items())
        last = M
    if pattern in GROUPS:
        most, width = map(int, pattern.split(":"))
        assert all((m.view(-1, width).sum(1) == most).all() for m in last.values())
    if "x" in pattern:
        down, across = map(int, pattern.split("x"))
        blocks = [m.unfold(0, down, down).unfold(1, across, across).sum((2, 3)) for m in last.values()]
        assert all(((b == 0) | (b == down * across)).all() for b in blocks)
    if allocation == "file" and pattern == "none":
        assert [int((~m).sum()) for m in last.values()] == [48, 16, 16]
