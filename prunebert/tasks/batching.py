"""Make batches of tokenised rows: grouped by length, padded to one length, in an order given by a seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from prunebert.choices import PADDINGS
from prunebert.errors import bad_choice
from prunebert.network.interface import Batch

if TYPE_CHECKING:
    import pyarrow

BUCKET = 50  # batches that are sorted by length together: far fewer pads, but another order in every epoch


def text_hash(values: Sequence[Any]) -> str:
    """Return a hash of texts, or of lists of them, in order: 32 hexadecimal digits."""
    return hashlib.blake2b(json.dumps(list(values)).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Rows:
    """Tokenised rows of different lengths. Text i is the slice `offsets[i]:offsets[i + 1]` of every column.

    A row is one text, or `group` texts one after the other, which stay together in every batch.
    """

    columns: dict[str, np.ndarray]  # each [tokens], all texts one after the other
    offsets: np.ndarray  # [texts + 1]
    labels: Tensor  # [rows, …]
    width: int = 0  # the least tokens of a batch's padded texts; 0: as many as its longest text has
    group: int = 1  # texts of each row

    def __len__(self) -> int:
        return (len(self.offsets) - 1) // self.group

    @classmethod
    def of(cls, tokenised: pyarrow.Table, columns: list[str], labels: Tensor, width: int = 0, group: int = 1) -> Rows:
        """Make Rows of a table of tokenised texts. Its `columns` are lists of integers, of equal length in a text."""
        flat = {c: tokenised[c].combine_chunks() for c in columns}
        offsets = next(iter(flat.values())).offsets.to_numpy()
        return cls({c: np.asarray(a.values) for c, a in flat.items()}, offsets, labels, width, group)

    def lengths(self) -> np.ndarray:
        """Return the tokens of each row's longest text, [rows]."""
        return np.diff(self.offsets).reshape(len(self), self.group).max(1)

    def fingerprint(self, beside: Sequence[Any] | None = None) -> str:
        """Return a hash of the rows' columns and labels: of all that a model reads, without padding.

        beside: what else the score depends on, such as the gold answers of each row; None if nothing.
        """
        digest = hashlib.blake2b(self.offsets.tobytes(), digest_size=16)
        for name, values in sorted(self.columns.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values).data)
        digest.update(np.ascontiguousarray(self.labels.numpy()).data)
        if beside is not None:
            digest.update(text_hash(beside).encode())
        return digest.hexdigest()

    def batch(self, rows: np.ndarray, padding: dict[str, int]) -> Batch:
        """Make one Batch of these rows, each column padded on the right with `padding[column]`."""
        texts = (rows[:, None] * self.group + np.arange(self.group)).ravel()
        lengths = self.offsets[texts + 1] - self.offsets[texts]
        is_token = np.arange(max(lengths.max(), self.width)) < lengths[:, None]  # [texts, length], false at pads
        source = np.concatenate([np.arange(self.offsets[t], self.offsets[t + 1]) for t in texts])
        inputs = {}
        for name, values in self.columns.items():
            padded = np.full(is_token.shape, padding[name], dtype=np.int64)
            padded[is_token] = values[source]
            inputs[name] = torch.from_numpy(padded)
        index = torch.from_numpy(rows)
        return Batch(inputs, self.labels[index], index)

    def shuffled(self, batch_size: int, seed: int, padding: dict[str, int]) -> Iterator[Batch]:
        """Yield batches without end. Every epoch takes all rows once, in another order."""
        lengths = self.lengths()
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
        """Yield every row once, longest first: little padding, and a lack of memory shows in the first batch."""
        order = np.argsort(-self.lengths(), kind="stable")
        for start in range(0, len(self), batch_size):
            yield self.batch(order[start : start + batch_size], padding)


def width_of(padding: str, max_length: int) -> int:
    """Return `Rows.width` for task.padding. Raises BadInput for another word.

    max_length: of a row, in tokens.
    """
    if padding not in PADDINGS:
        raise bad_choice("task.padding", padding, PADDINGS)
    return max_length if padding == "max_length" else 0


def padding_of(tokenizer: Any) -> dict[str, int]:
    """Return the padding value of each input column of this tokenizer."""
    return {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
