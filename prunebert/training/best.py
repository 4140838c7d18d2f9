"""Best: the state of what is trained at the best evaluation so far."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Best:
    """The state of the trained tensors at the best score so far; the earliest of equals."""

    def __init__(self, trained: dict[str, Tensor]) -> None:
        self.trained = trained
        self.score, self.step = -math.inf, 0
        self.state: dict[str, Tensor] = {}

    def offer(self, score: float, step: int) -> None:
        """Copy the tensors if `score` beats what was offered before."""
        if score > self.score:
            self.score, self.step = score, step
            self.state = {n: x.detach().to("cpu", copy=True) for n, x in self.trained.items()}

    def restore(self) -> int:
        """Put the best state back; returns its step."""
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(self.state[name])
        return self.step
