"""Schedules map a phase's progress t in [0, 1] to a sparsity or a threshold τ. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from prunebert.errors import BadInput
from prunebert.ranges import Probability, check_fields

Power = Annotated[int, "at least 1 and at most 1000"]


@dataclass(frozen=True)
class Cubic:
    """s(t) = initial + (final - initial) · (1 - (1 - u)³) (Zhu & Gupta 2017; SMP Eq. 5).

    u = (t - start)/(end - start), at most 1. Before `start` s is 0.
    """

    final: Probability  # the value that the schedule reaches at `end` and then keeps
    start: Probability = 0.0  # the progress in the phase at which the value starts to rise
    end: Probability = 1.0  # the progress in the phase at which the value stops rising
    power: Power = 3  # the exponent of the remaining progress: 3 is cubic
    initial: Probability = 0.0  # the value at `start`, to which the schedule jumps

    def __post_init__(self) -> None:
        check_fields(self, "schedule")
        if not 0 <= self.start < self.end <= 1:
            raise BadInput(
                f"the schedule prunes from progress {self.start:.4g} to {self.end:.4g} of the run: no step is left to "
                "prune; give start < end, both within 0 and 1, or more steps (fit.steps, fit.epochs)"
            )
        if self.initial > self.final:
            raise BadInput(
                f"schedule.initial={self.initial:g}: must be at most the value at the end, {self.final:g} (sparsity=)"
            )

    def __call__(self, t: float) -> float:
        if t < self.start:
            return 0.0
        u = min((t - self.start) / (self.end - self.start), 1.0)
        return self.initial + (self.final - self.initial) * (1 - (1 - u) ** self.power)


@dataclass(frozen=True)
class Linear(Cubic):
    """s(t) = initial + (final - initial) · u, the cubic schedule with power 1 (SMP's choice for RoBERTa)."""

    power: Power = 1  # the exponent of the remaining progress: 1 is linear


ToSparsity = Annotated[Cubic, "final: at least 0 and below 1"]  # a schedule of the fraction removed
