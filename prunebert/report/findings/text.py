"""Write a sentence once, with marks around the names in it, and show it in Markdown, on a page and in a terminal.

A name is a text that the tool did not choose: a row's label, a method, a file. It is shown in code font. The marks are
two control characters. No name can hold them, because `visible` replaces control characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prunebert.errors import visible
from prunebert.report.export.plain import SPECIAL
from prunebert.report.page.page import Piece
from prunebert.system.names import brief

BEGIN, END = "\x02", "\x03"  # the marks around a name
MAX_NAME = 60  # characters of a name in a sentence
NAMED = 4  # names in one list; of more, the others are counted


def name(label: object, most: int = MAX_NAME) -> str:
    """Return a label for use in a sentence, with its marks."""
    return f"{BEGIN}{word(label, most)}{END}"


def word(label: object, most: int = MAX_NAME) -> str:
    """Return a name without marks, such as that of a task: in one line, without control characters."""
    return brief(visible(" ".join(str(label).split())), most) or "–"


def listed(items: Sequence[str], most: int = NAMED) -> str:
    """Return "a", "a and b" or "a, b and c". Of more than `most` items, the others are counted: "a, b and 3 more"."""
    shown = list(items) if len(items) <= most else [*items[:most], f"{len(items) - most:,} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def pieces(sentence: str) -> list[Piece]:
    """Split a sentence into names and the texts between them."""
    parts = re.split(f"[{BEGIN}{END}]", sentence)
    return [Piece(part, bool(k % 2)) for k, part in enumerate(parts) if part]


def plain(sentence: str) -> str:
    """Return a sentence without marks, for a terminal."""
    return "".join(piece.text for piece in pieces(sentence))


def markdown(sentence: str) -> str:
    """Return a sentence in Markdown. No name in it can begin a link, a comment, a table or an HTML element."""
    escaped = (_code(text) if is_name else SPECIAL.sub(r"\\\1", text) for text, is_name in pieces(sentence))
    return "".join(escaped)


def _code(text: str) -> str:
    """Return a code span. Its fence has one backtick more than any row of backticks in the text."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"
