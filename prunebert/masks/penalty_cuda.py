"""Sums of σ(S) and the gradient of the penalty R(S) on a GPU, of all matrices in one pass.

penalty.py computes the same piece by piece on the CPU, equal but for rounding (tests/masks/test_selection_cuda.py).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from prunebert.masks.selection_cuda import BLOCK, layout, on_device, tensor_of


def means(S: list[Tensor], above: float = 0.0, temperature: float = 1.0, force: float | Tensor | None = None) -> Tensor:
    """Return mean σ((S - above)/p) of each contiguous float32 matrix: [matrices], float64.

    Args:
        S: The matrices.
        above: What is subtracted.
        temperature: p.
        force: λ. If given, the gradient of λ · mean of these means is added to that of every S (at p = 1).
    """
    sizes, device = tuple(s.numel() for s in S), S[0].device
    first_block, _, _, _, blocks = layout(sizes, (1,) * len(S), device, BLOCK)
    sums = torch.empty(blocks, device=device)
    for s in S if force is not None else []:
        if s.grad is None:
            s.grad = torch.zeros_like(s)
    scores = on_device(tuple(s.data_ptr() for s in S), device)
    gradients = (
        scores if force is None else on_device(tuple(s.grad.data_ptr() for s in S if s.grad is not None), device)
    )
    size = on_device(sizes, device)
    each = torch.zeros(len(S), device=device) if force is None else (1 / (len(S) * size) * force).float()
    wide = triton.next_power_of_2(len(S))
    tables = (scores, gradients, first_block, size, each)
    _sums[(blocks,)](
        *tables, sums, above, 1 / temperature, len(S), with_gradient=force is not None, wide=wide, block=BLOCK
    )
    until = torch.nn.functional.pad(sums.double().cumsum(0), (1, 0))
    return until[first_block].diff() / size


@triton.jit
def _sums(
    scores, gradients, first_block, sizes, each, sums, above, slope, tensors, with_gradient: tl.constexpr,
    wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Sum σ over one program's scores. With a gradient, add each · σ(1 - σ) to theirs."""
    program = tl.program_id(0).to(tl.int64)
    tensor = tensor_of(program, first_block, tensors, wide)
    position = (program - tl.load(first_block + tensor)) * block + tl.arange(0, block)
    exists = position < tl.load(sizes + tensor)
    score = tl.load(tl.load(scores + tensor).to(tl.pointer_type(tl.float32)) + position, mask=exists, other=0.0)
    sigma = tl.sigmoid((score - above) * slope)
    tl.store(sums + program, tl.sum(tl.where(exists, sigma, 0.0), 0))
    if with_gradient:
        gradient = tl.load(gradients + tensor).to(tl.pointer_type(tl.float32)) + position
        tl.store(gradient, tl.load(gradient, mask=exists) + tl.load(each + tensor) * sigma * (1 - sigma), mask=exists)
