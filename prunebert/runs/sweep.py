"""A sweep's grid: which of its cells never came to a start."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.runs import artifacts, discover
from prunebert.settings.labels import search

SHOWN = 30  # missing cells told one by one


def words(directory: Path) -> list[list[str]]:
    """The words of a run's command line in their plainest form, or none if there is no record of them."""
    try:
        return [_plain(discover.overrides(directory))]
    except BadInput:
        return []


def missing(sweep: Path, started: list[list[str]]) -> list[str]:
    """A line for each cell of the grid that was never started, here or (`started`: words of each) anywhere else."""
    try:
        gone = [" ".join(swept) for swept, _ in never_started(sweep, started)]
    except BadInput as error:
        return [f"whether cells are missing is not known: {error}"]
    told = [f"never started: {cell}" for cell in gone[:SHOWN]]
    return told + ([f"never started: {len(gone) - SHOWN} more cells"] if len(gone) > SHOWN else [])


def never_started(sweep: Path, started: list[list[str]]) -> list[tuple[list[str], list[str]]]:
    """(the words that vary, all words as they were typed) of each such cell. Raises BadInput where the grid cannot be
    read.
    """
    try:
        record = discover.sweep(sweep)["hydra"]
        asked = [str(word) for word in record["overrides"]["task"]]
        where = search([str(word) for word in record["overrides"].get("hydra") or []])
        params = record["sweeper"].get("params") or {}
        typed = {word.partition("=")[0] for word in asked}
        asked += [f"{key}={value}" for key, value in params.items() if key not in typed]
    except (BadInput, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"its multirun.yaml cannot be read ({error})") from error
    axes = {}  # plain word -> as it was typed
    for word in asked:
        key, equals, value = word.partition("=")
        choices = _choices(value)
        if choices is None:
            raise BadInput(f"{word} is not read here")
        as_typed = [f"{key}{equals}{choice.strip()}" for choice in choices]
        axes[key] = dict(zip(_plain(as_typed), as_typed, strict=True))
    here = [set(w) for d in artifacts.runs(sweep) for w in words(d)]
    elsewhere = [set(w) for w in started]
    swept = [key for key, values in axes.items() if len(values) > 1]
    gone = []
    for cell in itertools.product(*axes.values()):
        if not any(set(cell) <= run for run in here) and not any(science(cell) == science(run) for run in elsewhere):
            as_typed = [axis[word] for axis, word in zip(axes.values(), cell, strict=True)]
            gone.append(([word for key, word in zip(axes, cell, strict=True) if key in swept], [*where, *as_typed]))
    return gone


def science(cell: Iterable[str]) -> set[str]:
    """Without the words that change no number."""
    return {word for word in cell if not word.startswith(("hydra.", "impl.", "impl=", "rerun=", "experiment="))}


def _choices(value: str) -> list[str] | None:
    """The values of a basic sweep: `a,b`, `choice(a,b)`, `range(0,3)`; one if it is none; None for any other sweep."""
    call = re.fullmatch(r"(\w+)\((.*)\)", value.strip())
    if call and call[1] == "range":
        numbers = call[2].split(",")
        if not all(re.fullmatch(r"\s*-?\d+\s*", n) for n in numbers):
            return None
        return [str(n) for n in range(*map(int, numbers))]
    if call and call[1] == "choice":
        value = call[2]
    elif call:
        return None
    parts = re.findall(r"""(?:[^,\[\](){}'"]|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|'[^']*'|"[^"]*")+""", value)
    return parts or [value]


def _plain(override: list[str]) -> list[str]:
    """`sparsity=0.90` and `sparsity=0.9` are the same word."""
    plain = []
    for word in override:
        key, _, value = str(word).partition("=")
        value = value.strip().strip("'\"")
        with contextlib.suppress(ValueError):
            value = repr(float(value)).removesuffix(".0")
        plain.append(f"{key.lstrip('+~')}={value}")
    return plain
