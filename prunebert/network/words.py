"""Words as tokens: what a tokenizer makes of a word inside a text, and which of its tokens are whole words."""

from __future__ import annotations

import json
from typing import Any

from prunebert.errors import BadInput

SPACE = "▁"  # how vocabularies of SentencePiece write a space; alone it is no word
KINDS = ("WordPiece", "BPE", "Unigram")


def ids_inside(tokenizer: Any, word: str) -> list[int]:
    """Return the tokens of a word inside a text: after another word and a space.

    Byte-level BPE has other tokens for a word after a space than at the start of a text. A space that is a token of
    its own ("▁", before a word of a script without spaces) does not belong to the word. A special token stays one.
    """
    alone: list[int] = tokenizer.encode(word, add_special_tokens=False)
    if len(alone) == 1 and alone[0] in tokenizer.all_special_ids:
        return alone
    ids: list[int] = tokenizer.encode(f"{word} {word}", add_special_tokens=False)
    if ids[: len(alone)] == alone:
        ids = ids[len(alone) :]
    return ids[1:] if len(ids) == 2 and ids[0] == space_id(tokenizer) else ids


def space_id(tokenizer: Any) -> int | None:
    """Return the token that is a space alone in a vocabulary of SentencePiece; None without one."""
    number: int | None = tokenizer.backend_tokenizer.token_to_id(SPACE)
    return number


def whole_words(tokenizer: Any) -> dict[int, str]:
    """Return {token id: word} of the tokens that are whole words of letters. Special tokens are none.

    A token is a whole word if a space comes before it when it is decoded after another token.

    Raises BadInput for a vocabulary of another kind than WordPiece, BPE and Unigram.
    """
    backend = tokenizer.backend_tokenizer
    kind = json.loads(backend.to_str())["model"]["type"]
    if kind not in KINDS or backend.decoder is None:
        reason = f"this is {kind}" if kind not in KINDS else "this one cannot be decoded"
        raise BadInput(f"augment=mlm: needs a vocabulary of {', '.join(KINDS)}, and {reason}; use augment=none")
    decode, special = backend.decoder.decode, set(tokenizer.all_special_ids)
    return {
        i: decoded.strip()
        for token, i in tokenizer.get_vocab().items()
        if i not in special and (decoded := decode(["a", token])[1:]).startswith(" ") and decoded.strip().isalpha()
    }
