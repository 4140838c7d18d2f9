"""The Task protocol: all that the rest of prunebert knows about data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from prunebert.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from prunebert.network.interface import Batch, Form, Outputs


class Task(Protocol):
    """A loaded task."""

    name: str
    span: bool  # the outputs are spans of tokens
    regression: bool  # labels are real numbers
    masked_lm: bool  # words are predicted, through the model's own masked-LM head
    tokens: bool  # every word has a label
    multilabel: bool  # a row may have several labels, or none
    choices: int  # texts of a row, of which one is chosen; 0: a row is one text or pair
    label_words: list[str] | None  # a word of the vocabulary for each output

    @property
    def outputs(self) -> int:
        """Return the logits per example (for spans and labels of tokens: per token)."""
        ...

    @property
    def score(self) -> str:
        """Return the metric that is the run's score."""
        ...

    @property
    def eval_splits(self) -> tuple[str, ...]:
        """Return the names of the evaluation splits."""
        ...

    @property
    def train_rows(self) -> int:
        """Return the number of training rows, which an epoch covers (for spans: of windows)."""
        ...

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """Yield training batches without end. Their order depends on the seed alone."""
        ...

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield every row of an evaluation split once, in any order. `Batch.rows` gives the rows' positions."""
        ...

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return {"task": mean loss of the batch}, a scalar tensor. A masked-LM task names its term otherwise."""
        ...

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """Return what `predict` needs of the network's output, by row of the split.

        These are the logits (`logits_by_row`), unless they are too large to store.
        """
        ...

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Return the predictions, one row per example. Columns: split, id, label, prediction, scores.

        Args:
            outputs: from `outputs_by_row`, of every row of the split.
        """
        ...

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        """Return every official metric of the task from the predictions of all splits.

        With several splits, a metric's name ends with its split's.
        """
        ...

    def baseline(self) -> dict[str, float]:
        """Return the same metrics for the constant baseline: always the commonest training label, or the mean."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what result.json records about the data, and identity hashes: source, rows and fingerprints."""
        ...

    def form(self) -> Form:
        """Return the task without its data."""
        ...


@runtime_checkable
class KnowsLengths(Protocol):
    """A task that knows how long its training rows are. `dry=true` shows it; a task need not."""

    def train_lengths(self) -> np.ndarray:
        """Return the tokens of each training row, [rows], pads up to task.max_length included where it pads to it."""
        ...


def constant_baseline(task: Task) -> dict[str, float]:
    """Return the metrics of the constant baseline. It also checks the task's metric and score before any training.

    Raises BadInput for a metric that cannot score this task, and for a score that is none of its metrics.
    """
    baseline = task.baseline()
    if task.score not in baseline:
        raise BadInput(f"task.score={task.score}: {task.name}'s metrics are {', '.join(baseline)}")
    return baseline
