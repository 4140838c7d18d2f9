"""Show text from other people's files: nothing in it can steer a terminal, a browser or a figure."""

from __future__ import annotations

import hashlib
import re

# Control characters, lone surrogates, and marks that change the direction of the text or are invisible.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def visible(text: str) -> str:
    """Return the text with each unsafe character as an escape such as \\x1b or \\u202e."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def brief(text: str, length: int) -> str:
    """Return a text of at most `length` characters. A longer one ends with … and a hash, so that it stays unique."""
    if len(text) <= length:
        return text
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{text[: length - 8]}… {mark}"


def encodable(text: str) -> str:
    """Return the text with each lone surrogate, which no file can hold, as an escape such as \\ud800."""
    return text.encode("utf-8", "backslashreplace").decode()
