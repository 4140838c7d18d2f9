"""Errors that a user can correct, in one line: the key, the value, what is allowed. The command ends with status 2."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

LONGEST = 200  # characters of a value that a message shows
MAX_DEPTH = 20  # of nested lists that a message shows
UNSEEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")  # Unicode's categories of control and format characters, line ends
JOINERS = "\u200c\u200d"  # they belong to the spelling of words in some scripts


class BadInput(Exception):
    """The command line, a configuration or a data file cannot be used. `str(error)` is the line to print."""


class Diverged(BadInput):
    """The loss or the output became NaN or infinite. The run keeps its log and writes nothing else."""


@contextmanager
def renamed(keys: Mapping[str, str]) -> Iterator[None]:
    """Within this, a BadInput names its keys by where they stand in the configuration.

    keys: the beginning of a key as the raising code knows it -> its beginning in the configuration, for example
        {"method.": "method.pruner."} for a method inside another one. Values and paths stay as they are.
    """
    try:
        yield
    except BadInput as error:
        begins = re.compile(rf"(?<![\w./=-])({'|'.join(map(re.escape, keys))})(?=\w)")
        text = begins.sub(lambda found: keys[found[1]], str(error))
        raise type(error)(text) from error


def visible(text: str) -> str:
    """Return the text with control characters, line ends and marks of writing direction as escapes, such as \\x1b.

    A terminal would obey them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in UNSEEN and c not in JOINERS else c
        for c in text
    )


def shown(value: Any) -> str:
    """Return a value of a configuration as a command line writes it, cut to 200 characters."""
    return cut(_written(value))


def cut(text: str) -> str:
    """Return a text without control characters, cut to 200 characters."""
    text = visible(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _written(value: Any, depth: int = 0) -> str:
    """Write a value as YAML does in one line. What would be cut off anyway may be left out."""
    if isinstance(value, str):
        return f"'{value}'" if looks_like_another_type(value) or (depth and value != value.strip()) else value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple | dict):
        pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        parts, length = [], 0
        for key, item in pairs:
            written = _written(item, depth + 1) if depth < MAX_DEPTH else "…"
            parts.append(f"{key}: {written}" if isinstance(value, dict) else written)
            length += len(parts[-1])
            if length > LONGEST:
                break
        return f"{{{', '.join(parts)}}}" if isinstance(value, dict) else f"[{', '.join(parts)}]"
    if isinstance(value, int) and value.bit_length() > 1000:
        return "(a number of more than 300 digits)"
    return str(value)


def looks_like_another_type(text: str) -> bool:
    """Return whether a text needs quotes, because without them it would be read as a number, true, false or null."""
    if text.lower() in ("", "true", "false", "null"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def did_you_mean(value: object, allowed: Iterable[str]) -> str:
    """Return `"; did you mean X?"` if an allowed value is close to `value`, else an empty string."""
    matches = difflib.get_close_matches(str(value)[:LONGEST], list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]}?" if matches else ""


def bad_choice(key: str, value: object, allowed: Iterable[str]) -> BadInput:
    """Return the error for a value that is not in the list of allowed values."""
    allowed = list(allowed)
    text = value if isinstance(value, str) and len(value) <= LONGEST else shown(value)
    return BadInput(f"{key}={text}: allowed are {', '.join(allowed)}{did_you_mean(value, allowed)}")


def describe_os_error(error: OSError) -> str:
    """Return the file and the reason of a full disk, a removed directory and the like."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    return f"{name}: {reason(error)}" if name else reason(error)


def reason(error: OSError) -> str:
    """Return why a file could not be used, without its name. A library's own OSError has no `strerror`."""
    return " ".join((error.strerror or str(error) or type(error).__name__).split())
