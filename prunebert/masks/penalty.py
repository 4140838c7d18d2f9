"""The penalty R(S), and the force λ on it that steers a method without a target to the configured sparsity."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.chunks import pieces, room_for
from prunebert.masks.selection import Scalar, kernels_take
from prunebert.masks.top_v import Scores, TopV

log = logging.getLogger(__name__)


@dataclass
class Force:
    """λ(t) that brings the scores' quantile at `sparsity` from `origin` to `cut` between `start` and `end`.

    It is a proportional-integral controller: λ = unit · sinh(gain · e + hold · ∫ e du). u runs from 0 to 1 between
    start and end. e is the quantile's height above its path, in units of the whole way. The path flattens out: (1-u)²
    of the way remains at u. sinh lets λ grow over many orders of magnitude, as models of different size need. It also
    lets λ turn negative where scores sink too fast by themselves. From `end` on λ is constant.

    Attributes:
        sparsity: The fraction of all scores that shall lie below the cut.
        cut: Where the quantile shall be at `end`.
        origin: Where the quantile is at `start`.
        start: The progress at which the steering begins.
        end: The progress at which it ends.
        unit: The scale of λ.
        gain: Weight of the error. Gain and hold are what kept model=tiny within 0.4 points (LOG.md).
        hold: Weight of the error's integral.
        rank: Ranks the scores.
        memory: The controller's state, for checkpoints.
    """

    sparsity: float
    cut: float
    origin: float
    start: float
    end: float
    unit: float = 1.0
    gain: float = 80.0
    hold: float = 200.0
    rank: TopV = field(default_factory=lambda: TopV("global"))
    memory: dict[str, Any] = field(default_factory=lambda: {"total": 0.0, "last": 0.0, "value": 0.0})

    def __call__(self, scores: Scores, t: float) -> Scalar:
        """Return λ at progress t. Call it once a step."""
        memory = self.memory
        if self.sparsity == 0 or t < self.start or memory["last"] >= 1:
            return memory["value"]
        u = min((t - self.start) / (self.end - self.start), 1.0)
        way = self.origin - self.cut
        e = (self.rank.quantile(scores, self.sparsity) - self.cut) / way - (1 - u) ** 2
        memory["total"] += e * (u - memory["last"])
        memory["value"] = self.unit * sinh(self.gain * e + self.hold * memory["total"])
        memory["last"] = u
        if u == 1 and abs(below(scores, self.cut) - self.sparsity) > 0.005:
            log.warning(
                "λ brought %.4f of the weights below the cut, not %.4f as configured. From here on the cut moves "
                "so that exactly the configured fraction is removed. "
                "More steps or another method.score_lr may come closer",
                below(scores, self.cut),
                self.sparsity,
            )
        return memory["value"]


def sinh(x: Scalar) -> Scalar:
    """Return sinh(x), with x limited to ±10."""
    return x.clamp(-10.0, 10.0).sinh() if isinstance(x, Tensor) else math.sinh(max(-10.0, min(10.0, x)))


def below(scores: Scores, cut: float) -> float:
    """Return the fraction of all scores together at or below `cut`."""
    return sum(int((s <= cut).sum()) for s in scores.values()) / sum(s.numel() for s in scores.values())


@torch.no_grad()
def penalise(S: Scores, force: Scalar, above: float = 0.0) -> Tensor:
    """Return λ R(S), and add its gradient to the gradient of S. R = mean over matrices of mean σ(S - above).

    λ ∂R/∂S = λ σ(1 - σ) / (matrices · weights in each) is added piece by piece, so no σ(S) of full size is allocated.
    At λ = 0 nothing is added.

    Args:
        S: Scores.
        force: λ.
        above: What is subtracted from S.
    """
    if not isinstance(force, Tensor) and force == 0:
        return next(iter(S.values())).new_zeros(())
    if kernels_take(S.values()):
        from prunebert.masks import penalty_cuda

        return (force * penalty_cuda.means(list(S.values()), above, force=force).mean()).float()
    y, z = room_for(*S.values()), room_for(*S.values())
    total = y.new_zeros(())
    for s in S.values():
        each = force / (len(S) * s.numel())
        if s.grad is None:
            s.grad = torch.zeros_like(s)
        for gradient, x, sigma, rest in pieces(s.grad, s, room=(y, z)):
            torch.sigmoid(torch.sub(x, above, out=sigma) if above else x, out=sigma)
            total += each * sigma.sum()
            if isinstance(each, Tensor):
                gradient.add_(sigma.mul_(torch.sub(1, sigma, out=rest)).mul_(each))
            else:
                gradient.addcmul_(sigma, torch.sub(1, sigma, out=rest), value=each)
    return total


def mean_sigmas(S: Scores, temperature: float = 1.0) -> dict[str, Tensor]:
    """Return mean σ(s/p) of every matrix, 0-d and without a gradient, computed piece by piece. temperature: p."""
    if kernels_take(S.values()):
        from prunebert.masks import penalty_cuda

        return dict(zip(S, penalty_cuda.means([s.detach() for s in S.values()], temperature=temperature), strict=True))
    room = room_for(*S.values())

    def total(x: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(x if temperature == 1 else torch.div(x, temperature, out=y), out=y).sum()

    sums = {n: [total(x, y) for x, y in pieces(s.detach(), room=(room,))] for n, s in S.items()}
    return {n: torch.stack(sums[n]).sum() / s.numel() for n, s in S.items()}
