"""`prunebert method=smp --help`: the keys of each option that a command line names, with defaults and meanings."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable

from prunebert.settings import keys, meanings, overrides
from prunebert.system.console import console, say_block

WIDEST = 100  # characters of a line
AXES = "hydra.sweeper.params."  # what an experiment sweeps over


def answer(words: list[str]) -> None:
    """Print the keys of every option that a command line with --help names, and exit. Without such an option return.

    words: the command line. One that begins with a command is left to the command.

    Raises:
        BadInput: a group has no such option, or a word cannot be read.
        SystemExit: the keys were printed.
    """
    if not {"--help", "-h"} & {*words} or {"--version", "-V"} & {*words} or re.fullmatch(r"\w[\w-]*", words[0]):
        return
    flags = overrides.flags([word for word in words if word not in ("--help", "-h")])
    overrides.refuse_bad_words(flags.overrides)
    pairs = overrides.values(flags.overrides)
    folders = [*overrides.searched(pairs), *([flags.config_dir] if flags.config_dir else [])]
    named = list(dict.fromkeys((group, str(value)) for group, value in pairs if group in keys.OPTION_GROUPS))
    options = [keys.option(group, name, folders) for group, name in named]
    if options:
        width = min(console().width, WIDEST)
        say_block("\n\n".join(page(option, folders, width) for option in options))
        sys.exit(0)


def page(option: keys.Option, folders: Iterable[str] = (), width: int = 80) -> str:
    """Return the text about an option, in lines of at most `width` characters, except commands and long names."""
    lines = [f"{option.group}={option.name}", "", *_wrapped(option.summary, width)]
    if citation := _citation(option):
        lines += _wrapped(f"Paper: {citation}", width)
    lines += ["", *(f"  {command}" for command in option.commands)] if option.commands else []
    if option.chosen:
        lines += ["", *_wrapped(f"It chooses {', '.join(option.chosen)}.", width)]
    if option.keys:
        lines += ["", "Keys and their defaults (on the command line: KEY=VALUE):"]
    for key in option.keys:
        line = f"  {key.path.removeprefix(AXES)}: {key.default}"
        lines += [line] if len(line) <= width else _wrapped(line.strip(), width, "  ")
        allowed = f"Allowed: {key.allowed}." if key.allowed and not key.default.startswith("as ") else ""
        lines += _wrapped(f"{key.meaning} {allowed}".strip(), width, "      ")
    combinations = keys.combinations(option.group, option.name, folders)
    if combinations:
        lines += ["", f"Other defaults, with {option.group}={option.name} and:"]
    for combination in combinations:
        settings = " ".join(f"{key}={value}" for key, value in combination.settings.items())
        lines += [f"  {combination.options}", *_wrapped(settings, width, "      ")]
    return "\n".join(lines)


def _citation(option: keys.Option) -> str:
    """Return the papers that a method's module cites."""
    if not option.target.startswith("prunebert.methods."):
        return ""
    return " ".join(meanings.sections(option.target.rpartition(".")[0]).get("Citation", "").split())


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text in lines. Names and KEY=VALUE are not broken."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
