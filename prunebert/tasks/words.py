"""Tokenise sentences that are split into words, and find each word's first token."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

from tokenizers import pre_tokenizers

NO_WORD = -1  # of a token that is not the first of a word


def for_words(tokenizer: Any) -> Any:
    """Return the tokenizer, or for byte-level BPE a copy that puts a space before every word.

    RoBERTa's vocabulary has other tokens for a word behind a space and for one at the beginning of a text.
    """
    if not any(not step.add_prefix_space for step in _byte_levels(tokenizer)):
        return tokenizer
    spaced = copy.deepcopy(tokenizer)
    spaced.add_prefix_space = True  # what save_pretrained writes
    for step in _byte_levels(spaced):
        step.add_prefix_space = True
    return spaced


def _byte_levels(tokenizer: Any) -> list[Any]:
    """Return those steps of the tokenizer's pre-tokenizer that are byte-level."""
    step = tokenizer.backend_tokenizer.pre_tokenizer
    steps = list(cast(Any, step)) if isinstance(step, pre_tokenizers.Sequence) else [step]
    return [step for step in steps if isinstance(step, pre_tokenizers.ByteLevel)]


def encode(
    tokenizer: Any, sentences: Sequence[Sequence[str]], max_length: int, inputs: Sequence[str]
) -> dict[str, list[Any]]:
    """Tokenise sentences and cut them to `max_length`.

    Args:
        tokenizer: from `for_words`.
        sentences: each one's words.
        max_length: tokens, the special ones included.
        inputs: the columns that the network reads.

    Returns columns, for each sentence:
        the network's inputs, each a list [tokens];
        word: [tokens], the position of the word whose first token this is, else NO_WORD;
        cut: how many words are cut off: they have tokens, and all of them are beyond max_length.
    """
    words = [[str(word) for word in sentence] for sentence in sentences]
    encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length)
    columns: dict[str, list[Any]] = {name: list(encoded[name]) for name in inputs} | {"word": [], "cut": []}
    for encoding in encoded.encodings:
        first = _first_tokens(encoding.word_ids)
        beyond = {word for part in encoding.overflowing for word in part.word_ids} - {None}
        columns["word"].append(first)
        columns["cut"].append(len(beyond - {*first}))
    return columns


def _first_tokens(word_ids: Sequence[int | None]) -> list[int]:
    before = [None, *word_ids[:-1]]
    return [NO_WORD if w is None or w == b else w for w, b in zip(word_ids, before, strict=True)]
