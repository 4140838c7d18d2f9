"""Decide which row of a table and which directory are the same run, and whether they agree.

An execution is one run of an experiment on one machine. Its result has a checksum, which a table keeps. Two records
with one checksum are the same execution and must have the same numbers. An identity names the experiment: two records
with one identity and two checksums are two executions, and their scores show how well the experiment is reproduced.
Such rows must have the same method, seed, sparsity, settings and data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.report import differing
from prunebert.report.trouble import Trouble
from prunebert.runs import artifacts, seal
from prunebert.system.console import short

Facts = dict[str, Any]  # of one run, see `collect.Collected`
KIND = "contradictory"


@dataclass(frozen=True)
class Repeat:
    """Two executions of one experiment."""

    kept: Facts  # the one in the tables
    other: Facts


@dataclass
class Settled:
    """The executions that the report shows."""

    results: list[Facts] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)  # rows that contradict their run or each other
    repeats: list[Repeat] = field(default_factory=list)
    agreeing: Counter[str] = field(default_factory=Counter)  # rows of each table that their own run confirms


def settle(results: Iterable[Facts]) -> Settled:
    """Return each execution once. Leave out the rows that contradict their run or each other.

    A run whose directory was read stands for its rows. Of an experiment that was executed several times, the rows of a
    table give way to directories, and earlier rows to later ones.
    """
    results = list(results)
    settled = Settled()
    runs = _distinct([facts for facts in results if facts["has_files"]])
    rows = _unconfirmed([facts for facts in results if not facts["has_files"]], runs, settled)
    rows = _agreeing(rows, settled)
    _choose([*runs, *rows], results, settled)
    for facts in settled.results:
        facts.pop("columns", None)
    return settled


def _distinct(runs: list[Facts]) -> list[Facts]:
    """Return the runs without copies of one that comes before."""
    found: dict[Any, Facts] = {}
    for facts in runs:
        found.setdefault(facts["row"].get("checksum") if facts["identity"] else str(facts["directory"]), facts)
    return list(found.values())


def _unconfirmed(rows: list[Facts], runs: list[Facts], settled: Settled) -> list[Facts]:
    """Return the rows whose runs were not read. A row whose recorded directory confirms it gets that as `own_run`."""
    by_key = {key: facts for facts in runs for key in _keys(facts)}
    left = []
    for row in rows:
        own = next((by_key[key] for key in _keys(row) if key in by_key), None)
        directory, result = (own["directory"], own["row"]) if own else _recorded(row)
        if result is None:
            left.append(row)
            continue
        own = own or next((by_key[key] for key in _keys_of(result) if key in by_key), None)
        if wrong := differing.between(row["row"], result, row["columns"]):
            reason = (
                f"it is not what {short(directory)}/{artifacts.RESULT} says: {differing.text(wrong, 'here', 'there')}"
            )
            settled.troubles.append(Trouble(KIND, row["position"], reason))
            continue
        settled.agreeing[row["source"]] += 1
        if own is None:
            left.append(row | {"own_run": directory})
    return left


def _recorded(row: Facts) -> tuple[Path, dict[str, Any] | None]:
    """Return the directory that a row records, and the result there; None if it is not that of the row's run."""
    directory = Path(row["directory"])
    try:
        if not artifacts.is_finished(directory):
            return directory, None
        result = artifacts.result(directory)
    except (BadInput, OSError):  # nobody asked for this directory
        return directory, None
    by_identity = row["identity"] and not row["row"].get("checksum") and row["identity"] == result.get("identity")
    is_own = by_identity or not _keys(row).isdisjoint(_keys_of(result))
    return directory, None if seal.is_delta(result) or not is_own else result


def _agreeing(rows: list[Facts], settled: Settled) -> list[Facts]:
    """Return each execution of the rows once, its last row. Leave out all its rows if they contradict each other."""
    groups: dict[Any, list[Facts]] = {}
    for row in rows:
        keys = _keys(row)
        group = next((groups[key] for key in keys if key in groups), [])
        group.append(row)
        groups |= dict.fromkeys(keys, group)
    kept = []
    for group in {id(group): group for group in groups.values()}.values():
        *earlier, last = group
        found = [(row, differing.between(row["row"], last["row"])) for row in earlier]
        if not any(wrong for _, wrong in found):
            kept.append(next((row for row in reversed(group) if row["own_run"]), last))
            continue
        for row, wrong in found:
            same = "" if wrong else "; a third row of this run differs"
            reason = f"it is the same run as {last['position']}: {differing.text(wrong, 'here', 'there')}{same}"
            settled.troubles.append(Trouble(KIND, row["position"], reason))
        first, wrong = next((row, wrong) for row, wrong in found if wrong)
        reason = f"it is the same run as {first['position']}: {differing.text(wrong, 'there', 'here')}"
        settled.troubles.append(Trouble(KIND, last["position"], reason))
    return kept


def _choose(executions: list[Facts], results: list[Facts], settled: Settled) -> None:
    """Put the executions that the report shows into `settled`, in the order of `results`, and those made again."""
    order = {id(facts["row"]): number for number, facts in enumerate(results)}
    executions.sort(key=lambda facts: order[id(facts["row"])])
    groups: dict[Any, list[Facts]] = {}
    for number, facts in enumerate(executions):
        groups.setdefault(facts["identity"] or number, []).append(facts)
    shown = set()
    for group in filter(None, (_of_one_experiment(group, settled) for group in groups.values())):
        best = max(reversed(group), key=lambda facts: (facts["has_files"], facts["written"]))
        shown |= {id(facts) for facts in group if facts["has_files"]} | {id(best)}
        settled.repeats += [Repeat(best, facts) for facts in group if facts is not best]
    settled.results = [facts for facts in executions if id(facts) in shown]


def _of_one_experiment(group: list[Facts], settled: Settled) -> list[Facts]:
    """Return the executions of one identity. Leave out rows of another method, seed, sparsity, setting or data.

    A run at hand decides. Without one, no row can be trusted if two of them differ.
    """
    runs = [facts for facts in group if facts["has_files"]]
    chief = runs[0] if runs else group[-1]
    where = short(chief["directory"]) if runs else chief["position"]
    wrong = {}
    for facts in group:
        if not facts["has_files"] and facts is not chief:
            wrong[id(facts)] = differing.experiments(facts["row"], chief["row"])
    if not any(wrong.values()):
        return group
    for facts in group:
        if found := wrong.get(id(facts)):
            reason = f"it has the identity of {where}, but {differing.text(found, 'here', 'there')}"
            settled.troubles.append(Trouble(KIND, facts["position"], reason))
    if runs:
        return [facts for facts in group if not wrong.get(id(facts))]
    for facts in group:
        if not wrong.get(id(facts)):
            reason = "other rows of the same identity have another method, seed, sparsity, setting or data"
            settled.troubles.append(Trouble(KIND, facts["position"], reason))
    return []


def _keys(facts: Facts) -> set[Any]:
    """Return what names an execution, see `_keys_of`; the whole content where nothing else does."""
    return _keys_of(facts["row"]) or {json.dumps(facts["row"], sort_keys=True, default=str)}


def _keys_of(result: Mapping[str, Any]) -> set[Any]:
    """Return the checksum of a result, and its identity with the times that it took.

    Old tables have no checksum. No two executions take the same times to the millisecond, so the times also find a row
    whose checksum was edited.
    """
    times = tuple(result.get(key) for key in ("seconds", "seconds_overall", "seconds_per_step"))
    by_time = (result["identity"], *times) if result.get("identity") and result.get("seconds") else ""
    return {key for key in (result.get("checksum"), by_time) if key}
