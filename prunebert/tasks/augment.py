"""Data augmentation: replace words by those that a masked-LM head predicts (TinyBERT, Jiao et al. 2020, §3.2)."""

from __future__ import annotations

import json
import logging
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import linear

from prunebert.errors import BadInput
from prunebert.network.masked_lm import decoder, stages
from prunebert.network.tokenizers import encoding, require_known_ids
from prunebert.network.words import whole_words
from prunebert.ranges import Count, Probability, Seed
from prunebert.system.progress import PLAIN_EVERY
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.cache import tokenised

if TYPE_CHECKING:
    from prunebert.network.models import Model

log = logging.getLogger(__name__)
Augment = Callable[[list[str]], list[list[str]]]  # texts -> new texts for each
TOKENS = 1 << 14  # tokens in a batch, pads included

# A replaceable word of a text: its first character, the one after its last, and the words that may replace it.
Replaceable = tuple[int, int, list[str]]


def none() -> None:
    """Return None: no augmentation."""


def masked_lm(
    texts: list[str],
    *,
    model: Model,
    device: torch.device,
    copies: Count,
    rate: Probability,
    candidates: Count,
    seed: Seed,
) -> list[list[str]]:
    """Make new texts for each text, without duplicates (Algorithm 1: N_a = copies, p_t = rate, K = candidates).

    Each of the `copies` draws replaces each word of a single word piece with probability `rate`. The new word is one of
    the K words that the model's masked-LM head finds most likely there.

    As in the released code:
    - The head predicts each word's K candidates once, with the rest of the text unchanged.
    - Only words of letters are replaced, and only by words of letters. Punctuation, numbers and symbols stay.

    Unlike the released code:
    - The sentence is not repeated without [MASK].
    - Stop words are replaced too, as in the paper.
    - Words of several pieces stay (the released code takes GloVe neighbours).
    - Words beyond the model's longest sequence stay.

    The draws depend on the text, `seed` and the settings alone. The head's candidates are cached (see `tokenised`).

    Returns a list of new texts for each text. Raises BadInput for a setting outside its range.
    """
    words = {i: word for i, word in whole_words(model.tokenizer).items() if i < model.config.vocab_size}
    if model.tokenizer.mask_token_id is None:
        raise BadInput(f"augment=mlm: the tokenizer of model.name={model.name} has no mask token; use augment=none")
    if copies < 1:
        raise BadInput(f"augment.copies={copies}: must be at least 1")
    if not 0 <= rate <= 1:
        raise BadInput(f"augment.rate={rate}: must be at least 0 and at most 1")
    if not 1 <= candidates <= len(words):
        raise BadInput(
            f"augment.candidates={candidates}: must be at least 1 and at most {len(words)}, the number of whole words"
        )
    unique_texts = list(dict.fromkeys(texts))
    network = {"weights": model.weights_hash, "heads": model.heads_hash(), "architecture": model.architecture()}
    settings = {"masked_lm": 1, "candidates": candidates, "longest": model.positions} | network
    find = CandidateFinder(model, device, words, candidates, len(unique_texts))
    rows = tokenised(pd.DataFrame({"text": unique_texts}), find, model.tokenizer, settings)
    new_texts = {
        text: draw(text, json.loads(places), copies, rate, seed)
        for text, places in zip(unique_texts, rows["places"].to_pylist(), strict=True)
    }
    return [new_texts[text] for text in texts]


def is_punctuation(text: str, begin: int, end: int) -> bool:
    """Return whether text[begin:end] has punctuation only, and some."""
    return begin < end and all(unicodedata.category(c)[0] == "P" for c in text[begin:end])


def draw(text: str, places: list[Replaceable], copies: int, rate: float, seed: int) -> list[str]:
    """Draw new texts: Algorithm 1's loop over n < N_a, without unchanged texts and duplicates."""
    random = np.random.default_rng([seed, crc32(text.encode())])
    is_replaced = random.random((copies, len(places))) < rate
    choice = random.random((copies, len(places)))  # in [0, 1), among a word's candidates
    new_texts = []
    for replaced_here, choice_here in zip(is_replaced, choice, strict=True):
        parts, position = [], 0
        for i in replaced_here.nonzero()[0]:
            begin, end, words = places[i]
            parts += [text[position:begin], words[int(choice_here[i] * len(words))]]
            position = end
        new_texts.append("".join([*parts, text[position:]]))
    return [t for t in dict.fromkeys(new_texts) if t != text]


@dataclass
class CandidateFinder:
    """Find the replaceable words of a batch of texts, as JSON, for `tokenised`. The first call loads the model.

    A candidate that equals the word is spelt as in the text. Candidates are in the vocabulary's order. A batch's
    composition may change a logit's last digit; this order limits the effect to ties for the last candidate.
    """

    model: Model
    device: torch.device
    words: dict[int, str]  # from `whole_words`
    candidates: int  # K
    total: int  # texts, for the progress messages
    finished: int = 0  # texts
    last_message: float = field(default_factory=time.monotonic)  # in seconds

    @cached_property
    def stock(self) -> Any:
        """The stock model with its masked-LM head."""
        log.info("augment: predicting words of %s texts with the masked-LM head, on %s", f"{self.total:,}", self.device)
        return self.model.masked_lm().to(self.device)

    def __call__(self, batch: dict[str, list[str]]) -> dict[str, list[str]]:
        texts = batch["text"]
        with encoding(self.model.tokenizer):
            encoded = self.model.tokenizer(texts, return_offsets_mapping=True, verbose=False)
        longest = self.model.positions
        ids = [x if len(x) <= longest else [*x[: longest - 1], x[-1]] for x in encoded["input_ids"]]
        require_known_ids(self.model.tokenizer, {"input_ids": np.concatenate([*ids, [0]])})
        targets = []
        for row, tokens in enumerate(ids):
            word, offsets = encoded.word_ids(row), encoded["offset_mapping"][row]
            # Unigram vocabularies keep a word and the punctuation behind it together.
            pieces = Counter(
                w for w, place in zip(word, offsets, strict=True) if not is_punctuation(texts[row], *place)
            )
            targets += [(row, i) for i, t in enumerate(tokens[:-1]) if pieces[word[i]] == 1 and t in self.words]
        candidates = self.most_likely(ids, np.array(targets, dtype=int).reshape(-1, 2)).tolist()
        places: list[list[Replaceable]] = [[] for _ in texts]
        for (row, i), word_ids in zip(targets, candidates, strict=True):
            begin, end = encoded["offset_mapping"][row][i]
            begin += len(texts[row][begin:end]) - len(texts[row][begin:end].lstrip())  # the space before the word
            token = ids[row][i]
            places[row].append((begin, end, [texts[row][begin:end] if t == token else self.words[t] for t in word_ids]))
        self.finished += len(texts)
        if self.finished == self.total or time.monotonic() - self.last_message >= PLAIN_EVERY:
            self.last_message = time.monotonic()
            log.info("augment: %s of %s texts", f"{self.finished:,}", f"{self.total:,}")
        return {"places": [json.dumps(p, ensure_ascii=False) for p in places]}

    @torch.inference_mode()
    def most_likely(self, ids: list[list[int]], targets: np.ndarray) -> Tensor:
        """Return [targets, K]: the most likely words in place of each target token, which is masked alone.

        Args:
            ids: the tokens of each text.
            targets: [targets, 2], the text's index and the token's position in it.
        """
        lengths = np.array([len(x) for x in ids])
        flat = np.concatenate(ids)
        columns = {"input_ids": flat, "attention_mask": np.ones_like(flat)}
        rows = Rows(columns, np.concatenate([[0], lengths.cumsum()]), torch.zeros(len(ids)))
        word_ids = torch.tensor(sorted(self.words))
        best = torch.empty(len(targets), self.candidates, dtype=torch.long)
        order = np.argsort(-lengths[targets[:, 0]], kind="stable")
        while len(order):
            batch = order[: max(1, TOKENS // lengths[targets[order[0], 0]])]
            order = order[len(batch) :]
            row, position = targets[batch].T
            inputs = rows.batch(row, padding_of(self.model.tokenizer)).inputs
            each = np.arange(len(batch))
            inputs["input_ids"][each, position] = self.model.tokenizer.mask_token_id
            h = self.stock.base_model(**{k: v.to(self.device) for k, v in inputs.items()})[0][each, position]
            top = self.logits(h)[:, word_ids.to(self.device)].topk(self.candidates).indices
            best[batch] = word_ids[top.cpu().sort(-1).values]
        return best

    def logits(self, h: Tensor) -> Tensor:
        """Return [targets, vocabulary] from the stock head at the target tokens alone; the decoder is expensive."""
        for _, stage in stages(self.stock, self.model.family):
            h = stage(h)
        return linear(h, *decoder(self.stock))


def with_copies(table: pd.DataFrame, augment: Augment) -> tuple[pd.DataFrame, np.ndarray]:
    """Append augmented copies to `table`. Row 12's copies have the ids 12+1, 12+2, …

    In a pair, the k-th new text of one half goes with the k-th new text of the other half. Where the other half has
    fewer, it goes with that half's original text.

    Returns the new table, and for each of its rows the position of the original row.
    """
    halves = [c for c in ("text_a", "text_b") if c in table]
    new_texts = augment([text for half in halves for text in table[half]])
    origin, ids, texts = [], [], []
    for row, (original, number) in enumerate(zip(table[halves].to_numpy().tolist(), table.id, strict=True)):
        new_pairs = zip_longest(*new_texts[row :: len(table)])
        pairs = [
            [old if text is None else text for old, text in zip(original, pair, strict=True)] for pair in new_pairs
        ]
        pairs = [pair for pair in pairs if pair != original]
        origin += [row] * len(pairs)
        ids += [f"{number}+{k}" for k in range(1, len(pairs) + 1)]
        texts += pairs
    if not origin:
        return table, np.arange(len(table))
    copies = table.iloc[origin].assign(id=ids, **dict(zip(halves, zip(*texts, strict=True), strict=True)))
    return pd.concat([table, copies], ignore_index=True), np.array([*range(len(table)), *origin])
