"""Straight-through masks and their gradients, against other formulations."""

import pytest
import torch

from prunebert.masks import products_cuda
from prunebert.masks.apply import straight_through
from prunebert.masks.top_v import keep_top, top


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
    assert not torch.equal((M + S - S).detach(), M.to(dtype))  # the formula that rounds would fail this test


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
    """∂L/∂S = ∂L/∂W′ ⊙ W on a 4 × 5 matrix with L = ½ ‖W′x‖²: ∂L/∂W′ = (W′x) xᵀ. Removed weights get a gradient too."""
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
def test_times_agrees_with_multiplying_by_the_mask(slope):
    """times() against autograd's own W ⊙ m(S), with m's derivative written out: 1, or that of σ(tS)."""
    generator = torch.Generator().manual_seed(4)
    W, S, G = (torch.randn(6, 7, generator=generator).requires_grad_(True) for _ in range(3))
    M = keep_top({"w": S}, 0.6)
    through = straight_through(M, {"w": S}, slope)
    gradients = torch.autograd.grad(through.times("w", W), (W, S), G.detach())
    soft = S if slope is None else (slope * S).sigmoid()
    m = M["w"].float() + soft - soft.detach()
    expected = torch.autograd.grad(W * m, (W, S), G.detach())
    assert torch.equal(through.times("w", W), W * M["w"]) and torch.equal(through["w"], M["w"].float())
    torch.testing.assert_close(gradients, expected)
    product = straight_through(M, {"w": S.detach().requires_grad_(True)}, slope).times("w", W.detach())
    product.backward(G.detach())  # frozen weights get no gradient
    assert W.grad is None


@pytest.mark.parametrize("slope", [None, 1.5])
@pytest.mark.parametrize("trained", [False, True])
def test_one_function_for_all_matrices_agrees_with_one_for_each(slope, trained):
    """As on a GPU. Products of lower precision are rounded as autocast rounds."""
    draw = torch.Generator().manual_seed(2)
    W = {n: torch.randn(5, 4, generator=draw).requires_grad_(trained) for n in "ab"}
    S = {n: torch.randn(5, 4, generator=draw).requires_grad_(True) for n in "ab"}
    M = {n: s.detach() > 0.2 for n, s in S.items()}
    c = {n: torch.randn(5, 4, generator=draw).bfloat16() for n in "ab"}
    inputs = [*S.values(), *(W.values() if trained else ())]
    each = {n: straight_through(M, S, slope).times(n, W[n]) for n in "ab"}
    expected = torch.autograd.grad(sum((each[n].bfloat16() * c[n]).float().sum() for n in "ab"), inputs)
    both = products_cuda._Together.apply(list(M.values()), [torch.bfloat16] * 2, slope, *W.values(), *S.values())
    assert all(torch.equal(p, each[n].bfloat16()) for n, p in zip("ab", both, strict=True))
    gradients = torch.autograd.grad(sum((p * c[n]).float().sum() for n, p in zip("ab", both, strict=True)), inputs)
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_fixed_masks_by_one_function_train_the_weights():
    W = {n: torch.randn(5, 4).requires_grad_(True) for n in "ab"}
    M = {n: torch.rand(5, 4) > 0.5 for n in "ab"}
    a, b = products_cuda._Together.apply(list(M.values()), [torch.float32] * 2, None, *W.values())
    (2 * a.sum() + 3 * b.sum()).backward()
    assert torch.equal(a, W["a"] * M["a"]) and torch.equal(W["a"].grad, 2.0 * M["a"])
    assert torch.equal(W["b"].grad, 3.0 * M["b"])


def test_a_product_that_nothing_reads_gets_no_gradient():
    S = {n: torch.randn(5, 4).requires_grad_(True) for n in "ab"}
    M = [s.detach() > 0 for s in S.values()]
    a, _ = products_cuda._Together.apply(M, [torch.float32] * 2, None, torch.ones(5, 4), torch.ones(5, 4), *S.values())
    a.sum().backward()
    assert S["a"].grad is not None and S["b"].grad is None
