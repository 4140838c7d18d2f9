"""Fit holds the training settings of one phase. It needs no torch, so wrong values are refused early."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunebert.errors import BadInput, bad_choice


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How long and how fast a phase trains."""

    epochs: float  # over the training rows; used where `steps` is null
    batch_size: int  # rows of the global batch, over all ranks
    lr: float  # largest learning rate of the trained weights
    head_lr: float  # largest learning rate of the head
    steps: int | None = None  # optimizer steps; null: `epochs` decides
    warmup: float = 0.0  # fraction of the steps with a rising learning rate
    decay: str = "linear"  # learning rate after the warm-up: "linear" to 0 at the end, or "constant"
    weight_decay: float = 0.0  # of matrices
    clip: float = 1.0  # largest norm of the gradient
    eval_every: int = 0  # steps between evaluations during training; 0: evaluate only at the end
    keep: str = "last"  # which step's weights: "last", or "best" by the score at the final sparsity

    def __post_init__(self) -> None:
        checks = {
            "epochs": (0 < self.epochs < math.inf, "above 0"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "lr": (0 <= self.lr < math.inf, "at least 0"),
            "head_lr": (0 <= self.head_lr < math.inf, "at least 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0"),
            "steps": (self.steps is None or self.steps >= 1, "at least 1, or null to use epochs"),
            "warmup": (0 <= self.warmup < 1, "at least 0 and below 1"),
            "clip": (self.clip > 0, "above 0"),
            "eval_every": (self.eval_every >= 0, "at least 0"),
        }
        for key, (is_valid, allowed) in checks.items():
            if not is_valid:
                raise BadInput(f"fit.{key}={getattr(self, key)}: must be {allowed}")
        if self.decay not in ("linear", "constant"):
            raise bad_choice("fit.decay", self.decay, ["linear", "constant"])
        if self.keep not in ("last", "best"):
            raise bad_choice("fit.keep", self.keep, ["last", "best"])
        if self.keep == "best" and not self.eval_every:
            raise BadInput("fit.keep=best: needs evaluations during training; set fit.eval_every to a number of steps")

    def steps_for(self, rows: int) -> int:
        """Return the number of optimizer steps for `rows` training rows. An epoch's last, smaller batch counts."""
        return self.steps or math.ceil(self.epochs * math.ceil(rows / self.batch_size))

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate's factor at a step: linear warm-up, then linear decay or a constant 1.

        Args:
            step: counted from 0.
            steps: of the phase.
        """
        warmup_steps = round(self.warmup * steps)
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return 1.0 if self.decay == "constant" else (steps - step) / (steps - warmup_steps)
