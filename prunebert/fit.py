"""Fit holds the training settings of one phase. It needs no torch, so wrong values are refused early."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated, Literal, get_args

from prunebert.errors import BadInput, bad_choice
from prunebert.ranges import Count, CountOrZero, Fraction, NonNegative, Share, check_fields

Decay = Literal["linear", "constant", "cyclic"]
Keep = Literal["last", "best"]
Epochs = Annotated[float, "above 0 and at most 1000000"]
BatchSize = Annotated[int, "at least 1 and at most 1000000"]
Clip = Annotated[float, "above 0, infinity included"]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How long and how fast a phase trains."""

    epochs: Annotated[Epochs, "read without steps"]  # over the training rows; used where `steps` is null
    batch_size: BatchSize  # rows of the global batch, over all ranks
    lr: NonNegative  # largest learning rate of the trained weights
    head_lr: NonNegative  # largest learning rate of the head
    steps: Count | None = None  # optimizer steps; null: `epochs` decides
    warmup: Fraction = 0.0  # fraction of the steps with a rising learning rate
    decay: Decay = "linear"  # learning rate after the warm-up: "linear" to the end, "constant", or "cyclic"
    cycle: Annotated[Share, "read with decay=cyclic"] = 0.25  # length of a cycle as a fraction of the run
    floor: Annotated[Fraction, "read without decay=constant"] = 0.0  # share of the rate where a decay ends
    weight_decay: NonNegative = 0.0  # AdamW's weight decay, on matrices only
    clip: Clip = 1.0  # largest norm of the gradient
    eval_every: CountOrZero = 0  # steps between evaluations during training; 0: evaluate only at the end
    keep: Keep = "last"  # which step's weights: "last", or "best" by the score at the final sparsity

    def __post_init__(self) -> None:
        check_fields(self, "fit")
        for key, allowed in (("decay", Decay), ("keep", Keep)):
            if (value := getattr(self, key)) not in get_args(allowed):
                raise bad_choice(f"fit.{key}", value, get_args(allowed))
        if self.keep == "best" and not self.eval_every:
            raise BadInput("fit.keep=best: needs evaluations during training; set fit.eval_every to a number of steps")

    def steps_for(self, rows: int) -> int:
        """Return the number of optimizer steps for `rows` training rows. An epoch's last, smaller batch counts."""
        return self.steps or math.ceil(self.epochs * math.ceil(rows / self.batch_size))

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate's factor at a step: linear warm-up, then 1 or a decay to `floor`.

        A cyclic decay falls from 1 to `floor` in every cycle. The last cycle ends with the run; the first one may be
        shorter.

        Args:
            step: counted from 0.
            steps: of the phase.
        """
        warmup_steps = round(self.warmup * steps)
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if self.decay == "constant":
            return 1.0
        left, length = steps - step, steps - warmup_steps
        if self.decay == "cyclic":
            cycle = min(max(1, round(self.cycle * steps)), length)
            first = length % cycle  # the steps of the shorter first cycle, if any
            left, length = (
                (left - (length - first), first) if left > length - first else ((left - 1) % cycle + 1, cycle)
            )
        return self.floor + (1 - self.floor) * (left / length)

    def part(self, first: int, last: int, of: int) -> Fit:
        """Return the fit of a phase that takes the steps from `first` to before `last` of a training of `of` steps.

        Its learning rates are those of these steps. Only the part that ends the training evaluates on its way.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)} | {"steps": last - first}
        if last < of:
            values |= {"eval_every": 0, "keep": "last"}
        return Part(**values, offset=first, whole=of)


@dataclass(frozen=True, kw_only=True)
class Part(Fit):
    """Some steps of a longer training; see Fit.part."""

    offset: int  # steps of the training before this part
    whole: int  # steps of the training

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate's factor at a step of this part."""
        return super().rate(step + self.offset, self.whole)
