"""How the commands read their arguments and print their lines and tables."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

import rich
from rich.console import Console

from prunebert.errors import BadInput


class Arguments(argparse.ArgumentParser):
    """An argparse parser that raises BadInput, one line, where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; {' '.join(self.format_usage().split())}")


def arguments(command: str, description: str) -> Arguments:
    """Return a parser for `prunebert COMMAND`. --help prints `description`, line breaks included."""
    return Arguments(
        prog=f"prunebert {command}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def out_file(value: str | None) -> Path | None:
    """Return the file that --out names, or None where --out is missing.

    Commands call this before they measure anything, because a late refusal would waste the measurement.

    Raises:
        BadInput: the file's folder does not exist, or `value` names a folder.
    """
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.parent.is_dir():
        raise BadInput(f"--out={value}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise BadInput(f"--out={value}: this is a folder; name a file")
    return path


def say(line: str) -> None:
    """Print a line for the user, without markup, colours or wrapping."""
    rich.get_console().print(line, markup=False, highlight=False, soft_wrap=True)


def table_console() -> Console:
    """Return the console for tables: as wide as the terminal, or 160 characters in a file or a pipe.

    A file or a pipe has no width of its own, and the longest names need about 160 characters.
    """
    return rich.get_console() if rich.get_console().is_terminal else Console(width=160)


def counted(number: int, noun: str) -> str:
    """Return the number and its noun: "1 run", "2 runs"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def short(path: Path) -> str:
    """Return the path relative to the working directory, or unchanged where it lies outside of it."""
    text = os.path.relpath(path)
    return str(path) if text.startswith("..") else text
