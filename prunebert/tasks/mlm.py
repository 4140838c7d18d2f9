"""Masked language modelling as a task: blocks of text, 15 % of the tokens to be told (Devlin et al. 2019, §3.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.errors import BadInput
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.cache import tokenised
from prunebert.tasks.corpus import Texts

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs
    from prunebert.tasks.augment import Augment


@dataclass
class MaskedLM:
    """A loaded corpus (see task.Task). Labels are [batch, length], IGNORED where nothing is asked; logits are
    [tokens asked, vocabulary], in the order of the batch."""

    name: str
    rows: dict[str, Rows]
    padding: dict[str, int]
    mask_token: int
    vocabulary: int
    special: Tensor
    rate: float
    block: int
    span = False
    regression = False
    masked_lm = True
    outputs = 0
    label_words: list[str] | None = None
    score = "accuracy"
    eval_splits: tuple[str, ...] = ("validation",)

    @property
    def train_rows(self) -> int:
        return len(self.rows["train"])

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(seed)
        for batch in self.rows["train"].shuffled(batch_size, seed, self.padding):
            yield self.hide(batch, generator)

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(0)  # the same tokens are asked for in every run
        for batch in self.rows[split].by_length(min(batch_size, 32), self.padding):
            yield self.hide(batch, generator)

    def hide(self, batch: Batch, generator: torch.Generator) -> Batch:
        """`rate` of the tokens become labels; 80 % of these read [MASK], 10 % a random token, 10 % themselves."""
        ids = batch.inputs["input_ids"]
        asked = (torch.rand(ids.shape, generator=generator) < self.rate) & ~torch.isin(ids, self.special)
        asked[0, 1] |= not asked.any()  # a batch in which nothing is asked has no loss
        fate = torch.rand(ids.shape, generator=generator)
        other = torch.randint(self.vocabulary, ids.shape, generator=generator)
        shown = torch.where(asked & (fate < 0.8), self.mask_token, ids)
        shown = torch.where(asked & (fate >= 0.8) & (fate < 0.9), other, shown)
        return Batch(batch.inputs | {"input_ids": shown}, torch.where(asked, ids, IGNORED), batch.rows)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"mlm": F.cross_entropy(out.logits.float(), batch.labels[batch.labels != IGNORED])}

    def answers(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """By row: [tokens asked, 3], the token, the predicted one, and the token's log-probability."""
        labels = batch.labels[batch.labels != IGNORED]
        logits = out.logits.float()
        told = logits.log_softmax(-1).gather(1, labels[:, None]).squeeze(1)
        found = torch.stack([labels.double(), logits.argmax(-1).double(), told.double()], 1).cpu().numpy()
        ends = (batch.labels != IGNORED).sum(1).cumsum(0).cpu().numpy()
        return dict(zip(batch.rows.tolist(), np.split(found, ends[:-1]), strict=True))

    def predict(self, split: str, answers: dict[int, np.ndarray]) -> pd.DataFrame:
        found = [answers[row] for row in range(len(self.rows[split]))]
        return pd.DataFrame(
            {
                "split": split,
                "id": [str(row) for row in range(len(found))],
                "label": [json.dumps(x[:, 0].astype(int).tolist()) for x in found],
                "prediction": [json.dumps(x[:, 1].astype(int).tolist()) for x in found],
                "scores": [x[:, 2] for x in found],
            }
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        rows = predictions["validation"]
        right = np.concatenate(
            [np.equal(json.loads(a), json.loads(b)) for a, b in zip(rows.label, rows.prediction, strict=True)]
        )
        return {"accuracy": float(right.mean()), "perplexity": float(np.exp(-np.concatenate(list(rows.scores)).mean()))}

    def majority(self) -> dict[str, float]:
        """Always the most frequent token; the perplexity is that of the training tokens' frequencies, plus one each."""
        train, held = (
            np.bincount(self.rows[split].columns["input_ids"], minlength=self.vocabulary).astype(float)
            for split in ("train", "validation")
        )
        for counts in (train, held):
            counts[self.special.numpy()] = 0
        held /= held.sum()
        surprise = -np.log((train + 1) / (train + 1).sum())
        return {"accuracy": float(held[train.argmax()]), "perplexity": float(np.exp((held * surprise).sum()))}

    def facts(self) -> dict[str, Any]:
        return {
            "source": self.name,
            "rows": {split: len(rows) for split, rows in self.rows.items()},
            "fingerprint": {split: rows.fingerprint() for split, rows in self.rows.items()},
        }

    def form(self) -> Form:
        return Form(self.name, False, False, True, False, self.outputs, self.block)


def mlm_task(
    *,
    tokenizer: Any,
    positions: int,
    name: str,
    corpus: Callable[[], Texts],
    block: int,
    rate: float,
    augment: Augment | None = None,
    key: str = "task",
) -> MaskedLM:
    """A corpus, loaded now and cut into blocks of `block` tokens, [CLS] and [SEP] included; documents run on from block
    to block. key: where these settings lie in the configuration, for messages.
    """
    if augment is not None:
        raise BadInput(f"augment=mlm: task={name} has a corpus and no labels that copies could share; use augment=none")
    if not 8 <= block <= positions:
        raise BadInput(f"{key}.block={block}: the model reads at most {positions} tokens (and at least 8 are needed)")
    if not 0 < rate < 1:
        raise BadInput(f"{key}.rate={rate}: must be above 0 and below 1")

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer(batch["text"], add_special_tokens=False, return_attention_mask=False, verbose=False)
        return {"input_ids": encoded["input_ids"]}

    rows = {}
    for split, texts in corpus().items():
        mapped = tokenised(pd.DataFrame({"text": texts}), tokenize, tokenizer, {"raw": True})
        tokens = Rows.of(mapped, ["input_ids"], torch.zeros(len(texts))).columns["input_ids"]
        rows[split] = _blocks(tokens, block, tokenizer, key)
    special = torch.tensor(sorted(set(tokenizer.all_special_ids)))
    return MaskedLM(name, rows, padding_of(tokenizer), tokenizer.mask_token_id, len(tokenizer), special, rate, block)


def _blocks(tokens: np.ndarray, block: int, tokenizer: Any, key: str) -> Rows:
    """Full blocks only; a corpus shorter than one block is refused."""
    inside = block - 2
    count = len(tokens) // inside
    if count == 0:
        raise BadInput(f"{key}.block={block}: the corpus has only {len(tokens)} tokens in a split")
    body = tokens[: count * inside].reshape(count, inside)
    ends = [np.full((count, 1), i) for i in (tokenizer.cls_token_id, tokenizer.sep_token_id)]
    ids = np.concatenate([ends[0], body, ends[1]], 1).astype(np.int64).reshape(-1)
    columns = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    wanted = {c: columns[c] for c in tokenizer.model_input_names if c in columns}
    return Rows(wanted, np.arange(count + 1) * block, torch.zeros(count))
