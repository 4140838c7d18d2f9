"""Random scores and masks, drawn by a generator on the CPU: the numbers are the same on every device."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def uniform_like(x: Tensor, generator: Generator) -> Tensor:
    """Draw U(0, 1) in the shape of x, beside x."""
    return torch.rand(x.shape, generator=generator).to(x.device)


def normal_like(x: Tensor, generator: Generator, mean: float, std: float) -> Tensor:
    """Draw N(mean, std) in the shape of x, beside x."""
    return torch.randn(x.shape, generator=generator).mul_(std).add_(mean).to(x.device)


def shuffled(x: Tensor, generator: Generator) -> Tensor:
    """Return the same values in a random order, in the same shape."""
    order = torch.randperm(x.numel(), generator=generator).to(x.device)
    return x.flatten()[order].view_as(x)
