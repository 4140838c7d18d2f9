"""How the commands read their arguments and print their lines and tables."""

from __future__ import annotations

import argparse
import logging
import os
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from prunebert.errors import BadInput, visible
from prunebert.system import loading, outputs


class Arguments(argparse.ArgumentParser):
    """An argparse parser that raises BadInput, one line, where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        required, found, names = message.partition("arguments are required: ")
        if found:  # where nothing is given, parse_intermixed_args also lists those that may be left out
            optional = {str(action.metavar) for action in self._positionals._group_actions if action.nargs == "*"}
            message = required + found + ", ".join(name for name in names.split(", ") if name not in optional)
        raise BadInput(f"{message}; {' '.join(self.format_usage().split())}")


class Page(argparse.RawDescriptionHelpFormatter):
    """A formatter that wraps a description at the terminal's width.

    Paragraphs are filled. An indented line is a row of a table: its last column wraps within itself.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = re.split(r"\n(?=\s)|(?<=\n)\n", text)  # a paragraph, or a line that is indented or empty
        return "\n".join(line for block in blocks for line in self._filled(block, width))

    @staticmethod
    def _filled(block: str, width: int) -> list[str]:
        if not block.startswith(" "):
            return textwrap.wrap(" ".join(block.split()), width) or [""]
        columns = [found.end() for found in re.finditer(r"\S {2,}(?=\S)", block)]
        column = columns[-1] if columns and columns[-1] < width - 20 else len(block) - len(block.lstrip()) + 4
        return textwrap.wrap(block, width, subsequent_indent=" " * column) if len(block) > width else [block]


def arguments(command: str, description: str) -> Arguments:
    """Return a parser for `prunebert COMMAND`. --help prints `description`, line breaks included."""
    return Arguments(prog=f"prunebert {command}", description=description, formatter_class=Page)


def out_file(value: str | None, begins: str) -> Path | None:
    """Return the file that --out names, or None where --out is missing. An earlier file of the command is replaced.

    Commands call this before they measure anything, because a late refusal would waste the measurement.

    begins: how a file of this command begins.

    Raises:
        BadInput: the file's folder does not exist or cannot be written to, or `value` names something other than a
            file, or a file that the command did not write.
    """
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.parent.is_dir():
        raise BadInput(f"--out={value}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise BadInput(f"--out={value}: this is a folder; name a file")
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        raise BadInput(f"--out={value} cannot be written to: it is no file, or may not be changed")
    if path.exists() and path.stat().st_size and not outputs.begins_with(begins)(path):
        raise BadInput(f"--out={value}: this file was not written by this command and would be lost; choose another")
    outputs.refuse_unwritable(path.parent, f"--out={value}")
    return path


def out_folder(path: Path, setting: str = "") -> Path:
    """Return a folder that a command will make, or write into.

    setting: begins the message, if it is not --out.

    Raises:
        BadInput: it is no folder, or it, or the folder in which it would be made, cannot be written to.
    """
    path, setting = path.expanduser(), setting or f"--out={path}"
    if path.exists() and not path.is_dir():
        raise BadInput(f"{setting} cannot be written to: this is no folder")
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    outputs.refuse_unwritable(existing, setting)
    return path


class Terminal(Console):
    """A console that shows names as they are: no markup, no emoji codes, and control characters as escapes.

    Whoever wants markup passes `markup=True` and escapes the names in it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print in place of the report on what is being loaded."""
        loading.clear()
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a Text of a string: of a line, and of a table's title and cells. Line ends stay."""
        return super().render_str("\n".join(map(visible, text.split("\n"))), **options)


@cache
def console() -> Terminal:
    """Return the console on which everything is printed."""
    return Terminal()


def say(line: str) -> None:
    """Print a line for the user, without markup, colours or wrapping. Line ends inside it are shown as escapes."""
    console().print(visible(line), soft_wrap=True)


def say_block(text: str) -> None:
    """Print a text of several lines, without markup, colours or wrapping."""
    console().print(text, soft_wrap=True)


class OneLine(logging.Formatter):
    """A formatter that shows control characters in a record's message as escapes, and its line ends too."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Format the record without its exception."""
        record.message = visible(record.message)
        return super().formatMessage(record)


def counted(number: int, noun: str) -> str:
    """Return the number and its noun: "1 run", "1,200 runs", "2 matrices", "2 classes"."""
    plural = f"{noun[:-1]}ces" if noun.endswith("ix") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def short(path: Path) -> str:
    """Return the path relative to the working directory, or unchanged where it lies outside of it."""
    text = os.path.relpath(path)
    return str(path) if text.startswith("..") else text
