"""Warn before a sweep whose runs will not be compared: too few seeds for a test, or cells that are one run."""

from __future__ import annotations

from collections.abc import Iterable

from prunebert.errors import BadInput
from prunebert.runs.identity import ANYWHERE_WITHOUT_EFFECT, WITHOUT_EFFECT
from prunebert.runs.sweep import science
from prunebert.settings import overrides
from prunebert.system.console import counted

MIN_SEEDS = 3  # with fewer, the report does not test over seeds
NOT_COMPARED = ("seed", "sparsity", "task", "model")  # the report compares rows of the same task, model and sparsity


def warnings(words: Iterable[str]) -> list[str]:
    """Return what to say before a sweep. words: of the sweep, with those that its experiment adds."""
    given = [word for word in words if "=" in word and not word.startswith("-")]
    return [*one_run(given), *too_few(given)]


def one_run(words: list[str]) -> list[str]:
    """Return a warning for each word of a sweep whose values change no result, so that their cells are one run."""
    if ("rerun", True) in overrides.values(words):
        return []
    varied = {word: _count(word) for word in words if _changes_nothing(_key(word))}
    return [
        f"{word}: results do not depend on {_key(word)}, so cells that differ in it alone are one run: the first "
        "result may stand for all; rerun=true trains each"
        for word, count in varied.items()
        if count > 1
    ]


def too_few(words: list[str]) -> list[str]:
    """Return a warning if a sweep compares methods or settings with too few seeds to test the difference.

    Args:
        words: of the sweep, with those that its experiment adds.
    """
    counts = {_key(word): _count(word) for word in science(words)}
    seeds = counts.get("seed", 1)
    compared = [
        key for key, count in counts.items() if count > 1 and key not in NOT_COMPARED and not _changes_nothing(key)
    ]
    if not compared or seeds >= MIN_SEEDS:
        return []
    needed = ",".join(map(str, range(MIN_SEEDS)))
    return [
        f"this sweep has {counted(seeds, 'seed')}; a test over seeds needs {MIN_SEEDS} (seed={needed}). "
        "The report will compare these trained networks, example by example, but not the methods."
    ]


def _count(word: str) -> int:
    """Return how many values a word has; MIN_SEEDS if only a sweeper can list them."""
    try:
        return len(set(overrides.axis(word)))
    except BadInput:
        return MIN_SEEDS


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


def _changes_nothing(key: str) -> bool:
    """Return whether no result depends on `key`. hydra's keys do not count: they say where a run is."""
    root, *below = key.replace("/", ".").split(".")
    return root in WITHOUT_EFFECT - {"hydra"} or not ANYWHERE_WITHOUT_EFFECT.isdisjoint(below[-1:])
