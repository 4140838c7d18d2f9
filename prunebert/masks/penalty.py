"""Control: the penalty R(S), and the force λ on it that brings a method without a target to the sparsity asked for."""

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
    """λ(t) such that the scores' quantile at `sparsity` lies at `cut` at progress `end`, leaving `origin` at `start`.

    A proportional-integral controller: λ = unit · sinh(gain · e + hold · ∫ e du), u from 0 to 1 between start and end,
    e the quantile's height, in units of the whole way, above a way down that flattens out: (1-u)² is left at u. sinh
    lets λ grow over many orders of magnitude, as models of different size need, and turn negative where scores sink too
    fast by themselves. From `end` on λ stays as it is. Gain and hold: what kept model=tiny within 0.4 points (LOG.md).
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
        """λ at progress t, to be asked once a step; on a GPU a 0-d tensor there, for which the host does not wait."""
        now = self.memory
        if self.sparsity == 0 or t < self.start or now["last"] >= 1:
            return now["value"]
        u = min((t - self.start) / (self.end - self.start), 1.0)
        way = self.origin - self.cut
        e = (self.rank.quantile(scores, self.sparsity) - self.cut) / way - (1 - u) ** 2
        now["total"] += e * (u - now["last"])
        now["value"] = self.unit * sinh(self.gain * e + self.hold * now["total"])
        now["last"] = u
        if u == 1 and abs(below(scores, self.cut) - self.sparsity) > 0.005:
            log.warning(
                "λ brought %.4f of the weights below the cut where %.4f was asked; the cut is moved for the rest. More "
                "steps or another method.score_lr may come closer",
                below(scores, self.cut),
                self.sparsity,
            )
        return now["value"]


def sinh(x: Scalar) -> Scalar:
    """Of x within ±10."""
    return x.clamp(-10.0, 10.0).sinh() if isinstance(x, Tensor) else math.sinh(max(-10.0, min(10.0, x)))


def below(scores: Scores, cut: float) -> float:
    """Fraction of all scores together at or below `cut`."""
    return sum(int((s <= cut).sum()) for s in scores.values()) / sum(s.numel() for s in scores.values())


@torch.no_grad()
def penalise(S: Scores, force: Scalar, above: float = 0.0) -> Tensor:
    """λ R(S), R = mean over matrices of mean σ(S - above); λ ∂R/∂S = λ σ(1 - σ) / (matrices · weights in each) is added
    to the gradient of S here, piece by piece, so that no σ(S) of full size is made. Nothing is at λ = 0.

    force: λ, on a GPU maybe a 0-d tensor there.
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
    """mean σ(s/p) of every matrix, without a gradient, piece by piece."""
    if kernels_take(S.values()):
        from prunebert.masks import penalty_cuda

        return dict(zip(S, penalty_cuda.means([s.detach() for s in S.values()], temperature=temperature), strict=True))
    room = room_for(*S.values())

    def total(x: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(x if temperature == 1 else torch.div(x, temperature, out=y), out=y).sum()

    sums = {n: [total(x, y) for x, y in pieces(s.detach(), room=(room,))] for n, s in S.items()}
    return {n: torch.stack(sums[n]).sum() / s.numel() for n, s in S.items()}
