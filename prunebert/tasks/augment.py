"""Data augmentation: words replaced by what a masked-LM head expects there (TinyBERT, Jiao et al. 2020, §3.2)."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.network.heads import ACTIVATIONS
from prunebert.system.progress import PLAIN_EVERY
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.cache import tokenised

if TYPE_CHECKING:
    from prunebert.network.models import Model

log = logging.getLogger(__name__)
Augment = Callable[[list[str]], list[list[str]]]  # texts -> new texts for each
TOKENS = 1 << 14  # of a batch, pads included

# a word of a text: where it begins and ends there, and what may stand in its place
Place = tuple[int, int, list[str]]


def none() -> None:
    """No augmentation."""


def masked_lm(
    texts: list[str], *, model: Model, device: torch.device, copies: int, rate: float, candidates: int, seed: int
) -> list[list[str]]:
    """For each text the new ones of `copies` draws, each once (Algorithm 1: N_a = copies, p_t = rate, K = candidates).

    In a draw each word of a single word piece is replaced with probability `rate` by one of the K words that the
    model's masked-LM head finds most likely in its place. As in the released code, K words are asked for once, with
    the rest of the text as it was, and words are of letters only: punctuation, numbers and symbols stay, and stand
    for nothing. Unlike there, the sentence is not shown a second time without [MASK] and stop words are words, as in
    the paper. Words of several pieces (there: GloVe neighbours) and words beyond the model's longest sequence stay.

    The draws are a function of the text, `seed` and the settings. What the head says is cached (see `tokenised`).
    """
    words = whole_words(model.tokenizer)
    if copies < 1:
        raise BadInput(f"augment.copies={copies}: must be at least 1")
    if not 0 <= rate <= 1:
        raise BadInput(f"augment.rate={rate}: must be at least 0 and at most 1")
    if not 1 <= candidates <= len(words):
        raise BadInput(
            f"augment.candidates={candidates}: must be at least 1 and at most {len(words)}, the whole words known"
        )
    different = list(dict.fromkeys(texts))
    settings = {"masked_lm": 1, "candidates": candidates, "weights": model.weights_hash}
    ask = Asking(model, device, words, candidates, len(different))
    found = tokenised(pd.DataFrame({"text": different}), ask, model.tokenizer, settings)
    new = {
        text: draw(text, json.loads(row["places"]), copies, rate, seed)
        for text, row in zip(different, found, strict=True)
    }
    return [new[text] for text in texts]


def whole_words(tokenizer: Any) -> dict[int, str]:
    """Token -> word, for the tokens that are whole words of letters (byte-level BPE: those that begin with a space)."""
    kind = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["type"]
    if kind not in ("WordPiece", "BPE"):
        raise BadInput(f"augment=mlm: knows WordPiece and BPE vocabularies, and this is {kind}; use augment=none")
    start = " " if kind == "BPE" else ""
    decode = tokenizer.backend_tokenizer.decoder.decode
    special = set(tokenizer.all_special_ids)
    decoded = {i: decode([token]) for token, i in tokenizer.get_vocab().items() if i not in special}
    return {i: text.strip() for i, text in decoded.items() if text.startswith(start) and text.strip().isalpha()}


def draw(text: str, places: list[Place], copies: int, rate: float, seed: int) -> list[str]:
    """Algorithm 1's loop over n < N_a, without the texts that came out as they were or a second time."""
    random = np.random.default_rng([seed, crc32(text.encode())])
    replaced = random.random((copies, len(places))) < rate
    chosen = random.random((copies, len(places)))
    new = []
    for yes, which in zip(replaced, chosen, strict=True):
        parts, at = [], 0
        for i in yes.nonzero()[0]:
            begin, end, words = places[i]
            parts += [text[at:begin], words[int(which[i] * len(words))]]
            at = end
        new.append("".join([*parts, text[at:]]))
    return [t for t in dict.fromkeys(new) if t != text]


@dataclass
class Asking:
    """A function of a batch of texts (for `tokenised`): the places of each, as JSON. Loads the model when first asked.

    A candidate that is the word itself is written as in the text. Candidates are in the vocabulary's order, so that
    what a batch's composition does to the last digit of a logit moves nothing but a tie for the last of them.
    """

    model: Model
    device: torch.device
    words: dict[int, str]
    candidates: int
    total: int
    done: int = 0
    told: float = field(default_factory=time.monotonic)

    @cached_property
    def stock(self) -> Any:
        log.info("augment: asking the masked-LM head for the words of %s texts, on %s", f"{self.total:,}", self.device)
        return self.model.masked_lm().to(self.device)

    def __call__(self, batch: dict[str, list[str]]) -> dict[str, list[str]]:
        texts = batch["text"]
        encoded = self.model.tokenizer(texts, return_offsets_mapping=True, verbose=False)
        most = self.model.positions
        ids = [x if len(x) <= most else [*x[: most - 1], x[-1]] for x in encoded["input_ids"]]
        asked = []
        for row, tokens in enumerate(ids):
            word = encoded.word_ids(row)
            pieces = Counter(word)
            asked += [(row, i) for i, t in enumerate(tokens[:-1]) if pieces[word[i]] == 1 and t in self.words]
        likely = self.likely(ids, np.array(asked, dtype=int).reshape(-1, 2)).tolist()
        places: list[list[Place]] = [[] for _ in texts]
        for (row, i), found in zip(asked, likely, strict=True):
            begin, end = encoded["offset_mapping"][row][i]
            own = ids[row][i]
            places[row].append((begin, end, [texts[row][begin:end] if t == own else self.words[t] for t in found]))
        self.done += len(texts)
        if self.done == self.total or time.monotonic() - self.told >= PLAIN_EVERY:
            self.told = time.monotonic()
            log.info("augment: %s of %s texts", f"{self.done:,}", f"{self.total:,}")
        return {"places": [json.dumps(p, ensure_ascii=False) for p in places]}

    @torch.inference_mode()
    def likely(self, ids: list[list[int]], asked: np.ndarray) -> Tensor:
        """[asked, K]: the most likely words where `asked` (rows of text, position) has its token hidden."""
        lengths = np.array([len(x) for x in ids])
        flat = np.concatenate(ids)
        columns = {"input_ids": flat, "attention_mask": np.ones_like(flat)}
        rows = Rows(columns, np.concatenate([[0], lengths.cumsum()]), torch.zeros(len(ids)))
        whole = torch.tensor(sorted(self.words))
        best = torch.empty(len(asked), self.candidates, dtype=torch.long)
        order = np.argsort(-lengths[asked[:, 0]], kind="stable")
        while len(order):
            here = order[: max(1, TOKENS // lengths[asked[order[0], 0]])]
            order = order[len(here) :]
            row, position = asked[here].T
            inputs = rows.batch(row, padding_of(self.model.tokenizer)).inputs
            each = np.arange(len(here))
            inputs["input_ids"][each, position] = self.model.tokenizer.mask_token_id
            h = self.stock.base_model(**{k: v.to(self.device) for k, v in inputs.items()})[0][each, position]
            top = self.logits(h)[:, whole.to(self.device)].topk(self.candidates).indices
            best[here] = whole[top.cpu().sort(-1).values]
        return best

    def logits(self, h: Tensor) -> Tensor:
        """[asked, vocabulary]: the stock head, at the asked tokens only; elsewhere the decoder would be wasted work."""
        for stage in self.model.family.mlm:
            h = ACTIVATIONS[stage](h) if stage in ACTIVATIONS else self.stock.get_submodule(stage)(h)
        return self.stock.get_output_embeddings()(h)
