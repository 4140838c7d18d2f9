"""Masks against numpy's stable sort and numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert import masks, pieces, through
from prunebert.errors import BadInput, Diverged
from prunebert.masks import Near, Window, by_sorting, counts, keep_top, select, shift, top
from prunebert.through import straight_through

few = settings(deadline=None, max_examples=100, derandomize=True)
# few different values, so that nearly every draw holds ties; infinities and both zeros among them
TIED = st.sampled_from([-math.inf, -2.0, -1.0, -0.0, 0.0, 1.0, 1.0000001, 3.0, math.inf])
SPARSITY = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 0.9, 0.9999999]), st.floats(0, 1))


def by_hand(scores: torch.Tensor, count: int) -> torch.Tensor:
    """The count largest, the earlier of equals first: a stable sort of the negated scores."""
    flat = scores.detach().double().numpy().reshape(-1)
    mask = np.zeros(flat.size, dtype=bool)
    mask[np.argsort(-flat, kind="stable")[:count]] = True
    return torch.from_numpy(mask.reshape(scores.shape))


def ones(mask: torch.Tensor) -> list[int]:
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
def test_nothing_is_kept_of_a_count_of_zero(count):
    assert ones(top(torch.arange(4.0), count)) == []


@pytest.mark.parametrize("count", [4, 5])
def test_everything_is_kept_of_a_count_as_large_as_the_matrix(count):
    assert ones(top(torch.arange(4.0), count)) == [0, 1, 2, 3]


def test_scores_that_are_not_contiguous_are_read_in_their_own_order():
    base = torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 6.0]])
    turned = base.T  # rows 1 4 / 5 2 / 3 6
    assert not turned.is_contiguous()
    assert top(turned, 3).tolist() == [[False, True], [True, False], [False, True]]
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
def test_counts_add_up_and_each_is_within_one(matrices, same):
    sizes = {f"m{i}": size for i, (size, _) in enumerate(matrices)}
    asked = {f"m{i}": matrices[0][1] if same else s for i, (_, s) in enumerate(matrices)}
    exact = {n: sizes[n] * (1 - asked[n]) for n in sizes}
    found = counts(sizes, asked)
    assert abs(sum(found.values()) - math.fsum(exact.values())) <= 0.5 + 1e-6
    for n, kept in found.items():
        assert 0 <= kept <= sizes[n]
        assert abs(kept - exact[n]) < 1 + 1e-6


def test_the_largest_remainders_get_the_last_weights():
    # exact 2.7, 1.4, 0.9, together 5.0: floors 2 + 1 + 0, so the remainders .9 and .7 are rounded up
    assert counts({"a": 27, "b": 14, "c": 9}, dict.fromkeys("abc", 0.9)) == {"a": 3, "b": 1, "c": 1}
    # exact 2.5 in each of four, together 10: two of them get one more, by name
    assert counts(dict.fromkeys("dcba", 5), dict.fromkeys("abcd", 0.5)) == {"d": 2, "c": 2, "b": 3, "a": 3}


def test_a_whole_number_is_not_lost_to_floating_point():
    assert 100 - 100 * 0.55 < 45  # what it looks like to the machine
    assert counts({"a": 100, "b": 10}, {"a": 0.55, "b": 0.55}) == {"a": 45, "b": 4}
    assert counts({"a": 100}, {"a": 0.55}) == {"a": 45}


def test_counts_of_bert_base():
    sizes = {f"a{i}": 768 * 768 for i in range(48)} | {f"f{i}": 768 * 3072 for i in range(24)}
    found = counts(sizes, dict.fromkeys(sizes, 0.97))
    assert sum(sizes.values()) == 84_934_656
    assert sum(found.values()) == 2_548_040  # 84,934,656 * 0.03 = 2,548,039.68
    assert {found[f"a{i}"] for i in range(48)} <= {17_694, 17_695}  # 17,694.72
    assert {found[f"f{i}"] for i in range(24)} <= {70_778, 70_779}  # 70,778.88


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


def test_one_sparsity_a_matrix():
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
    assert abs(masks.kept(M) - n * (1 - s)) <= 0.5 + 1e-6
    if scope == "global":
        flat = torch.cat([m.flatten() for m in M.values()])
        assert torch.equal(flat, by_hand(torch.cat(list(S.values())), int(flat.sum())))
    else:
        for name, scores in S.items():
            assert torch.equal(M[name], by_hand(scores, int(M[name].sum())))
            assert abs(int(M[name].sum()) - scores.numel() * (1 - s)) < 1 + 1e-6


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("s, kept", [(0.0, 200), (0.0001, 200), (0.9999, 0), (1.0, 0), (0.995, 1), (0.9, 20)])
def test_sparsity_at_its_ends_with_scores_that_are_all_zero(scope, s, kept):
    S = {"a": torch.zeros(10, 10), "b": torch.zeros(100)}
    M = keep_top(S, s, scope)
    assert masks.kept(M) == kept
    assert masks.sparsity(M) == pytest.approx(1 - kept / 200)


def test_an_unknown_scope_is_told_what_was_meant():
    with pytest.raises(BadInput, match=r"scope=locl: allowed are local, global; did you mean local\?"):
        keep_top({"a": torch.zeros(2)}, 0.5, "locl")


def test_a_global_ranking_takes_one_sparsity():
    with pytest.raises(BadInput):
        keep_top({"a": torch.zeros(2)}, {"a": 0.5}, "global")


def test_kept_and_sparsity():
    M = {"a": torch.tensor([[True, False], [False, False]]), "b": torch.tensor([1.0, 0.0, 0.25, 1.0])}
    assert masks.kept(M) == 4
    assert masks.sparsity(M) == 0.5
    assert masks.sparsity({}) == 0.0


# select, on tensors that are large enough for its bounds to be narrow

DRAW = np.random.default_rng(3)
LARGE = {
    "normal": DRAW.normal(size=60_000),
    "periodic": np.tile(np.arange(39.0), 1500),  # evenly spaced samples see one value of it
    "steps": np.floor(DRAW.normal(size=60_001) * 3),
    "one value": np.zeros(50_000),
    "two values": np.where(np.arange(50_000) % 7, 0.0, 0.02),
    "infinite": np.where(DRAW.random(60_000) < 0.4, -np.inf, DRAW.normal(size=60_000)),
    "ascending": np.arange(50_000.0),
    "few large": np.where(np.arange(64_000) % 641 == 1, 1e30, DRAW.normal(size=64_000)),
}


@pytest.mark.parametrize("piece", [1000, 2**17])
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("share", [0.0, 1e-4, 0.03, 0.1, 0.5, 0.9, 1.0])
def test_select_is_a_stable_sort(monkeypatch, name, share, piece):
    monkeypatch.setattr(pieces, "SIZE", piece)
    x = LARGE[name].astype(np.float32)
    count = round(share * len(x))
    order = np.argsort(-x, kind="stable")
    expected = np.zeros(len(x), dtype=bool)
    expected[order[:count]] = True
    parts = [torch.from_numpy(part) for part in np.split(x, [7, len(x) // 3])]
    masks, largest = select(parts, count)
    assert np.array_equal(np.concatenate([m.numpy() for m in masks]), expected)
    assert largest == (x[order[count]] if count < len(x) else -math.inf)
    assert torch.equal(top(torch.from_numpy(x), count), torch.from_numpy(expected))


def test_nan_that_no_one_looked_for_is_told_where_it_leaves_no_cut():
    """A window says that there was none: then a step has seen to it. What comes past that is not ranked either."""
    for fill in (15_000, 20_000):
        x = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
        near = Window()
        top(x, 5_000, near)
        assert near.known()
        x[:fill] = math.nan
        with pytest.raises(Diverged, match="NaN"):
            top(x, 10_000, near)


def test_a_shift_asks_no_other_device_where_the_cut_was():
    shift({"a": torch.ones(3, device="meta")}, torch.zeros((), device="meta"), Window())  # a value there raises


def test_bounds_that_miss_cost_time_alone(monkeypatch):
    x = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    right = top(x, 700)
    for wrong in ((2.0, 3.0), (-3.0, -2.0), (math.inf, math.inf), (-math.inf, -math.inf)):
        monkeypatch.setattr(masks, "_bounds", lambda *told, wrong=wrong: wrong)
        assert torch.equal(top(x, 700), right)


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("share", [0.0, 1e-4, 0.1, 0.5, 1.0])
def test_the_sort_of_other_devices_tells_the_same(name, share):
    parts = [torch.from_numpy(part) for part in np.split(LARGE[name].astype(np.float32), [7, 900])]
    count = round(share * len(LARGE[name]))
    masks, largest = select(parts, count)
    sorted_masks, sorted_largest = by_sorting(parts, count)
    assert all(map(torch.equal, masks, sorted_masks)) and largest == float(sorted_largest)
    assert isinstance(sorted_largest, torch.Tensor) and sorted_largest.ndim == 0


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("kind", ["drifting", "jumping", "shrinking", "collapsing", "ties", "infinite"])
def test_where_the_last_cut_was_changes_no_mask(kind, scope):
    """Over 40 steps of scores that move, beside a ranking that remembers nothing. Some windows hit and some miss."""
    draw, near, hits = np.random.default_rng(5), Near(Window), 0
    x = {"a": draw.normal(size=(90, 60)), "b": draw.normal(size=7000)}
    for step in range(40):
        moves = {n: draw.normal(size=v.shape) for n, v in x.items()}
        if kind in ("shrinking", "collapsing"):
            x = {n: v * (0.98 if kind == "shrinking" else 0.7) for n, v in x.items()}
        elif kind == "jumping":
            x = {n: v + (step % 7 == 3) for n, v in x.items()}
        else:
            x = {n: v + 0.01 * moves[n] for n, v in x.items()}
        seen = {n: np.round(v, 1) if kind == "ties" else v for n, v in x.items()}
        if kind == "infinite":
            seen = {n: np.where(v < -0.2, -np.inf, v) for n, v in seen.items()}
        S = {n: torch.from_numpy(v.astype(np.float32)) for n, v in seen.items()}
        s = 0.7 + step / 200
        hits += sum(window.known() for window in near.values())
        M = keep_top(S, s, scope, near)
        assert all(torch.equal(M[n], m) for n, m in keep_top(S, s, scope).items())
    assert hits < 3 if kind == "collapsing" else hits > 20  # where the cut moves too far, no window is tried


def test_a_window_moves_with_the_scores(monkeypatch):
    """As AbP needs it, whose scores are shifted every step: nothing has to be sampled again."""
    S = {"a": torch.randn(200, 100, generator=torch.Generator().manual_seed(0))}
    near = Window()
    M, largest = masks.ranked(S, 0.9, near)
    monkeypatch.delattr(masks, "_bounds")
    masks.shift(S, largest, near)
    assert torch.equal(masks.ranked(S, 0.9, near)[0]["a"], M["a"])


# straight_through


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_forward_pass_is_the_mask_bit_for_bit(scale, dtype):
    generator = torch.Generator().manual_seed(1)
    S = (scale * torch.randn(64, 64, generator=generator)).to(dtype).requires_grad_(True)
    M = torch.rand(64, 64, generator=generator) < 0.5
    through = straight_through({"w": M}, {"w": S})["w"]
    bits = {torch.float32: torch.int32, torch.bfloat16: torch.int16}[dtype]
    assert through.dtype == dtype and through.requires_grad
    assert torch.equal(through.detach().view(bits), M.to(dtype).view(bits))
    assert not torch.equal((M + S - S).detach(), M.to(dtype))  # the formula that rounds would have been noticed


@pytest.mark.parametrize("scale", [1e-3, 100.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_backward_pass_is_the_identity(scale, dtype):
    generator = torch.Generator().manual_seed(2)
    S = (scale * torch.randn(8, 9, generator=generator)).to(dtype).requires_grad_(True)
    G = torch.randn(8, 9, generator=generator).to(dtype)
    through = straight_through({"w": top(S, 20)}, {"w": S})["w"]
    through.backward(G)
    assert S.grad.dtype == dtype and torch.equal(S.grad, G)


def test_a_float_mask_goes_through_too():
    S = torch.zeros(3, requires_grad=True)
    gates = torch.tensor([0.25, 1.0, 0.0])
    through = straight_through({"w": gates}, {"w": S})["w"]
    through.sum().backward()
    assert through.tolist() == [0.25, 1.0, 0.0] and S.grad.tolist() == [1.0, 1.0, 1.0]


def test_the_gradient_of_the_scores_is_that_of_the_masked_weights_times_the_weights():
    """∂L/∂S = ∂L/∂W′ ⊙ W on a 4 × 5 matrix with L = ½ ‖W′x‖²: ∂L/∂W′ = (W′x) xᵀ. Removed weights get one too."""
    W = torch.tensor([[1, 2, 0, -1, 3], [0, 1, 1, 2, -2], [4, 0, -3, 1, 1], [2, -1, 1, 0, 5]]).float()
    S = torch.tensor([[5, 1, 9, 2, 8], [9, 1, 2, 8, 7], [1, 9, 8, 7, 2], [9, 1, 8, 2, 3]]).float()
    x = torch.tensor([1.0, 2.0, -1.0, 0.0, 3.0])
    W.requires_grad_(True)
    S.requires_grad_(True)
    M = keep_top({"w": S}, 0.4)
    # 12 of 20 stay, three in each row
    assert M["w"].int().tolist() == [[1, 0, 1, 0, 1], [1, 0, 0, 1, 1], [0, 1, 1, 1, 0], [1, 0, 1, 0, 1]]
    y = (W * straight_through(M, {"w": S})["w"]) @ x
    assert y.tolist() == [10.0, -6.0, 3.0, 16.0]  # 1·1+0·-1+3·3 = 10 and so on
    (0.5 * y.square().sum()).backward()
    # row i: y_i · x ⊙ W_i
    assert S.grad.tolist() == [
        [10.0, 40.0, 0.0, 0.0, 90.0],
        [0.0, -12.0, 6.0, 0.0, 36.0],
        [12.0, 0.0, 9.0, 0.0, 9.0],
        [32.0, -32.0, -16.0, 0.0, 240.0],
    ]
    # the weights' own gradient is masked: y_i · x ⊙ M_i
    assert W.grad.tolist() == [
        [10.0, 0.0, -10.0, 0.0, 30.0],
        [-6.0, 0.0, 0.0, 0.0, -18.0],
        [0.0, 6.0, -3.0, 0.0, 0.0],
        [16.0, 0.0, -16.0, 0.0, 48.0],
    ]


@pytest.mark.parametrize("slope", [None, 1.0, 3.0])
def test_the_product_made_in_one_go_is_the_one_made_in_two(slope):
    """times() against autograd's own W ⊙ m(S), with m's derivative written out: 1, or that of σ(tS)."""
    generator = torch.Generator().manual_seed(4)
    W, S, G = (torch.randn(6, 7, generator=generator).requires_grad_(True) for _ in range(3))
    M = keep_top({"w": S}, 0.6)
    through = straight_through(M, {"w": S}, slope)
    found = torch.autograd.grad(through.times("w", W), (W, S), G.detach())
    soft = S if slope is None else (slope * S).sigmoid()
    m = M["w"].float() + soft - soft.detach()
    expected = torch.autograd.grad(W * m, (W, S), G.detach())
    assert torch.equal(through.times("w", W), W * M["w"]) and torch.equal(through["w"], M["w"].float())
    torch.testing.assert_close(found, expected)
    still = straight_through(M, {"w": S.detach().requires_grad_(True)}, slope).times("w", W.detach())
    still.backward(G.detach())  # frozen weights get no gradient
    assert W.grad is None


@pytest.mark.parametrize("slope", [None, 1.5])
@pytest.mark.parametrize("trained", [False, True])
def test_all_matrices_by_one_function_are_each_by_its_own(slope, trained):
    """As a GPU has it, and products of a lower precision are rounded as autocast would."""
    draw = torch.Generator().manual_seed(2)
    W = {n: torch.randn(5, 4, generator=draw).requires_grad_(trained) for n in "ab"}
    S = {n: torch.randn(5, 4, generator=draw).requires_grad_(True) for n in "ab"}
    M = {n: s.detach() > 0.2 for n, s in S.items()}
    c = {n: torch.randn(5, 4, generator=draw).bfloat16() for n in "ab"}
    asked = [*S.values(), *(W.values() if trained else ())]
    each = {n: straight_through(M, S, slope).times(n, W[n]) for n in "ab"}
    expected = torch.autograd.grad(sum((each[n].bfloat16() * c[n]).float().sum() for n in "ab"), asked)
    both = through._Together.apply(list(M.values()), [torch.bfloat16] * 2, slope, *W.values(), *S.values())
    assert all(torch.equal(p, each[n].bfloat16()) for n, p in zip("ab", both, strict=True))
    found = torch.autograd.grad(sum((p * c[n]).float().sum() for n, p in zip("ab", both, strict=True)), asked)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_fixed_masks_by_one_function_train_the_weights():
    W = {n: torch.randn(5, 4).requires_grad_(True) for n in "ab"}
    M = {n: torch.rand(5, 4) > 0.5 for n in "ab"}
    a, b = through._Together.apply(list(M.values()), [torch.float32] * 2, None, *W.values())
    (2 * a.sum() + 3 * b.sum()).backward()
    assert torch.equal(a, W["a"] * M["a"]) and torch.equal(W["a"].grad, 2.0 * M["a"])
    assert torch.equal(W["b"].grad, 3.0 * M["b"])


def test_what_nothing_reads_gets_no_gradient():
    S = {n: torch.randn(5, 4).requires_grad_(True) for n in "ab"}
    M = [s.detach() > 0 for s in S.values()]
    a, _ = through._Together.apply(M, [torch.float32] * 2, None, torch.ones(5, 4), torch.ones(5, 4), *S.values())
    a.sum().backward()
    assert S["a"].grad is not None and S["b"].grad is None
