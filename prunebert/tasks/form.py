"""Form: what is left of a task without its data. Enough to build its head, and to read new texts as the run did."""

from __future__ import annotations

from dataclasses import dataclass, field


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
