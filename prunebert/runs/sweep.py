"""The cells of a sweep: which of them were never started."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from prunebert.errors import BadInput
from prunebert.runs import artifacts, discover, identity
from prunebert.settings import cells as settings_cells
from prunebert.settings.labels import search
from prunebert.settings.overrides import axis, canonical
from prunebert.system.console import counted

MAX_CELLS = 1_000_000
SHOWN = 30  # missing cells that are listed one by one
WITHOUT_EFFECT = identity.WITHOUT_EFFECT | {"experiment"}  # experiment= names a prepared sweep

Known = Mapping[Path, list[list[str]]]  # by a run's directory, what `recorded_words` gives


class Missing(NamedTuple):
    """A cell that was never started."""

    varying: list[str]  # its words that vary
    command: list[str]  # all words of its command
    directory: Path


def recorded_words(directory: Path) -> list[list[str]]:
    """The words of a run's command line, each in its canonical spelling; an empty list if there is no record."""
    try:
        return [[canonical(word) for word in discover.overrides(directory)]]
    except BadInput:
        return []


def missing(sweep: Path, started: list[list[str]], known: Known = MappingProxyType({})) -> list[str]:
    """A line for each cell that was never started, in this sweep or elsewhere. The arguments are `never_started`'s."""
    try:
        cells = [" ".join(cell.varying) for cell in never_started(sweep, started, known)]
    except BadInput as error:
        return [f"whether cells are missing is not known: {error}"]
    lines = [f"never started: {cell}" for cell in cells[:SHOWN]]
    return lines + ([f"never started: {counted(len(cells) - SHOWN, 'more cell')}"] if len(cells) > SHOWN else [])


def never_started(sweep: Path, started: list[list[str]], known: Known = MappingProxyType({})) -> list[Missing]:
    """Every cell that was never started.

    Args:
        sweep: the sweep's directory.
        started: the words of every run that was started elsewhere, as `recorded_words` gives them.
        known: those of this sweep's runs that were read before. The others are read.

    Raises:
        BadInput: the sweep's record cannot be read, or one of its words cannot be enumerated.
    """
    search_path, typed, params = _asked(sweep)
    axes = axes_of(sweep)
    if (number := math.prod(map(len, axes.values()))) > MAX_CELLS:
        raise BadInput(f"it has {number:,} cells, and cells are enumerated up to {MAX_CELLS:,}")
    ours = [known[run] if run in known else recorded_words(run) for run in artifacts.recorded(sweep)]
    here = {cell for run_words in ours for words in run_words for cell in cells_of(words, axes)}
    elsewhere = {frozenset(science(words)) for words in started}
    named_by = settings_cells.varied(typed, params)
    varying_keys = {key for key, cells in axes.items() if len(cells) > 1}
    lacking = []
    for cell in itertools.product(*axes.values()):
        if cell in here or frozenset(science(cell)) in elsewhere:
            continue
        varying = [word for key, word in zip(axes, cell, strict=True) if key in varying_keys]
        command = [commands[word] for commands, word in zip(axes.values(), cell, strict=True)]
        directory = sweep / settings_cells.name(command, named_by)
        lacking.append(Missing(varying, [*search_path, *command], directory))
    return lacking


def axes_of(sweep: Path) -> dict[str, dict[str, str]]:
    """What a sweep varies and what it does not: key -> canonical word -> the word for a command.

    Raises:
        BadInput: the sweep's record cannot be read, or one of its words cannot be enumerated.
    """
    _, typed, params = _asked(sweep)
    typed_keys = {word.partition("=")[0] for word in typed}
    axes = {}
    for word in typed + [f"{key}={value}" for key, value in params.items() if key not in typed_keys]:
        cells = axis(word)
        axes[canonical(cells[0]).partition("=")[0]] = {canonical(cell): cell for cell in cells}
    return axes


def cells_of(words: list[str], axes: dict[str, dict[str, str]]) -> Iterator[tuple[str, ...]]:
    """Yield each cell all of whose words are among a run's words: at most one, unless a word was repeated."""
    yield from itertools.product(*([word for word in dict.fromkeys(words) if word in cells] for cells in axes.values()))


def science(words: Iterable[str]) -> set[str]:
    """The words without those that change no result."""
    return {word for word in words if re.split(r"[./=]", word, maxsplit=1)[0] not in WITHOUT_EFFECT}


def _asked(sweep: Path) -> tuple[list[str], list[str], dict[str, Any]]:
    """The search path, the words that a sweep was started with, and its sweeper's parameters. Raises BadInput if its
    multirun.yaml cannot be read.
    """
    try:
        record = discover.sweep(sweep)["hydra"]
        words = [str(word) for word in record["overrides"]["task"]]
        search_path = search([str(word) for word in record["overrides"].get("hydra") or []])
        params = {str(key): value for key, value in (record["sweeper"].get("params") or {}).items()}
    except (BadInput, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"its multirun.yaml cannot be read ({error})") from error
    return search_path, words, params
