"""How a word of the command line has to be quoted, for Hydra and for the shell."""

from __future__ import annotations

import re
import shlex

KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w.$/@:]*", re.ASCII)


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


def without_spaces(words: list[str]) -> str | None:
    """Return the word that was meant where spaces tore one apart, ready to paste into a shell; None if none was.

    As in `sparsity = 0.9`, `task.text=[text, label]` without quotes, and `task.label=my label` without quotes.
    """
    for i, word in enumerate(words):
        before, after = words[i - 1] if i else "", words[i + 1] if i + 1 < len(words) else ""
        if word in ("=", "+=") or (word.startswith("=") and KEY.fullmatch(before)):
            return f"{before}={word.lstrip('+=') or after}"
        if KEY.fullmatch(word) and after.startswith("="):
            return f"{word}={after[1:] or ''.join(words[i + 2 : i + 3])}"
        if word.endswith("=") and KEY.fullmatch(word[:-1]) and after and "=" not in after and after[0] not in "-~":
            return word + after
        if "=" in word and (opened := _open_brackets(word)):
            rest = list(words[i + 1 :])
            while opened > 0 and rest:
                word = f"{word} {rest[0]}"
                opened += _open_brackets(rest.pop(0))
            return for_shell(word) if opened == 0 else None
        is_key = "".join(words[i + 2 : i + 3]).startswith("=")  # `after` is one, with spaces around its =
        if "=" in word and after and "=" not in after and after[0] not in "-~[{" and not is_key:
            key, _, value = word.partition("=")
            return for_shell(f"{key}={for_hydra(f'{value} {after}')}")
    return None


def _open_brackets(text: str) -> int:
    """Return how many brackets are opened and not closed."""
    return sum(text.count(c) for c in "[{(") - sum(text.count(c) for c in "]})")
