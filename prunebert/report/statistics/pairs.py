"""Compare two cells of a table seed by seed: pair their runs, and read the predictions of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from prunebert.errors import BadInput
from prunebert.report.statistics import paired
from prunebert.report.statistics.examples import Reader, Scored
from prunebert.report.statistics.paired import Test


class Run(NamedTuple):
    """What is compared of a run."""

    value: float  # of its metric
    directory: Path
    has_files: bool
    seal: dict[str, Any] | None


class Pair(NamedTuple):
    """The runs of two cells that have the same seed."""

    ours: Run
    theirs: Run


@dataclass(frozen=True)
class Predictions:
    """The predictions of the paired runs of two cells, in the same order of seeds."""

    ours: Sequence[Scored] = field(default_factory=list)
    theirs: Sequence[Scored] = field(default_factory=list)
    reason: str = ""  # why they cannot be read
    part: str = ""  # "1 of 2 seeds", if the others have no predictions

    def test(self) -> Test:
        """Return the test over examples."""
        if self.reason:
            return Test(None, self.reason)
        test = paired.over_examples([run.scores for run in self.ours], [run.scores for run in self.theirs])
        return replace(test, part=self.part)


def pair(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Pair]:
    """Return a pair for each seed that both cells have, in the order of the seeds.

    Args:
        ours: the runs of one cell, with their metric in the column `value`.
        theirs: those of the other.
    """
    ours_by_seed, theirs_by_seed = _by_seed(ours), _by_seed(theirs)
    common = sorted(ours_by_seed.keys() & theirs_by_seed.keys())
    return [Pair(ours_by_seed[seed], theirs_by_seed[seed]) for seed in common]


def _by_seed(cell: pd.DataFrame) -> dict[int, Run]:
    columns = (cell[name] for name in ("value", "directory", "has_files", "seal"))
    runs = (Run(value, Path(folder), files, seal) for value, folder, files, seal in zip(*columns, strict=True))
    return dict(zip(cell["seed"], runs, strict=True))


def read(pairs: Sequence[Pair], metric: str, reader: Reader) -> Predictions:
    """Read the predictions of the seeds that have them on both sides. Those of `theirs` are kept for the next cell.

    Args:
        pairs: see `pair`.
        metric: what the examples are scored by.
        reader: reads the predictions.
    """
    readable = [pair for pair in pairs if pair.ours.has_files and pair.theirs.has_files]
    if pairs and not readable:
        return Predictions(reason="predictions not available")
    ours: list[Scored] = []
    theirs: list[Scored] = []
    reasons: list[str] = []  # of all pairs, because the reader lists what cannot be read
    for pair in readable:
        for side, read_run, run in ((ours, reader.read, pair.ours), (theirs, reader.read_and_keep, pair.theirs)):
            try:
                side.append(replace(read_run(run.directory, metric, run.seal), score=run.value))
            except BadInput as error:
                reasons.append(str(error))
    if reasons:
        return Predictions(reason=reasons[0])
    part = f"{len(readable)} of {len(pairs)} seeds" if len(readable) < len(pairs) else ""
    return Predictions(ours, theirs, part=part)
