"""Masked language modelling as a task: predict 15 % of the tokens of text blocks (Devlin et al. 2019, §3.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.errors import BadInput
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.network.tokenizers import around
from prunebert.ranges import Part
from prunebert.tasks.arguments import Tokens
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.cache import tokenised
from prunebert.tasks.corpus import Texts, hold_out
from prunebert.tasks.holdout import tuning_part
from prunebert.tasks.lengths import lengths_of, log_cost

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs
    from prunebert.tasks.augment import Augment

Rate = Annotated[float, "above 0 and below 1"]


@dataclass
class MaskedLM:
    """A loaded corpus (see task.Task).

    Labels are [batch, length], IGNORED except at target tokens. Logits are [target tokens, vocabulary], in the order of
    the batch.
    """

    name: str
    rows: dict[str, Rows]  # by split
    padding: dict[str, int]  # the padding value of each input column
    mask_token: int  # the id of [MASK]
    vocabulary: int  # its size
    special: Tensor  # the ids of special tokens, which are never targets
    rate: float  # fraction of the tokens that are targets
    block: int  # tokens in a row, [CLS] and [SEP] included
    span = False
    regression = False
    masked_lm = True
    tokens = False
    multilabel = False
    choices = 0
    outputs = 0
    label_words: list[str] | None = None
    score = "accuracy"
    eval_splits: tuple[str, ...] = ("validation",)

    @property
    def train_rows(self) -> int:
        return len(self.rows["train"])

    def train_lengths(self) -> np.ndarray:
        return lengths_of(self.rows["train"])

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(seed)
        for batch in self.rows["train"].shuffled(batch_size, seed, self.padding):
            yield self.hide(batch, generator)

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(0)  # the same target tokens in every run
        for batch in self.rows[split].by_length(min(batch_size, 32), self.padding):
            yield self.hide(batch, generator)

    def hide(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Choose `rate` of the tokens as targets; 80 % become [MASK], 10 % a random token, 10 % stay.

        A batch in which chance chooses none has its first token that is not special as target. If all are special, that
        is the token after the first [CLS].
        """
        ids = batch.inputs["input_ids"]
        is_word = ~torch.isin(ids, self.special)
        is_target = (torch.rand(ids.shape, generator=generator) < self.rate) & is_word
        if not is_target.any():  # a batch without a target has no loss
            is_target.view(-1)[is_word.view(-1).int().argmax().clamp_min(1)] = True
        u = torch.rand(ids.shape, generator=generator)
        random_ids = torch.randint(self.vocabulary, ids.shape, generator=generator)
        input_ids = torch.where(is_target & (u < 0.8), self.mask_token, ids)
        input_ids = torch.where(is_target & (u >= 0.8) & (u < 0.9), random_ids, input_ids)
        return Batch(batch.inputs | {"input_ids": input_ids}, torch.where(is_target, ids, IGNORED), batch.rows)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"mlm": F.cross_entropy(out.logits.float(), batch.labels[batch.labels != IGNORED])}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """Return, by row, [target tokens, 3]: the token, the predicted token, and the token's log-probability."""
        labels = batch.labels[batch.labels != IGNORED]
        logits = out.logits.float()
        log_probability = logits.log_softmax(-1).gather(1, labels[:, None]).squeeze(1)
        columns = [labels.double(), logits.argmax(-1).double(), log_probability.double()]
        targets = torch.stack(columns, 1).cpu().numpy()
        ends = (batch.labels != IGNORED).sum(1).cumsum(0).cpu().numpy()
        return dict(zip(batch.rows.tolist(), np.split(targets, ends[:-1]), strict=True))

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        targets = [outputs[row] for row in range(len(self.rows[split]))]
        return pd.DataFrame(
            {
                "split": split,
                "id": [str(row) for row in range(len(targets))],
                "label": [json.dumps(x[:, 0].astype(int).tolist()) for x in targets],
                "prediction": [json.dumps(x[:, 1].astype(int).tolist()) for x in targets],
                "scores": [x[:, 2] for x in targets],
            }
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        rows = predictions["validation"]
        correct = np.concatenate(
            [np.equal(json.loads(a), json.loads(b)) for a, b in zip(rows.label, rows.prediction, strict=True)]
        )
        return {
            "accuracy": float(correct.mean()),
            "perplexity": float(np.exp(-np.concatenate(list(rows.scores)).mean())),
        }

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline.

        It always predicts the commonest training token. Its probabilities, for the perplexity, are the training
        tokens' frequencies with 1 added to every count.
        """
        train, validation = (
            np.bincount(self.rows[split].columns["input_ids"], minlength=self.vocabulary).astype(float)
            for split in ("train", "validation")
        )
        for counts in (train, validation):
            counts[self.special.numpy()] = 0
        validation /= validation.sum()
        surprise = -np.log((train + 1) / (train + 1).sum())
        return {
            "accuracy": float(validation[train.argmax()]),
            "perplexity": float(np.exp((validation * surprise).sum())),
        }

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
    block: Tokens,
    rate: Rate,
    augment: Augment | None = None,
    key: str = "task",
    tuning_holdout: Part | None = None,
) -> MaskedLM:
    """Load a corpus and cut it into blocks of `block` tokens. A document may span several blocks.

    Args:
        positions: the model's longest sequence, in tokens.
        name: the task's name in result.json, tables and figures.
        corpus: loads the documents.
        block: tokens in a block, [CLS] and [SEP] included.
        rate: fraction of the tokens to predict.
        augment: must be None; a corpus cannot be augmented.
        key: where the configuration has these settings, for messages.
        tuning_holdout: the fraction or the number of the training documents that replace the evaluation data, for
            tuning; None: evaluate on the evaluation data.

    Raises BadInput for a setting outside its range, and for a corpus shorter than one block.
    """
    if augment is not None:
        raise BadInput(f"augment=mlm: task={name} has no labels that augmented copies could share; use augment=none")
    if not 8 <= block <= positions:
        raise BadInput(f"{key}.block={block}: the model reads at most {positions} tokens (and at least 8 are needed)")
    if tokenizer.mask_token_id is None:
        raise BadInput(f"task={name}: the model's tokenizer has no mask token; set mask_token in tokenizer_config.json")
    if not 0 < rate < 1:
        raise BadInput(f"{key}.rate={rate}: must be above 0 and below 1")

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer(batch["text"], add_special_tokens=False, return_attention_mask=False, verbose=False)
        return {"input_ids": encoded["input_ids"]}

    rows = {}
    documents = corpus()
    if tuning_holdout is not None:
        setting = f"{key}.tuning_holdout"
        part = tuning_part(tuning_holdout, setting)
        documents = hold_out(documents["train"], f"{setting}={part}", part)
    for split, texts in documents.items():
        mapped = tokenised(pd.DataFrame({"text": texts}), tokenize, tokenizer, {"raw": True})
        tokens = Rows.of(mapped, ["input_ids"], torch.zeros(len(texts))).columns["input_ids"]
        rows[split] = _blocks(tokens, block, tokenizer, key)
    log_cost(lengths_of(rows["train"]), f"{key}.block={block}")
    special = torch.tensor(sorted(set(tokenizer.all_special_ids)))
    # A random token must have a row in the embeddings, which a tokenizer with added tokens may exceed.
    vocabulary = min(len(tokenizer), getattr(tokenizer, "embedding_rows", {}).get("input_ids", len(tokenizer)))
    return MaskedLM(name, rows, padding_of(tokenizer), tokenizer.mask_token_id, vocabulary, special, rate, block)


def _blocks(tokens: np.ndarray, block: int, tokenizer: Any, key: str) -> Rows:
    """Return the full blocks. Raises BadInput if the corpus is shorter than one block."""
    before, after = around(tokenizer)
    body_length = block - len(before) - len(after)
    count = len(tokens) // body_length
    if count == 0:
        raise BadInput(f"{key}.block={block}: the corpus has only {len(tokens)} tokens in a split")
    body = tokens[: count * body_length].reshape(count, body_length)
    ends = [np.tile(np.array(i, dtype=np.int64), (count, 1)) for i in (before, after)]
    ids = np.concatenate([ends[0], body, ends[1]], 1).astype(np.int64).reshape(-1)
    columns = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    inputs = {c: columns[c] for c in tokenizer.model_input_names if c in columns}
    return Rows(inputs, np.arange(count + 1) * block, torch.zeros(count))
