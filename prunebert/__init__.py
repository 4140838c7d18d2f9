"""prunebert: prune BERT with one command and compare what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunebert.runs.load import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`prunebert.load`, imported when it is asked for: torch takes seconds."""
    if name != "load":
        raise AttributeError(f"module 'prunebert' has no attribute {name!r}")
    from prunebert.runs.load import load

    return load
