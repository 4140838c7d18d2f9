"""What a task is: the only thing the rest of prunebert knows about data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

    from prunebert.network.interface import Batch, Form, Outputs


class Task(Protocol):
    """A loaded task. `span`: answers are spans of tokens. `outputs`: logits per example (per token for spans).

    `score` names the entry of the metrics that stands for the run. `train_rows` is what an epoch goes over.
    `regression`: labels are real numbers. `masked_lm`: words are to be told, through the model's own masked-LM head.
    """

    name: str
    span: bool
    regression: bool
    masked_lm: bool
    outputs: int
    label_words: list[str] | None
    score: str
    eval_splits: tuple[str, ...]

    @property
    def train_rows(self) -> int: ...

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """Training batches without end; the order is a function of the seed alone."""
        ...

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Every row of an evaluation split once, in any order; `Batch.rows` says which."""
        ...

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """{"task": mean loss of the batch}, a scalar tensor."""
        ...

    def answers(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """By row of the split, what `predict` needs of the network's output (`logits_of`, unless that is too much)."""
        ...

    def predict(self, split: str, answers: dict[int, np.ndarray]) -> pd.DataFrame:
        """Columns split, id, label, prediction, scores, a row an example."""
        ...

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        """Every official metric of the task from all splits' predictions; where several splits count, each by name."""
        ...

    def majority(self) -> dict[str, float]:
        """The same metrics for the constant answer, the commonest (or mean) of the training labels."""
        ...

    def facts(self) -> dict[str, Any]:
        """What result.json and info say of the data: rows of each split, where they came from."""
        ...

    def form(self) -> Form:
        """The task without its data."""
        ...
