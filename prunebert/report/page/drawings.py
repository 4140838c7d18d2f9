"""Name the page's figures, and the places to which links lead."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from prunebert.report.figures.style import Drawing
from prunebert.report.page.page import Picture

Draw = Callable[[Drawing], Picture | Drawing]  # draws a figure, or leaves it for later
MAX_SLUG = 120


def drawing(name: str, caption: str, draw: Callable) -> Drawing:
    """Return a drawing whose files are called after its name."""
    return Drawing(slug(name), caption, draw)


def slug(text: str) -> str:
    """Turn a text into a file name or an anchor. Other letters than a-z are replaced by a hash of the text."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    if text.isascii() and len(name) <= MAX_SLUG:
        return name
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: MAX_SLUG - 9]}-{mark}".strip("-")
