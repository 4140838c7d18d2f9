"""Batch is a network's input, Outputs is its output, and Form describes a task without its data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from prunebert.choices import Padding

IGNORED = -100  # a label that does not count; the default ignore_index of torch's losses


@dataclass(frozen=True)
class Batch:
    """Examples that go through the network together."""

    # Keyword arguments of the encoder, each [batch, length]; [batch · choices, length] where a row has choices.
    inputs: dict[str, Tensor]
    # [batch]; [batch, 2] for spans; [batch, length] for masked-LM and labels of tokens; [batch, outputs] for several
    # labels at once
    labels: Tensor
    rows: Tensor  # [batch], the position of each example (for spans, of each window) in its split

    def to(self, device: torch.device) -> Batch:
        """Return the same batch on another device; `rows` stay on the CPU."""
        inputs = {k: v.to(device, non_blocking=True) for k, v in self.inputs.items()}
        return Batch(inputs, self.labels.to(device, non_blocking=True), self.rows)

    def pinned(self) -> Batch:
        """Return the same batch in pinned memory: a GPU copies from it without blocking the host."""
        return Batch({k: v.pin_memory() for k, v in self.inputs.items()}, self.labels.pin_memory(), self.rows)


def logits_by_row(out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
    """Return the logits of each row of the split that is in the batch."""
    return dict(zip(batch.rows.tolist(), out.logits.float().cpu().numpy(), strict=True))


@dataclass(frozen=True)
class Outputs:
    """What the network returns for one batch. `hidden` and `attention` are empty unless they were requested.

    Attributes:
        logits: [batch, outputs]; [batch, length, outputs] for spans and labels of tokens; [batch, choices] where one of
            several texts is chosen; [target tokens, vocabulary] for masked-LM.
        hidden: [batch, length, width] after the embeddings and after every layer, so layers + 1 tensors.
        attention: every layer's scores before the softmax, [batch, heads, length, length]; BERT's -10,000 is added at
            keys that are padding.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    attention: tuple[Tensor, ...] = ()


@dataclass
class Form:
    """A task without its data. A run records it in result.json."""

    name: str
    span: bool  # the outputs are spans of tokens
    regression: bool  # labels are real numbers
    masked_lm: bool  # words are predicted, through the model's own masked-LM head
    pair: bool  # an example has two texts (for spans: question and context)
    outputs: int  # logits per example (for spans and labels of tokens: per token)
    max_length: int  # as in the task's yaml, in tokens
    labels: list[str] = field(default_factory=list)  # the classes' names in order; none for numbers and spans
    label_words: list[str] | None = None  # a word of the vocabulary for each output
    stride: int = 0  # for spans, as in the task's yaml, as are the next three
    n_best: int = 20
    max_answer: int = 30
    no_answer: bool = False
    padding: Padding = "longest"  # what the rows of a batch are padded to
    tokens: bool = False  # every word has a label
    multilabel: bool = False  # a row may have several labels, or none
    choices: int = 0  # texts of a row, of which one is chosen; 0: a row is one text or pair

    @property
    def every_token(self) -> bool:
        """Whether the logits are those of every token."""
        return self.span or self.tokens

    @property
    def kind(self) -> str:
        """The word of task.kind for a task over rows of text."""
        kinds = {"regression": self.regression, "tokens": self.tokens, "choices": bool(self.choices)}
        kinds["multilabel"] = self.multilabel
        return next((kind for kind, holds in kinds.items() if holds), "classification")

    def outputs_named(self) -> str:
        """Return what the task asks for, in words that follow its name."""
        if self.span:
            return "asks for spans of text"
        if self.masked_lm:
            return "asks for hidden words"
        if self.tokens:
            return "asks for a label of every word"
        if self.choices:
            return f"asks for one of {self.choices} texts"
        if self.regression:
            return "asks for a number"
        return "asks for several labels of a text" if self.multilabel else "asks for a label of a text"

    def width(self, longest: int) -> int:
        """Return the tokens of each padded row of a batch. longest: of its longest row, in tokens."""
        return self.max_length if self.padding == "max_length" else longest

    def unusual_padding(self) -> list[Padding]:
        """Return [padding]; nothing for the default. Hashes of earlier versions were made without padding."""
        return [] if self.padding == "longest" else [self.padding]
