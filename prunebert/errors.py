"""Errors that a user can correct, in one line: the key, the value, what is allowed. The command ends with status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BadInput(Exception):
    """The command line, a configuration or a data file cannot be used. `str(error)` is the line to print."""


class Diverged(BadInput):
    """The loss or the output became NaN or infinite. The run keeps its log and writes nothing else."""


def did_you_mean(value: object, allowed: Iterable[str]) -> str:
    """Return `"; did you mean X?"` if an allowed value is close to `value`, else an empty string."""
    matches = difflib.get_close_matches(str(value), list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]}?" if matches else ""


def bad_choice(key: str, value: object, allowed: Iterable[str]) -> BadInput:
    """Return the error for a value that is not in the list of allowed values."""
    allowed = list(allowed)
    return BadInput(f"{key}={value}: allowed are {', '.join(allowed)}{did_you_mean(value, allowed)}")


def describe_os_error(error: OSError) -> str:
    """Return the file and the reason of a full disk, a removed directory and the like."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
