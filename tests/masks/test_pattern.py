"""Patterns: N:M groups and blocks, against plain loops; what does not fit is refused with its numbers."""

import math
from itertools import pairwise

import pytest
import torch

from prunebert.errors import BadInput
from prunebert.masks import pattern
from prunebert.masks.ranking import UNIFORM, Ranking, by_shape, mean_scores, proportional


def drawn(*shape, seed=0, ties=False):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (x * 2).round() if ties else x


def by_loops(S, n, m):
    """The N largest of each M neighbours in a row; among equal ones the earlier."""
    M = torch.zeros_like(S, dtype=torch.bool)
    for i, row in enumerate(S.tolist()):
        for start in range(0, len(row), m):
            group = sorted(range(start, start + m), key=lambda j, row=row: (-row[j], j))
            for j in group[:n]:
                M[i, j] = True
    return M


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8), (3, 6)])
@pytest.mark.parametrize("share", [UNIFORM, None])
def test_a_complete_pattern_keeps_the_largest_of_every_group(n, m, ties, share):
    S = {"a": drawn(6, 24, ties=ties), "b": drawn(4, 48, seed=1, ties=ties)}
    M = Ranking(share, pattern.Groups(n, m))(S, 1 - n / m)
    assert all(torch.equal(M[name], by_loops(s, n, m)) for name, s in S.items())


def test_on_the_way_the_smallest_of_those_that_will_go_go_first():
    """2:4 at a quarter: of each row's eight weights four will go, and the two smallest of these go now."""
    S = {"a": torch.tensor([[9.0, 1, 8, 2, 3, 4, 6, 5]])}
    assert Ranking(UNIFORM, pattern.Groups(2, 4))(S, 0.25)["a"].tolist() == [[True, False, True, False, *[True] * 4]]
    # 3 would go before 4, but 4 is not larger than 2: at 3/8 the third one is 3
    assert not Ranking(UNIFORM, pattern.Groups(2, 4))(S, 3 / 8)["a"][0, 4]


def test_masks_shrink_along_a_schedule_to_the_complete_pattern():
    S, rank = {"a": drawn(8, 32)}, Ranking(UNIFORM, pattern.Groups(2, 4))
    masks = [rank(S, s)["a"] for s in (0.0, 0.1, 0.3, 0.45, 0.5)]
    assert [int(m.sum()) for m in masks] == [256, 230, 179, 141, 128]  # 256 (1 - s)
    assert all(not (later & ~earlier).any() for earlier, later in pairwise(masks))


@pytest.mark.parametrize("share", [UNIFORM, None])
def test_blocks_go_by_the_sum_of_their_scores(share):
    S = {"a": drawn(8, 12), "b": drawn(4, 8, seed=2)}
    M = Ranking(share, pattern.Blocks(2, 4))(S, 0.5)
    sums = {}
    for name, s in S.items():
        for i in range(0, s.shape[0], 2):
            for j in range(0, s.shape[1], 4):
                block = M[name][i : i + 2, j : j + 4]
                assert block.all() or not block.any()
                sums[name, i, j] = (sum(s[i + a, j + b].item() for a in (0, 1) for b in range(4)), bool(block.all()))
    groups = [sums] if share is None else [{k: v for k, v in sums.items() if k[0] == name} for name in S]
    for group in groups:
        assert min(x for x, stays in group.values() if stays) > max(x for x, stays in group.values() if not stays)
        assert sum(stays for _, stays in group.values()) * 2 == len(group)


def test_the_score_of_a_weight_that_may_not_stay_is_never_among_the_largest():
    S = {"a": drawn(4, 16).abs() + 1}
    within = {"a": by_loops(-S["a"], 2, 4)}  # only the smaller half of each group
    assert torch.equal(Ranking(UNIFORM, pattern.Groups(2, 4))(S, 0.5, within=within)["a"], within["a"])


def test_given_masks_hold_under_any_allocation():
    S = {"a": drawn(6, 10), "b": drawn(5, 8, seed=1)}
    given = {"a": drawn(6, 10, seed=3) > 0.3, "b": drawn(5, 8, seed=4) > -1}
    for share in (UNIFORM, None, by_shape({n: tuple(s.shape) for n, s in S.items()})):
        M = Ranking(share, given=given)(S, 0.75)
        assert all(not (M[n] & ~given[n]).any() for n in S)
    M = Ranking(None, given=given)(S, 0.75)
    together = torch.cat([S[n][given[n]] for n in S]).sort(descending=True).values[:25]
    assert sum(int(m.sum()) for m in M.values()) == 25
    assert min(S[n][M[n]].min() for n in S) == together[-1]


def test_a_given_share_is_reached_in_proportion():
    S = {"a": drawn(10, 10), "b": drawn(10, 30, seed=1)}
    rank = Ranking(proportional({"a": 0.6, "b": 0.8}, 0.75))  # (60 + 240) / 400
    assert {n: int(m.sum()) for n, m in rank(S, 0.75).items()} == {"a": 40, "b": 60}
    assert {n: int(m.sum()) for n, m in rank(S, 0.375).items()} == {"a": 70, "b": 180}  # half of each


def test_the_cut_of_each_matrix_is_the_largest_score_that_goes():
    S = {"a": torch.tensor([[1.0, 2, 3, 4]]), "b": torch.tensor([[10.0, 20, 30, 40]])}
    rank = Ranking(UNIFORM)
    M, cuts = rank.cut(S, 0.5)
    assert cuts == {"a": 2.0, "b": 20.0} and M["b"].tolist() == [[False, False, True, True]]
    rank.shift(S, cuts)
    assert S["a"].tolist() == [[-1, 0, 1, 2]] and S["b"].tolist() == [[-10, 0, 10, 20]]
    assert rank.cut(S, 0.0)[1] == {"a": -math.inf, "b": -math.inf}


def test_the_strength_of_magnitudes_is_their_mean():
    assert {n: r.item() for n, r in mean_scores({"a": torch.tensor([[0.0, 4.0]])}).items()} == {"a": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2x", "allowed are none, N:M"),
        ("4:2", "N < M"),
        ("0x4", "allowed are"),
        ("02:04", "allowed are"),
        ("9999x4", "at most 4096"),
        (124, "write '2:4'"),  # what YAML makes of 2:4
        (None, "allowed are"),
    ],
)
def test_what_is_no_pattern_is_refused(text, message):
    with pytest.raises(BadInput, match=message):
        pattern.parse(text)


@pytest.mark.parametrize(
    ("text", "shape", "sparsity", "message"),
    [
        ("2:4", (4, 6), 0.5, "has 6 inputs, no multiple of 4"),
        ("4x4", (6, 8), 0.9, "is 6 by 8, which does not divide into blocks of 4 by 4"),
        ("2:4", (4, 8), 0.9, r"removes exactly 0\.5 of every matrix, and sparsity=0\.9"),
        ("1:3", (4, 9), 0.6, r"removes exactly 0\.6666666667"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_numbers(text, shape, sparsity, message):
    with pytest.raises(BadInput, match=message):
        pattern.require_fits(pattern.parse(text), {"w": shape}, sparsity)


def test_a_pattern_of_groups_sets_the_sparsity():
    assert pattern.sparsity_of("2:4", 0.9) == 0.5 and pattern.sparsity_of("1:4", 0.9) == 0.75
    assert pattern.sparsity_of("none", 0.9) == pattern.sparsity_of("4x4", 0.9) == 0.9


def test_a_score_that_is_no_number_stays_one():
    """Infinity in its place would hide it from the ranking, which refuses it."""
    S = torch.tensor([[1.0, math.nan, 3.0, -math.inf]])
    raised = pattern.Groups(2, 4).reduced(S)[0].tolist()
    assert math.isnan(raised[1]) and raised[2] == math.inf and raised[3] == -math.inf
