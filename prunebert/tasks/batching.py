"""Batches from tokenised rows: grouped by length, padded to the longest of the batch, in an order the seed decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from prunebert.network.interface import Batch

BUCKET = 50  # batches that are sorted by length together; far fewer pads, still a different order every epoch


@dataclass(frozen=True)
class Rows:
    """Tokenised rows, ragged: every column is one flat array, `offsets[i]:offsets[i + 1]` belonging to row i."""

    columns: dict[str, np.ndarray]
    offsets: np.ndarray
    labels: Tensor

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, tokenised: Dataset, columns: list[str], labels: Tensor) -> Rows:
        """From a datasets.Dataset whose `columns` are lists of integers, equally long within a row."""
        table = tokenised.with_format("arrow")[:]
        flat = {c: table[c].combine_chunks() for c in columns}
        first = next(iter(flat.values()))
        offsets = first.offsets.to_numpy()
        return cls({c: np.asarray(a.values) for c, a in flat.items()}, offsets, labels)

    def fingerprint(self) -> str:
        """A hash of everything a model sees of these rows, and of their labels."""
        digest = hashlib.blake2b(self.offsets.tobytes(), digest_size=16)
        for name, values in sorted(self.columns.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values).data)
        digest.update(np.ascontiguousarray(self.labels.numpy()).data)
        return digest.hexdigest()

    def batch(self, rows: np.ndarray, padding: dict[str, int]) -> Batch:
        """These rows as one Batch, padded on the right with `padding[column]`."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        inside = np.arange(lengths.max()) < lengths[:, None]
        source = np.concatenate([np.arange(self.offsets[r], self.offsets[r + 1]) for r in rows])
        inputs = {}
        for name, values in self.columns.items():
            padded = np.full(inside.shape, padding[name], dtype=np.int64)
            padded[inside] = values[source]
            inputs[name] = torch.from_numpy(padded)
        index = torch.from_numpy(rows)
        return Batch(inputs, self.labels[index], index)

    def shuffled(self, batch_size: int, seed: int, padding: dict[str, int]) -> Iterator[Batch]:
        """Batches without end. Every epoch goes over all rows once, in an order of its own."""
        lengths = np.diff(self.offsets)
        epoch = 0
        while True:
            generator = np.random.default_rng([seed, epoch])
            order = generator.permutation(len(self))
            buckets = [order[i : i + BUCKET * batch_size] for i in range(0, len(self), BUCKET * batch_size)]
            order = np.concatenate([b[np.argsort(lengths[b], kind="stable")] for b in buckets])
            starts = generator.permutation(range(0, len(self), batch_size))
            for start in starts:
                yield self.batch(order[start : start + batch_size], padding)
            epoch += 1

    def by_length(self, batch_size: int, padding: dict[str, int]) -> Iterator[Batch]:
        """Every row once, longest first: little padding, and memory runs out at the start if at all."""
        order = np.argsort(-np.diff(self.offsets), kind="stable")
        for start in range(0, len(self), batch_size):
            yield self.batch(order[start : start + batch_size], padding)


def padding_of(tokenizer: Any) -> dict[str, int]:
    """The value that fills each input column of this tokenizer on the right of a short row."""
    return {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
