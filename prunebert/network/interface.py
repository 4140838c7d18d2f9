"""What goes into a network and what comes out: Batch, Outputs, and Form, which is a task without its data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

IGNORED = -100  # a label that does not count, as torch's losses have it


@dataclass(frozen=True)
class Batch:
    """inputs: keyword arguments of the encoder, each [batch, length]. labels: [batch], or [batch, 2] for spans.
    rows: [batch], each example's (for spans, each window's) position in its split."""

    inputs: dict[str, Tensor]
    labels: Tensor
    rows: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self.inputs.items()}
        return Batch(moved, self.labels.to(device, non_blocking=True), self.rows)

    def pinned(self) -> Batch:
        """The same batch in memory from which a GPU copies while the host goes on."""
        return Batch({k: v.pin_memory() for k, v in self.inputs.items()}, self.labels.pin_memory(), self.rows)


def logits_of(out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
    """Each row's logits."""
    return dict(zip(batch.rows.tolist(), out.logits.float().cpu().numpy(), strict=True))


@dataclass(frozen=True)
class Outputs:
    """logits: [batch, outputs]; [batch, length, 2] for spans; [tokens asked, vocabulary] for masked-LM.

    hidden, where needed: [batch, length, width] after the embeddings and after every layer, so one more than layers.
    attention, where needed: of every layer the scores before the softmax, [batch, heads, length, length], with BERT's
    -10,000 added at keys that are padding.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    attention: tuple[Tensor, ...] = ()


@dataclass
class Form:
    """A run records it in result.json. `labels`: the classes' names in their order, none for numbers and spans.

    pair: two texts belong together (for spans: question and context). max_length, and for spans stride, n_best,
    max_answer and no_answer: as the task's yaml has them. The rest is as in task.Task.
    """

    name: str
    span: bool
    regression: bool
    masked_lm: bool
    pair: bool
    outputs: int
    max_length: int
    labels: list[str] = field(default_factory=list)
    label_words: list[str] | None = None
    stride: int = 0
    n_best: int = 20
    max_answer: int = 30
    no_answer: bool = False
