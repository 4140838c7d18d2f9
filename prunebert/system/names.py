"""Make names of any length and origin fit for tables, figures and files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def brief(text: str, length: int) -> str:
    """Return a text of at most `length` characters. A longer one ends with … and a hash, so that it stays unique."""
    if len(text) <= length:
        return text
    return f"{text[: length - 8]}… {mark(text)}"


def mark(text: str) -> str:
    """Return six characters that differ for different texts."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def encodable(text: str) -> str:
    """Return the text with each lone surrogate, which no file can hold, as an escape such as \\ud800."""
    return text.encode("utf-8", "backslashreplace").decode()


def in_order(path: Path) -> list[list[str | float]]:
    """Return a sort key that puts sparsity-0.9 before sparsity-0.95, and seed-9 before seed-10."""
    return [
        [float(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+(?:\.\d+)?)", name))]
        for name in path.parts
    ]
