"""F⁻¹ in diagonal blocks, against torch.linalg.inv of the explicit F, and the parts that fit into a memory."""

import pytest
import torch

from prunebert.errors import BadInput
from prunebert.masks.fisher import InverseFisher, split

LAMBDA = 1e-3


def explicit(gradients, block, damping):
    """Return (λI + 1/m Σ g gᵀ)⁻¹ without what couples two blocks, in double precision. gradients: [m, weights]."""
    g = gradients.double()
    F = damping * torch.eye(g.shape[1], dtype=torch.float64) + g.T @ g / len(g)
    number = torch.arange(g.shape[1]) // block
    return torch.linalg.inv(F * (number[:, None] == number))


def seen(W, gradients, spans, block, damping=LAMBDA):
    fisher = InverseFisher(W, block=block, damping=damping, count=len(gradients))
    fisher.start(spans)
    for g in gradients:
        fisher.see(g)
    return fisher


def drawn(shapes, count, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(3)
    draws = [
        {n: scale * torch.randn(shape, generator=generator, dtype=dtype) for n, shape in shapes.items()}
        for _ in range(count)
    ]
    return draws[0], draws[1:]


def test_one_block_by_hand():
    """λ = 1, m = 1, g = (1, 2): F = [[2, 2], [2, 5]] and F⁻¹ = 1/6 [[5, -2], [-2, 2]]."""
    W = {"a": torch.zeros(1, 2)}
    fisher = seen(W, [{"a": torch.tensor([[1.0, 2.0]])}], {"a": slice(0, 2)}, block=2, damping=1.0)
    torch.testing.assert_close(fisher.diagonal()["a"], torch.tensor([5 / 6, 2 / 6]))
    torch.testing.assert_close(fisher.times({"a": torch.tensor([[1.0, 1.0]])})["a"], torch.tensor([3 / 6, 0.0]))


@pytest.mark.parametrize("block", [1, 2, 4, 7, 50])
def test_blocks_are_those_of_the_inverse_of_the_explicit_matrix(block):
    """Of 15 and 16 weights: with B = 2, 4 and 7 a last block is smaller, with B = 50 a matrix is one block."""
    W, gradients = drawn({"a": (3, 5), "b": (4, 4)}, 7)
    fisher = seen(W, gradients, split(W, block, 1.0)[0], block)
    for n, w in W.items():
        inverse = explicit(torch.stack([g[n].flatten() for g in gradients]), block, LAMBDA)
        torch.testing.assert_close(fisher.diagonal()[n], inverse.diagonal(), rtol=1e-9, atol=0)
        torch.testing.assert_close(fisher.times(W)[n], inverse @ w.flatten(), rtol=1e-9, atol=1e-9)


def test_single_precision_is_enough_for_large_gradients():
    """λ = 1e-7 and gradients of about 1: F⁻¹ falls from 1e7 to 0.3 along them. It must not become negative."""
    W, gradients = drawn({"a": (50, 1)}, 17, torch.float32)
    fisher = seen(W, gradients, {"a": slice(0, 50)}, 50, 1e-7)
    inverse = explicit(torch.stack([g["a"].flatten() for g in gradients]), 50, 1e-7)
    for g in gradients:
        along, expected = (
            g["a"].flatten().double() @ x.double() for x in (fisher.times(g)["a"], inverse @ g["a"][:, 0].double())
        )
        assert along == pytest.approx(expected.item(), rel=0.05)


def test_the_parts_cover_every_weight_once_and_fit():
    """B = 4 in double precision: a block takes 128 bytes. 4 + 3 blocks at 3 blocks a part are three parts."""
    W, gradients = drawn({"a": (3, 5), "b": (3, 4)}, 5)
    parts = split(W, 4, 3 * 128e-9)
    assert parts == [{"a": slice(0, 12)}, {"a": slice(12, 15), "b": slice(0, 8)}, {"b": slice(8, 12)}]
    whole = seen(W, gradients, split(W, 4, 1.0)[0], 4)
    for spans in parts:
        fisher = seen(W, gradients, spans, 4)
        for n, span in spans.items():
            assert torch.equal(fisher.diagonal()[n], whole.diagonal()[n][span])
            assert torch.equal(fisher.times(W)[n], whole.times(W)[n][span])


@pytest.mark.parametrize(("block", "memory", "count"), [(50, 8.0, 3), (50, 17.0, 1), (50, 16.9, 2), (1, 0.34, 1)])
def test_the_parts_of_bert_base(block, memory, count):
    """84,934,656 weights × 50 × 4 bytes are 16.99 GB; at B = 1 they are 0.34 GB."""
    shapes = [(768, 768)] * 4 + [(3072, 768), (768, 3072)]
    W = {f"{i}.{k}": torch.empty(shape, device="meta") for i in range(12) for k, shape in enumerate(shapes)}
    parts = split(W, block, memory)
    assert len(parts) == count
    assert sum(span.stop - span.start for spans in parts for span in spans.values()) == 84_934_656


def test_a_memory_below_one_block_is_refused():
    with pytest.raises(BadInput, match=r"method.memory=1e-06: a block of method.block=50 weights takes 1e-05 GB"):
        split({"a": torch.zeros(10, 10)}, 50, 1e-6)
