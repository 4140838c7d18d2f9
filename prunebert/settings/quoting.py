"""How a word of the command line has to be quoted, for Hydra and for the shell."""

from __future__ import annotations

import re
import shlex


def word(key: str, text: str) -> str:
    """Return `key=text`, ready to paste into a shell, for a text with characters that mean something to Hydra."""
    return for_shell(f"{key}={for_hydra(text)}")


def for_hydra(text: str) -> str:
    """Return a text in the quotes of Hydra's grammar.

    In there a backslash counts as itself, unless a quote or the end follows.
    """
    escaped = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    ending = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{escaped[len(escaped) - ending :]}'"


def for_shell(text: str) -> str:
    """Return a word in quotes for a POSIX shell: in double quotes, where no character in it is special there."""
    return shlex.quote(text) if re.search(r'["$`!\n]|\\(\\|$)', text) else f'"{text}"'


def argument(text: str) -> str:
    """Return a word as a POSIX shell takes it: as it is, if that is possible, and otherwise in quotes."""
    return text if shlex.quote(text) == text else for_shell(text)


def command(words: list[str]) -> str:
    """Return a command line that a POSIX shell takes apart into these words."""
    return " ".join(map(argument, words))


def setting(key: str, text: str) -> str:
    """Return `key=text` for Hydra, with the text in quotes unless it is a path of harmless characters."""
    return f"{key}={text if re.fullmatch(r'[A-Za-z0-9_.-]*/[A-Za-z0-9_./-]*', text) else for_hydra(text)}"


def is_quoted_number(value: object) -> bool:
    """Return whether a value is a number that was written in quotes."""
    if not isinstance(value, str) or not re.match(r"[-+]?\.?\d", value):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True
