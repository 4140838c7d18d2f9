"""Fit: the budget of one phase. Numbers only, so that a wrong one is told before torch is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunebert.errors import BadInput, bad_choice


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How long and how fast a phase trains.

    steps: optimizer steps; where it is null, `epochs` over the training rows decides.
    lr: of the weights that are trained; head_lr: of a new head. warmup: fraction of the steps with rising lr.
    decay: "linear" to 0 at the end, or "constant". clip: largest norm of the gradient.
    eval_every: steps between evaluations while training, 0 for none but the last.
    keep: "last", or "best" by the evaluation score, counted only at the final sparsity.
    """

    epochs: float
    batch_size: int
    lr: float
    head_lr: float
    steps: int | None = None
    warmup: float = 0.0
    decay: str = "linear"
    weight_decay: float = 0.0
    clip: float = 1.0
    eval_every: int = 0
    keep: str = "last"

    def __post_init__(self) -> None:
        checks = {
            "epochs": (0 < self.epochs < math.inf, "above 0"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "lr": (0 <= self.lr < math.inf, "at least 0"),
            "head_lr": (0 <= self.head_lr < math.inf, "at least 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0"),
            "steps": (self.steps is None or self.steps >= 1, "at least 1, or null for epochs to decide"),
            "warmup": (0 <= self.warmup < 1, "at least 0 and below 1"),
            "clip": (self.clip > 0, "above 0"),
            "eval_every": (self.eval_every >= 0, "at least 0"),
        }
        for key, (ok, allowed) in checks.items():
            if not ok:
                raise BadInput(f"fit.{key}={getattr(self, key)}: must be {allowed}")
        if self.decay not in ("linear", "constant"):
            raise bad_choice("fit.decay", self.decay, ["linear", "constant"])
        if self.keep not in ("last", "best"):
            raise bad_choice("fit.keep", self.keep, ["last", "best"])
        if self.keep == "best" and not self.eval_every:
            raise BadInput("fit.keep=best: needs evaluations to choose from; set fit.eval_every to a number of steps")

    def steps_for(self, rows: int) -> int:
        """Optimizer steps over a training set of `rows` rows; the last, smaller batch of an epoch counts."""
        return self.steps or math.ceil(self.epochs * math.ceil(rows / self.batch_size))

    def rate(self, step: int, steps: int) -> float:
        """The learning rate's factor at `step` (0-based) of `steps`: linear warm-up, then linear decay or constant."""
        rising = round(self.warmup * steps)
        if step < rising:
            return (step + 1) / rising
        return 1.0 if self.decay == "constant" else (steps - step) / (steps - rising)
