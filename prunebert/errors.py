"""What a user did wrong, in one line: the key, the value, what is allowed. The command then ends with status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BadInput(Exception):
    """The command line, a config or a data file cannot be used as given; `str` of it is the one line to print."""


class Diverged(BadInput):
    """The loss or the output became NaN or infinite; the run's log is kept, nothing else is written."""


def did_you_mean(value: object, allowed: Iterable[str]) -> str:
    """`"; did you mean X?"` when something allowed is close to `value`, else nothing."""
    close = difflib.get_close_matches(str(value), list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def bad_choice(key: str, value: object, allowed: Iterable[str]) -> BadInput:
    """The line for a value outside a list of allowed ones."""
    allowed = list(allowed)
    return BadInput(f"{key}={value}: allowed are {', '.join(allowed)}{did_you_mean(value, allowed)}")


def of_the_system(error: OSError) -> str:
    """A full disk, a directory that is gone: what and why."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
