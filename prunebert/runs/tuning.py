"""The tries of a tuning sweep (experiment=tune), and for each method the best of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebert.choices import LOWER_IS_BETTER
from prunebert.errors import BadInput
from prunebert.runs import artifacts, sweep, walk
from prunebert.settings import tuning

TRY = "tune.try"
Row = dict[str, Any]  # a result.json


@dataclass(frozen=True)
class Try:
    """One try of a method: its rates, and the scores of its runs, for example one a seed."""

    rates: dict[str, float]
    scores: list[float]

    @property
    def mean(self) -> float:
        """The mean score."""
        return math.fsum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class Tuned:
    """What was tried for a method."""

    method: str
    metric: str  # "" where no run finished
    tries: list[Try] = field(default_factory=list)  # those with a result, in the order of their numbers
    missing: list[str] = field(default_factory=list)  # cells of the sweep without a result
    refusal: str = ""  # why the runs cannot be compared; empty if they can

    @property
    def best(self) -> Try | None:
        """The try with the best mean, the first of several; None while a try is missing."""
        if self.missing or self.refusal or not self.tries:
            return None
        sign = -1 if self.metric in LOWER_IS_BETTER else 1
        return max(self.tries, key=lambda each: sign * each.mean)  # max returns the first of equals

    def at_edge(self) -> list[str]:
        """Return the keys whose best rate is the smallest or the largest one that was tried."""
        best = self.best
        tried = {key: {each.rates[key] for each in self.tries} for key in (best.rates if best else {})}
        return [key for key, rates in tried.items() if best and best.rates[key] in (min(rates), max(rates))]


def of_sweep(root: Path) -> list[Tuned]:
    """Return what a tuning sweep tried, method by method, in the order of the sweep.

    Raises:
        BadInput: the sweep's record cannot be read, or one of its words cannot be enumerated.
    """
    axes = sweep.axes_of(root)
    found = {cell: row for cell, row in _results(root, axes)}
    place = {key: index for index, key in enumerate(axes)}
    varied = [index for index, words in enumerate(axes.values()) if len(words) > 1]
    methods: dict[str, tuple[list[Row], list[str]]] = {}
    for cell in itertools.product(*axes.values()):
        method = cell[place["method"]].partition("=")[2]
        rows, missing = methods.setdefault(method, ([], []))
        if cell in found:
            rows.append(found[cell])
        else:
            missing.append(" ".join(cell[index] for index in varied))
    return [of_rows(method, rows, missing) for method, (rows, missing) in methods.items()]


def of_rows(method: str, rows: list[Row], missing: Iterable[str] = ()) -> Tuned:
    """Return what the finished runs of a method tried.

    Args:
        rows: their results.
        missing: cells without a result.
    """
    keys: list[str] = next((row["tuning"]["rates"] for row in rows if "rates" in row.get("tuning", {})), [])
    tries: dict[tuple[float | None, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.get("tuning", {}).get("try", math.inf)):
        tries.setdefault(tuple(tuning.read_of(row["settings"], key) for key in keys), []).append(row)
    refusal = ""
    if len(metrics := sorted({row["metric"] for row in rows})) > 1:
        refusal = f"{' and '.join(metrics)} cannot be averaged; tune each task by itself"
    elif any(None in rates for rates in tries) or (rows and not keys):
        refusal = "a run does not say which rates it had"
    elif len({len(runs) for runs in tries.values()}) > 1 and not missing:
        refusal = "its tries have different numbers of runs"
    listed = [
        Try({key: rate for key, rate in zip(keys, rates, strict=True) if rate is not None}, [r["score"] for r in runs])
        for rates, runs in tries.items()
    ]
    return Tuned(method, metrics[0] if metrics else "", listed, list(missing), refusal)


def _results(root: Path, axes: dict[str, dict[str, str]]) -> Iterator[tuple[tuple[str, ...], Row]]:
    """Yield each cell of a sweep that is finished, with its result. A cell may point to a run elsewhere."""
    for folder in sorted(folder for folder, _ in walk.holding(root, (artifacts.CONFIG,))):
        try:
            row = artifacts.result(artifacts.resolve_pointer(folder))
        except BadInput:  # it is unfinished or damaged, which the sweep's table says
            continue
        for words in sweep.recorded_words(folder):
            yield from ((cell, row) for cell in sweep.cells_of(words, axes))
