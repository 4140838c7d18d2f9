"""The directories that this process makes. Those that are still empty at its end are removed, and no others."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_made: list[Path] = []  # absolute, a parent before its children
_last: list[Callable[[], None]] = []


def make(directory: Path) -> None:
    """Make a directory and its parents, where they do not exist. Raises OSError, NotADirectoryError for a file."""
    missing = []
    parent = directory.absolute()
    while not parent.is_dir():
        missing.append(parent)
        parent = parent.parent
    for path in reversed(missing):
        try:
            path.mkdir()
        except FileExistsError:  # another process was faster, or it is no directory
            if not path.is_dir():
                raise NotADirectoryError(20, "Not a directory", str(path)) from None
        else:
            _made.append(path)


def add(directory: Path) -> None:
    """Count a directory that a library made for this process among those that the process made."""
    _made.append(directory.absolute())


def at_end(clean: Callable[[], None]) -> None:
    """Call `clean` at the end, before empty directories are removed."""
    _last.append(clean)


def end() -> None:
    """Clean up at the end of a command."""
    while _last:
        _last.pop()()
    remove_empty()
    _made.clear()


def remove_empty() -> None:
    """Remove the directories that this process made and that are empty."""
    for path in reversed(_made):
        with suppress(OSError):  # it is not empty, or it is gone
            path.rmdir()


atexit.register(end)  # where a signal ends the process
