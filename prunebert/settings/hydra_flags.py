"""Hydra's command-line flags: those that mean nothing here are refused, and --config-dir becomes a word."""

from __future__ import annotations

import argparse

from prunebert.errors import BadInput, shown
from prunebert.settings import quoting

CONFIG_DIR = ("--config-dir", "-cd")
PATH = "hydra.searchpath="


def refuse(flags: argparse.Namespace) -> None:
    """Raise BadInput for a flag that Hydra knows and that no command line of prunebert can use."""
    for flag, value in (("--config-name", flags.config_name), ("--config-path", flags.config_path)):
        if value is not None:
            raise BadInput(
                f"{flag}={shown(value)}: prunebert has one main configuration; settings of your own are an option of a "
                "group, as experiment=mine with hydra.searchpath=[FOLDER]"
            )
    if flags.experimental_rerun is not None:
        raise BadInput(
            f"--experimental-rerun={shown(flags.experimental_rerun)}: no run has such a file; `prunebert info RUN` "
            "shows the command that repeats a run"
        )
    if flags.resolve and not (flags.cfg or flags.help):
        raise BadInput("--resolve: is for --cfg, as in --cfg job --resolve")


def with_search_path(words: list[str], flags: argparse.Namespace) -> list[str]:
    """Return the words with hydra.searchpath=[FOLDER] in the place of --config-dir FOLDER, which means the same.

    The folder is then part of the run's command, and experiments in it are found.

    Args:
        words: of the command line.
        flags: what Hydra's parser makes of them.

    Raises BadInput for the flag beside a hydra.searchpath, and for an abbreviation of it.
    """
    if flags.config_dir is None:
        return words
    if any(word.lstrip("+").startswith(PATH) for word in words):
        raise BadInput(f"--config-dir={shown(flags.config_dir)}: name the folder in hydra.searchpath=[…] instead")
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in CONFIG_DIR:
            next(rest)
        elif not word.startswith(tuple(f"{flag}=" for flag in CONFIG_DIR)):
            others.append(word)
    if len(others) == len(words):
        raise BadInput(f"write hydra.searchpath=[{shown(flags.config_dir)}] in place of --config-dir")
    return [*others, f"{PATH}[{quoting.for_hydra(flags.config_dir)}]"]
