"""Warn before a sweep whose seeds are too few for the report's test over seeds."""

from __future__ import annotations

from collections.abc import Iterable

from prunebert.errors import BadInput
from prunebert.runs.sweep import science
from prunebert.settings import overrides
from prunebert.system.console import counted

MIN_SEEDS = 3  # with fewer, the report does not test over seeds
NOT_COMPARED = ("seed", "sparsity", "task", "model")  # the report compares rows of the same task, model and sparsity


def too_few(words: Iterable[str]) -> list[str]:
    """Return a warning if a sweep compares methods or settings with too few seeds to test the difference.

    Args:
        words: of the sweep, with those that its experiment adds.
    """
    counts: dict[str, int] = {}
    for word in science(word for word in words if "=" in word and not word.startswith("-")):
        try:
            counts[word.lstrip("+").partition("=")[0]] = len(set(overrides.axis(word)))
        except BadInput:  # only a sweeper can list its values
            counts[word.lstrip("+").partition("=")[0]] = MIN_SEEDS
    seeds = counts.get("seed", 1)
    compared = [key for key, count in counts.items() if count > 1 and key not in NOT_COMPARED]
    if not compared or seeds >= MIN_SEEDS:
        return []
    needed = ",".join(map(str, range(MIN_SEEDS)))
    return [
        f"this sweep has {counted(seeds, 'seed')}; a test over seeds needs {MIN_SEEDS} (seed={needed}). "
        "The report will compare these trained networks, example by example, but not the methods."
    ]
