"""Pieces of large tensors, where two masks differ, and what is built on both, against the plain formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebert.masks import chunks, penalty
from prunebert.masks.apply import keeping, straight_through
from prunebert.masks.penalty import mean_sigmas, penalise
from prunebert.masks.products import Products
from prunebert.masks.top_v import TopV


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=100))
def test_where_two_masks_differ(pairs):
    a, b = (np.array([pair[i] for pair in pairs], dtype=bool) for i in (0, 1))
    expected = [i for i, (x, y) in enumerate(pairs) if x != y]
    assert chunks.differing(a, b).tolist() == expected
    assert chunks.changed(torch.from_numpy(a), torch.from_numpy(b)).tolist() == expected


@pytest.mark.parametrize("size", [1, 7, 8, 20, 21])
def test_pieces_cover_everything_once_and_in_order(monkeypatch, size):
    monkeypatch.setattr(chunks, "SIZE", 7)
    x, y = torch.arange(size), torch.zeros(size)
    room = chunks.room_for(x, y)
    seen = []
    for part, other, free in chunks.pieces(x, y, room=(room,)):
        assert len(part) == len(other) == len(free) <= 7
        other += 1
        seen += part.tolist()
    assert seen == list(range(size)) and y.eq(1).all() and len(room) == min(size, 7)


@pytest.mark.parametrize("above", [0.0, -1.5])
@pytest.mark.parametrize("force", [0.0, 3.0, -0.2])
def test_penalise_adds_the_gradient_of_R_and_mean_sigmas_are_its_parts(monkeypatch, force, above):
    """Against autograd in double precision: the value, and what is added to an existing gradient."""
    monkeypatch.setattr(chunks, "SIZE", 7)
    draw = torch.Generator().manual_seed(0)
    S = {"a": 4 * torch.randn(5, 4, generator=draw), "b": 20 * torch.randn(3, 3, generator=draw)}
    exact = {n: s.double().requires_grad_(True) for n, s in S.items()}
    value = force * torch.stack([(s - above).sigmoid().mean() for s in exact.values()]).mean()
    value.backward()
    for p in (1.0, 2.0, 4.0):
        means = {n: (s / p).sigmoid().mean().item() for n, s in exact.items()}
        assert {n: x.item() for n, x in mean_sigmas(S, p).items()} == pytest.approx(means, rel=1e-6)
    S["a"].grad = torch.ones(5, 4)
    assert penalise(S, force, above).item() == pytest.approx(value.item(), rel=1e-6)
    assert torch.allclose(S["a"].grad.double() - 1, exact["a"].grad, atol=1e-6)
    if force == 0:
        assert S["b"].grad is None
        return
    assert torch.allclose(S["b"].grad.double(), exact["b"].grad, rtol=1e-5, atol=1e-7)


def test_products_kept_from_step_to_step_are_the_products():
    """Bit for bit, signs of zeros too.

    The masks change a little, wholly and not at all. Weights are replaced under the same name, and written to.
    """
    draw = torch.Generator().manual_seed(1)
    W, products = torch.randn(9, 7, generator=draw), Products()
    M = torch.rand(9, 7, generator=draw) < 0.5
    for step in range(20):
        if step % 5 == 1:
            M = M.clone()
            M[step % 9] ^= True
        elif step % 5 == 2:
            M = torch.rand(9, 7, generator=draw) < 0.5
        if step == 7:
            W = torch.randn(9, 7, generator=draw)
        elif step == 12:
            W[0] = 5.0
        product = products.kept("w", W, M)
        assert torch.equal(product.view(torch.int32), (W * M).view(torch.int32))


def test_the_kept_product_carries_the_gradient():
    W = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
    S = torch.zeros(2, 2, requires_grad=True)
    products = Products()
    for M in (torch.tensor([[True, False], [True, True]]), torch.tensor([[False, False], [True, True]])):
        through = straight_through({"w": M}, {"w": S})
        through.products = products
        S.grad = None
        masked = through.times("w", W)
        (masked * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
        assert torch.equal(masked, W * M)
        assert S.grad.tolist() == [[1.0, -20.0], [300.0, 500.0]]


def test_the_kept_product_of_trained_weights_is_recomputed_every_step():
    """Once a step and in the same buffer, even if no version shows the change, as under the fused AdamW."""
    W, M = torch.tensor([[1.0, -2.0], [3.0, 0.5]], requires_grad=True), torch.tensor([[True, False], [True, True]])
    products, addresses = Products(), set()
    masks = keeping({"w": M}, products)
    for factor in (2.0, 3.0):
        products.step({})
        version = W._version
        W.detach().numpy()[:] *= factor
        assert W._version == version
        W.grad = None
        first, second = masks.times("w", W), masks.times("w", W)
        assert torch.equal(first, W * M) and torch.equal(second, W * M)
        ((first + second) * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
        assert W.grad.tolist() == [[2.0, 0.0], [200.0, 2000.0]]
        addresses.add(first.data_ptr())
    assert len(addresses) == 1


def test_masks_of_numbers_are_not_kept():
    M = {"w": torch.tensor([0.5, 1.0])}
    assert keeping(M, Products()) is M and keeping({}, Products()) == {}


def test_a_slope_over_several_pieces_against_autograd(monkeypatch):
    """dM/dS = t σ(tS)(1 - σ(tS)) is autograd's derivative of σ(tS)."""
    monkeypatch.setattr(chunks, "SIZE", 7)
    draw = torch.Generator().manual_seed(2)
    W, G, S = (torch.randn(5, 9, generator=draw) for _ in range(3))
    S.requires_grad_(True)
    (expected,) = torch.autograd.grad((W * (3.0 * S).sigmoid() * G).sum(), S)
    masked = straight_through({"w": S.detach() > 0}, {"w": S}, slope=3.0).times("w", W)
    (masked * G).sum().backward()
    assert torch.allclose(S.grad, expected, rtol=1e-4, atol=1e-7)
    S.grad = None
    masked = straight_through({"w": S.detach() > 0}, {"w": S}, slope=3.0).times("w", W)
    masked.backward(G.t().contiguous().t())  # a gradient that is not contiguous, as a transposed product's
    assert torch.allclose(S.grad, expected, rtol=1e-4, atol=1e-7)


def test_only_contiguous_bool_masks_have_a_kept_product():
    W, M = torch.randn(4, 6), torch.ones(4, 6, dtype=torch.bool)
    assert Products().kept("w", W, M.float()) is None
    assert Products().kept("w", W.t(), M.t().contiguous()) is None
    assert Products().kept("w", W.t().contiguous(), M.t()) is None
    assert Products().kept("w", W, M) is not None


def test_the_force_may_be_a_tensor():
    """On a GPU λ is a tensor that stays on the device."""
    penalties = []
    for force in (2.5, torch.tensor(2.5, dtype=torch.float64)):
        S = {"a": torch.linspace(-2, 2, 12).view(3, 4).requires_grad_(True)}
        penalties.append((penalise(S, force).item(), S["a"].grad))
    assert penalties[0][0] == pytest.approx(penalties[1][0]) and torch.allclose(penalties[0][1], penalties[1][1])
    calls = []
    for kind in (float, lambda x: torch.tensor(x, dtype=torch.float64)):
        monkey = pytest.MonkeyPatch()
        with monkey.context() as patch:
            patch.setattr(TopV, "quantile", lambda rank, S, s, kind=kind: kind(-0.1))
            steer = penalty.Force(0.9, cut=-2.0, origin=0.0, start=0.1, end=0.9, gain=1.0, hold=1.0)
            calls.append([float(steer({"a": torch.zeros(3)}, t)) for t in (0.2, 0.4, 0.6)])
    assert calls[0] == pytest.approx(calls[1]) and len({round(c, 6) for c in calls[0]}) == 3
