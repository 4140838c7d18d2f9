"""What the commands beside Hydra's runs share: how they read their words, and how they speak."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

import rich
from rich.console import Console

from prunebert.errors import BadInput


class Arguments(argparse.ArgumentParser):
    """argparse, but what cannot be read is a BadInput, told in one line."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; {' '.join(self.format_usage().split())}")


def arguments(command: str, does: str) -> Arguments:
    """A parser for `prunebert COMMAND`; `does` is what --help says."""
    return Arguments(
        prog=f"prunebert {command}", description=does, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def out_file(told: str | None) -> Path | None:
    """The file that --out names, if it is given. Raises BadInput where none can be, before anything is measured."""
    if not told:
        return None
    path = Path(told).expanduser()
    if not path.parent.is_dir():
        raise BadInput(f"--out={told}: there is no folder {path.parent}")
    if path.is_dir():
        raise BadInput(f"--out={told}: it is a folder; name a file")
    return path


def say(line: str) -> None:
    """A line to the user, as it is."""
    rich.get_console().print(line, markup=False, highlight=False, soft_wrap=True)


def for_tables() -> Console:
    """Where tables go: the terminal as wide as it is; a file or a pipe gets room for the longest names."""
    return rich.get_console() if rich.get_console().is_terminal else Console(width=160)


def counted(number: int, what: str) -> str:
    """Number and noun: 1 run, 2 runs."""
    return f"{number} {what}{'s' * (number != 1)}"


def short(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    text = os.path.relpath(path)
    return str(path) if text.startswith("..") else text
