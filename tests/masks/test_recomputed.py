"""W ⊙ M computed again in the backward pass, against products that are kept: bit for bit."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import embedding, linear

from prunebert.masks.apply import keeping, products_for, straight_through
from prunebert.masks.recomputed import Recomputed, RecomputedProducts


def gradients(read, *, recompute, slope=None, trained=True, autocast=False):
    """Return what `read` makes of W ⊙ M, and all gradients. read(product, x, other): other is trained too."""
    draw = torch.Generator().manual_seed(0)
    W, S, x, other = (torch.randn(6, 6, generator=draw).requires_grad_(True) for _ in range(4))
    W.requires_grad_(trained)
    masks = straight_through({"w": S.detach() > 0}, {"w": S}, slope)
    products = RecomputedProducts() if recompute else None
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        product = keeping(masks, products).times("w", W)
        assert isinstance(product, Recomputed) is recompute and product.shape == (6, 6)
        out = read(product, x, other)
    del product
    for buffer in products._buffers.values() if recompute else ():
        buffer.fill_(torch.nan)  # as the next matrix of this shape writes over it
    (out.float() * torch.arange(out.numel()).view(out.shape)).sum().backward()
    return [out, *(tensor.grad for tensor in (W, S, x, other) if tensor.grad is not None)]


READERS = {
    "a layer": lambda product, x, other: linear(x, product),
    "a layer with a bias": lambda product, x, other: linear(x, product, other[0]),
    "two layers": lambda product, x, other: linear(linear(x, product).relu(), product, other[1]),
    "three-dimensional": lambda product, x, other: linear(x.view(2, 3, 6), product, other[0]),
    "rows of a larger matrix": lambda product, x, other: linear(x, torch.cat([product, other])),
    "embeddings": lambda product, x, other: embedding(torch.tensor([3, 1, 3]), product),
    "a sum that shares its gradient": lambda product, x, other: (product + other) * x,
    "a layer and a sum": lambda product, x, other: linear(x, product) + (product + other),
    "transposed": lambda product, x, other: linear(x, product.t()),
    "the input": lambda product, x, other: linear(product, x),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("options", [{}, {"trained": False}, {"slope": 2.0}, {"autocast": True}], ids=str)
def test_values_and_gradients_are_those_of_kept_products(name, options):
    expected = gradients(READERS[name], recompute=False, **options)
    got = gradients(READERS[name], recompute=True, **options)
    assert len(got) == len(expected) >= 3 - (not options.get("trained", True)) - ("embeddings" in name)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_a_module_takes_it_as_its_weight():
    layer, x = nn.Linear(4, 3), torch.randn(2, 4)
    M = torch.rand(3, 4) > 0.5
    product = keeping({"w": M}, products_for(torch.device("cpu"), recompute=True)).times("w", layer.weight)
    assert isinstance(product, Recomputed) and (product.dtype, product.ndim) == (torch.float32, 2)
    out = functional_call(layer, {"weight": product}, (x,), tie_weights=False)
    assert torch.equal(out, linear(x, layer.weight * M, layer.bias))
    out.sum().backward()
    assert torch.equal(layer.weight.grad, x.sum(0).expand(3, 4) * M)


def test_nothing_reads_values_that_are_not_there():
    W = torch.randn(3, 4, requires_grad=True)
    product = keeping({"w": W > 0}, RecomputedProducts()).times("w", W)
    with torch._C.DisableTorchFunctionSubclass(), pytest.raises(RuntimeError, match="not computed"):
        product + 1


def test_no_memory_of_the_products_waits_for_the_backward_pass():
    """Eight layers share one buffer, and their graph holds no other copy: the same memory serves every product."""
    products, W = RecomputedProducts(), [torch.randn(5, 5, requires_grad=True) for _ in range(8)]
    masks = keeping({str(i): w > 0 for i, w in enumerate(W)}, products)
    x, matrices = torch.randn(2, 5, requires_grad=True), []
    for i, w in enumerate(W):
        x = linear(x, masks.times(str(i), w))
        matrices.append(x.grad_fn._saved_mat2)
    assert [matrix.shape for matrix in matrices] == [(5, 5)] * 8
    assert len(products._buffers) == 1 and len({matrix.data_ptr() for matrix in matrices}) == 1
    x.sum().backward()
    assert all(w.grad is not None for w in W)


def test_frozen_weights_under_fixed_masks_keep_their_product():
    """Computing it at every step would cost time, and there are no scores or moments beside it."""
    W = torch.randn(3, 4)
    M, products = W > 0, RecomputedProducts()
    first = keeping({"w": M}, products).times("w", W)
    assert not isinstance(first, Recomputed) and torch.equal(first, W * M)
    assert keeping({"w": M}, products).times("w", W).data_ptr() == first.data_ptr()


@pytest.mark.parametrize("trained", [False, True])
def test_the_memory_of_the_gradient_becomes_another_gradients(trained):
    """The matrix product's memory becomes the gradient of W, or of the scores if W is frozen."""
    addresses = []
    S, W = torch.zeros(64, 64, requires_grad=True), torch.randn(64, 64, requires_grad=trained)
    product = keeping(straight_through({"w": S.detach() == 0}, {"w": S}), RecomputedProducts()).times("w", W)
    product._product.register_hook(lambda gradient: addresses.append(gradient.data_ptr()))
    linear(torch.randn(3, 64), product).sum().backward()
    assert (
        addresses == [(W if trained else S).grad.data_ptr()]
        and S.grad.data_ptr() != (W.grad if trained else W).data_ptr()
    )


def test_a_small_network_keeps_its_products():
    products, W = RecomputedProducts(), torch.randn(3, 4, requires_grad=True)
    masks = {"w": W > 0}
    products.step(masks)
    assert not isinstance(keeping(masks, products).times("w", W), Recomputed)
    large = torch.ones((), dtype=torch.bool).expand(2**12 + 1, 2**12)  # no memory
    products.step(masks | {"v": large})
    assert isinstance(keeping(masks, products).times("w", W), Recomputed)
