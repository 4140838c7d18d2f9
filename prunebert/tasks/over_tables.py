"""What the tasks over tables of texts have in common: splits, batches, lengths, and which metric is the score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebert.tasks import groups
from prunebert.tasks.batching import Rows, text_hash
from prunebert.tasks.lengths import lengths_of
from prunebert.tasks.sources import Tables

if TYPE_CHECKING:
    from prunebert.network.interface import Batch


class OverTables:
    """The part of task.Task that does not depend on what the labels are. A subclass has the attributes below."""

    tables: Tables  # by split
    rows: Mapping[str, Rows]  # by split
    padding: dict[str, int]  # the padding value of each input column
    main_metric: str | None  # the entry of the metric that is the score; None: the first
    source: str  # a file, a folder, a package or the hub's name
    labels: list[Any]  # the names of the classes or labels in order; none for numbers and positions
    origin: dict[str, Any]  # see Request
    augmented = 0  # the last rows of train that are augmented copies

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline."""
        raise NotImplementedError

    @cached_property
    def score(self) -> str:
        """The main metric, or else the first. With several splits, that of the first (MNLI: accuracy_matched)."""
        if not self.main_metric:
            return next(iter(self.baseline()))
        return self.main_metric if len(self.eval_splits) == 1 else f"{self.main_metric}_{self.eval_splits[0]}"

    @property
    def train_rows(self) -> int:
        """The number of training rows."""
        return len(self.rows["train"])

    @property
    def eval_splits(self) -> tuple[str, ...]:
        """The names of the evaluation splits."""
        return tuple(split for split in self.tables if split != "train")

    def train_lengths(self) -> np.ndarray:
        """Return the tokens of each training row, [rows] (task.KnowsLengths)."""
        return lengths_of(self.rows["train"])

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """Yield training batches without end."""
        return self.rows["train"].shuffled(batch_size, seed, self.padding)

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield every row of a split once."""
        return self.rows[split].by_length(batch_size, self.padding)

    def facts(self) -> dict[str, Any]:
        """Return what result.json records about the data."""
        facts = {
            "source": self.source,
            "labels": self.labels,
            "rows": {split: len(table) for split, table in self.tables.items()},
            "fingerprint": {split: rows.fingerprint() for split, rows in self.rows.items()},
        }
        grouped = {s: text_hash(t[groups.COLUMN].tolist()) for s, t in self.tables.items() if groups.COLUMN in t}
        facts |= {"grouping": grouped} if grouped else {}
        return facts | self.origin | ({"augmented": self.augmented} if self.augmented else {})
