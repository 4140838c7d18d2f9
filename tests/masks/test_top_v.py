"""Masks against numpy's stable sort and hand-computed numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput, Diverged
from prunebert.masks import top_v
from prunebert.masks.top_v import counts, keep_top, top

few = settings(deadline=None, max_examples=100, derandomize=True)
# Few different values give ties in nearly every draw. Infinities and both zeros are among them.
TIED = st.sampled_from([-math.inf, -2.0, -1.0, -0.0, 0.0, 1.0, 1.0000001, 3.0, math.inf])
SPARSITY = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 0.9, 0.9999999]), st.floats(0, 1))


def by_hand(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Select the `count` largest by a stable sort of the negated scores; of equals the earlier stays."""
    flat = scores.detach().double().numpy().reshape(-1)
    mask = np.zeros(flat.size, dtype=bool)
    mask[np.argsort(-flat, kind="stable")[:count]] = True
    return torch.from_numpy(mask.reshape(scores.shape))


def ones(mask: torch.Tensor) -> list[int]:
    """Return the flat positions of the ones."""
    return torch.nonzero(mask.flatten()).flatten().tolist()


# top


@few
@given(st.lists(TIED, min_size=1, max_size=40), st.data())
def test_top_is_the_head_of_a_stable_sort(values, data):
    count = data.draw(st.integers(0, len(values)))
    scores = torch.tensor(values)
    mask = top(scores, count)
    assert mask.dtype == torch.bool and int(mask.sum()) == count
    assert torch.equal(mask, by_hand(scores, count))


def test_the_earlier_position_stays_among_equals():
    scores = torch.tensor([[1.0, 3.0, 1.0], [2.0, 1.0, 1.0]])
    assert ones(top(scores, 1)) == [1]
    assert ones(top(scores, 3)) == [0, 1, 3]
    assert ones(top(scores, 4)) == [0, 1, 2, 3]
    assert ones(top(scores, 5)) == [0, 1, 2, 3, 4]


def test_scores_that_are_all_zero_keep_the_first_ones():
    assert ones(top(torch.zeros(3, 4), 5)) == [0, 1, 2, 3, 4]


def test_both_zeros_are_equal():
    assert ones(top(torch.tensor([-0.0, 0.0, -1.0, 0.0]), 2)) == [0, 1]


@pytest.mark.parametrize("count", [-1, 0])
def test_a_count_of_zero_keeps_nothing(count):
    assert ones(top(torch.arange(4.0), count)) == []


@pytest.mark.parametrize("count", [4, 5])
def test_a_count_as_large_as_the_matrix_keeps_everything(count):
    assert ones(top(torch.arange(4.0), count)) == [0, 1, 2, 3]


def test_scores_that_are_not_contiguous_are_read_in_their_own_order():
    base = torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 6.0]])
    transposed = base.T  # rows 1 4 / 5 2 / 3 6
    assert not transposed.is_contiguous()
    assert top(transposed, 3).tolist() == [[False, True], [True, False], [False, True]]
    every_other = torch.zeros(2, 6)[:, ::2]
    assert ones(top(every_other, 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_scores_of_other_precisions_rank_by_their_own_values(dtype):
    # 1 and 1.001 are one number in bfloat16, two in the others; 257 rounds to 256 in bfloat16
    scores = torch.tensor([1.0, 1.001, 256.0, 257.0, -3.0], dtype=dtype)
    assert ones(top(scores, 1)) == ([2] if dtype == torch.bfloat16 else [3])
    assert ones(top(scores, 3)) == ([0, 2, 3] if dtype == torch.bfloat16 else [1, 2, 3])
    drawn = torch.randn(31, 17, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(top(drawn, 100), by_hand(drawn, 100))


def test_bfloat16_scores_rank_over_their_whole_range():
    huge = torch.tensor([1e5, 3e5, 2e5, 1e-30, 3e-30, 2e-30], dtype=torch.bfloat16)  # beyond what a half can hold
    assert ones(top(huge, 1)) == [1] and ones(top(huge, 2)) == [1, 2] and ones(top(huge, 4)) == [0, 1, 2, 4]


def test_double_scores_are_not_rounded_before_ranking():
    close = torch.tensor([1.0, 1.0 + 1e-12, 1.0 + 2e-12], dtype=torch.float64)
    assert ones(top(close, 1)) == [2]


def test_ranking_leaves_scores_and_their_gradient_alone():
    scores = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    before = scores.detach().clone()
    mask = top(scores, 2)
    assert not mask.requires_grad and torch.equal(scores, before)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_scores_with_nan_raise(count):
    with pytest.raises(Diverged, match=r"NaN.*learning rate"):
        top(torch.tensor([math.nan, 3.0, 2.0, 1.0]), count)
    with pytest.raises(Diverged, match="NaN"):
        top(torch.full((4,), math.nan), count)


@pytest.mark.parametrize("tail", [[3.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
def test_scores_with_nan_raise_beside_ties(tail):
    with pytest.raises(Diverged, match="NaN"):
        top(torch.tensor([math.nan, *tail]), 2)


# counts


@few
@given(
    st.lists(st.tuples(st.integers(1, 5000), SPARSITY), min_size=1, max_size=12),
    st.booleans(),
)
def test_counts_add_up_and_each_is_within_one(matrices, equal):
    sizes = {f"m{i}": size for i, (size, _) in enumerate(matrices)}
    sparsities = {f"m{i}": matrices[0][1] if equal else s for i, (_, s) in enumerate(matrices)}
    exact = {n: sizes[n] * (1 - sparsities[n]) for n in sizes}
    result = counts(sizes, sparsities)
    assert abs(sum(result.values()) - math.fsum(exact.values())) <= 0.5 + 1e-6
    for n, count in result.items():
        assert 0 <= count <= sizes[n]
        assert abs(count - exact[n]) < 1 + 1e-6


def test_the_largest_remainders_get_the_last_weights():
    # Exact 2.7, 1.4, 0.9, together 5.0: floors 2 + 1 + 0, so the remainders .9 and .7 are rounded up
    assert counts({"a": 27, "b": 14, "c": 9}, dict.fromkeys("abc", 0.9)) == {"a": 3, "b": 1, "c": 1}
    # Exact 2.5 in each of four, together 10: two of them get one more, by name
    assert counts(dict.fromkeys("dcba", 5), dict.fromkeys("abcd", 0.5)) == {"d": 2, "c": 2, "b": 3, "a": 3}


def test_a_whole_number_is_not_lost_to_floating_point():
    assert 100 - 100 * 0.55 < 45  # the rounded difference
    assert counts({"a": 100, "b": 10}, {"a": 0.55, "b": 0.55}) == {"a": 45, "b": 4}
    assert counts({"a": 100}, {"a": 0.55}) == {"a": 45}


def test_counts_of_bert_base():
    sizes = {f"a{i}": 768 * 768 for i in range(48)} | {f"f{i}": 768 * 3072 for i in range(24)}
    result = counts(sizes, dict.fromkeys(sizes, 0.97))
    assert sum(sizes.values()) == 84_934_656
    assert sum(result.values()) == 2_548_040  # 84,934,656 * 0.03 = 2,548,039.68
    assert {result[f"a{i}"] for i in range(48)} <= {17_694, 17_695}  # 17,694.72
    assert {result[f"f{i}"] for i in range(24)} <= {70_778, 70_779}  # 70,778.88


# keep_top


def test_local_removes_the_fraction_in_every_matrix():
    S = {"a": torch.tensor([9.0, 8.0, 7.0, 6.0]), "b": torch.tensor([[1.0, 4.0], [3.0, 2.0]])}
    M = keep_top(S, 0.5)
    assert list(M) == ["a", "b"]
    assert ones(M["a"]) == [0, 1] and M["b"].tolist() == [[False, True], [True, False]]


def test_global_is_one_ranking_over_all_matrices():
    S = {"a": torch.tensor([9.0, 8.0, 7.0, 6.0]), "b": torch.tensor([[1.0, 7.0], [3.0, 2.0]])}
    M = keep_top(S, 0.5, "global")
    assert list(M) == ["a", "b"]
    assert ones(M["a"]) == [0, 1, 2] and M["b"].tolist() == [[False, True], [False, False]]  # 9 8 7 7
    M = keep_top(S, 5 / 8, "global")  # a's 7 is the earlier of two
    assert ones(M["a"]) == [0, 1, 2] and ones(M["b"]) == []
    M = keep_top(S, 3 / 8, "global")
    assert ones(M["a"]) == [0, 1, 2, 3] and ones(M["b"]) == [1]


def test_one_sparsity_per_matrix():
    S = {"a": torch.arange(10.0), "b": -torch.arange(10.0), "c": torch.arange(4.0)}
    M = keep_top(S, {"a": 0.8, "b": 0.5, "c": 0.0})
    assert ones(M["a"]) == [8, 9] and ones(M["b"]) == [0, 1, 2, 3, 4] and ones(M["c"]) == [0, 1, 2, 3]


@few
@given(
    st.lists(st.lists(TIED, min_size=1, max_size=30), min_size=1, max_size=5),
    st.floats(0, 1),
    st.sampled_from(["local", "global"]),
)
def test_the_count_is_exact_in_both_scopes(values, s, scope):
    S = {f"m{i}": torch.tensor(v) for i, v in enumerate(values)}
    M = keep_top(S, s, scope)
    n = sum(map(len, values))
    assert abs(top_v.count_kept(M) - n * (1 - s)) <= 0.5 + 1e-6
    if scope == "global":
        flat = torch.cat([m.flatten() for m in M.values()])
        assert torch.equal(flat, by_hand(torch.cat(list(S.values())), int(flat.sum())))
    else:
        for name, scores in S.items():
            assert torch.equal(M[name], by_hand(scores, int(M[name].sum())))
            assert abs(int(M[name].sum()) - scores.numel() * (1 - s)) < 1 + 1e-6


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("s, remaining", [(0.0, 200), (0.0001, 200), (0.9999, 0), (1.0, 0), (0.995, 1), (0.9, 20)])
def test_sparsity_at_its_ends_with_scores_that_are_all_zero(scope, s, remaining):
    S = {"a": torch.zeros(10, 10), "b": torch.zeros(100)}
    M = keep_top(S, s, scope)
    assert top_v.count_kept(M) == remaining
    assert top_v.sparsity(M) == pytest.approx(1 - remaining / 200)


def test_an_unknown_scope_is_refused_with_a_suggestion():
    with pytest.raises(BadInput, match=r"scope=locl: allowed are local, global; did you mean local\?"):
        keep_top({"a": torch.zeros(2)}, 0.5, "locl")


def test_a_global_ranking_takes_one_sparsity():
    with pytest.raises(BadInput):
        keep_top({"a": torch.zeros(2)}, {"a": 0.5}, "global")


def test_kept_and_sparsity():
    M = {"a": torch.tensor([[True, False], [False, False]]), "b": torch.tensor([1.0, 0.0, 0.25, 1.0])}
    assert top_v.count_kept(M) == 4
    assert top_v.sparsity(M) == 0.5
    assert top_v.sparsity({}) == 0.0
