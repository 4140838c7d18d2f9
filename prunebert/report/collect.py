"""From directories to a table with a row a run, and to all that is not in it: failed, missing, damaged, replaced."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput
from prunebert.report import rows, variants
from prunebert.report.rows import NEEDED, WORDS
from prunebert.runs import artifacts, discover
from prunebert.runs import sweep as runs_sweep
from prunebert.system.console import counted, short

NUMBERS = ("majority_score", "seconds", "seconds_per_step", "steps", "peak_memory_bytes", "trained_parameters")
SPARSITIES = tuple(f"sparsity_{which}" for which in (*PRUNABLE, "model"))
OFF_TARGET = 0.005  # asked and measured sparsity differ by more than this


@dataclass(frozen=True)
class Trouble:
    """What a reader of the tables must know. kind: "did not finish", "missing", "not used", "replaced", "scores only",
    "off target" or "mixed"."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True)
class Collected:
    """runs: one row a run; `row` is its result.json, `table`, `variant`, `label`, `of` are what `variants` adds.

    `files`: whether its directory is at hand, and not only its row of an earlier report's table, `source`.
    """

    runs: pd.DataFrame
    troubles: list[Trouble]
    finished: int


def collect(roots: Iterable[Path]) -> Collected:
    """Every run below `roots`, and in those of them that are results tables of an earlier report.

    Raises BadInput if one of them is neither directory nor such a table, or if no run of them finished.
    """
    troubles, found = [], []
    seen: set[Path] = set()
    started: list[list[str]] = []
    roots = list(dict.fromkeys(roots))
    for root in roots:
        if rows.is_table(root):
            some, unused = _of_table(root)
        else:
            below = _below(root, seen)
            started += [words for directory in below for words in runs_sweep.recorded_words(directory)]
            some, unused = _of_directories(below)
        found += some
        troubles += unused
    if not found:
        asked = ", ".join(map(str, roots))
        rest = "".join(f"\n  {t.where} {t.kind}, {t.what}" for t in troubles)
        raise BadInput(f"{asked}: there is no finished run that can be read{rest}")
    for sweep in dict.fromkeys(s for root in roots for s in discover.sweeps(root)):
        troubles += [Trouble("missing", short(sweep), told) for told in runs_sweep.missing(sweep, started)]
    found = _once(found)
    runs = variants.told(pd.DataFrame(found))
    runs, replaced = _newest(runs)
    troubles += replaced + _scores_only(runs) + _off_target(runs) + _mixed(runs)
    return Collected(runs, troubles, len(found))


def _below(root: Path, seen: set[Path]) -> list[Path]:
    """Every run's directory that is not yet `seen`, and now is. Raises BadInput if `root` is no directory."""
    if not root.is_dir():
        told = " is neither a directory nor a results.csv or results.parquet"
        raise BadInput(f"{root}{told if root.exists() else ': there is no such directory'}")
    below = {directory.resolve(): directory for directory in reversed(list(discover.started_runs(root)))}
    found = [directory for place, directory in reversed(below.items()) if place not in seen]
    seen.update(below)
    return found


def _of_directories(directories: list[Path]) -> tuple[list[dict[str, Any]], list[Trouble]]:
    """What is known of each finished run; and those that are not, or are damaged."""
    found, troubles = [], []
    for directory in directories:
        if not artifacts.is_finished(directory):
            told = f"or still runs; the last line of its log: {discover.last_words(directory)}"
            troubles.append(Trouble("did not finish", short(directory), told))
            continue
        try:
            facts = _facts(artifacts.result(directory), "its result.json")
        except BadInput as error:
            troubles.append(Trouble("not used", short(directory), str(error)))
            continue
        place = {"directory": directory, "files": True, "source": "", "written": discover.finish_time(directory)}
        found.append(facts | place | {"pooler": _has_pooler(directory)})
    return found, troubles


def _of_table(file: Path) -> tuple[list[dict[str, Any]], list[Trouble]]:
    """The same of the rows of an earlier report's table, which are older than any directory. Raises BadInput if it is
    no such table."""
    found, troubles = [], []
    names, cells = rows.read(file)
    for number, line in enumerate(cells, 1):
        try:
            row = rows.nested(names, line)
            place = {"directory": row.pop("directory", "not told"), "files": False, "source": short(file)}
            of = row.pop("of", "")  # in older tables not told: what the name says
            place |= {"written": -math.inf, "pooler": (of, row.get("prunable")) != ("encoder", "encoder_pooler")}
            found.append(_facts(row, "it") | place)
        except BadInput as error:
            troubles.append(Trouble("not used", f"{short(file)}, row {number}", str(error)))
    return found, troubles


def _facts(row: dict[str, Any], what: str) -> dict[str, Any]:
    """One row of the table. Raises BadInput for a result (`what`) that lacks something or holds what it should not."""
    for key, kind in NEEDED.items():
        value = row.get(key)
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or isinstance(value, bool):
            raise BadInput(f"{what} is damaged: {key} is {str(value)[:60]}, no {kind.__name__}")
    if not math.isfinite(row["score"]):
        raise BadInput(f"its score is {row['score']}")
    measured = {key: _number(row.get(key)) for key in (*NUMBERS, *SPARSITIES)}
    return {
        **{key: row[key] for key in NEEDED},
        **measured,
        **{key: str(row.get(key) or ("none" if key in ("distill", "augment") else "")) for key in WORDS},
        "metrics": {k: float(v) for k, v in row["metrics"].items() if math.isfinite(_number(v))},
        "measured": measured.get(f"sparsity_{row['prunable']}", math.nan),
        "row": row,
    }


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _has_pooler(directory: Path) -> bool:
    """Whether the checkpoint's pooler could be pruned; encoder_pooler is just the encoder where it has none."""
    try:
        return "pooler" in artifacts.topology(directory).get("kinds", {})
    except BadInput:
        return True  # what the name says


def _once(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the rows of tables whose run has its directory here, or stands in a later row."""
    here = {facts["identity"] for facts in found if facts["files"]}
    last = {facts["identity"]: k for k, facts in enumerate(found)}
    return [
        facts
        for k, facts in enumerate(found)
        if facts["files"] or not facts["identity"] or (facts["identity"] not in here and last[facts["identity"]] == k)
    ]


def _newest(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[Trouble]]:
    """Of runs with the same settings and seed the one written last."""
    runs = runs.sort_values("written", kind="stable")
    cell = ["table", "variant", "sparsity", "seed"]
    kept = runs.drop_duplicates(cell, keep="last")
    by_cell = {tuple(row[c] for c in cell): row for _, row in kept.iterrows()}
    troubles = []
    for _, row in runs[runs.duplicated(cell, keep="last")].iterrows():
        newer = by_cell[tuple(row[c] for c in cell)]
        why = "which was written later" if newer["files"] else f"the later row, of {newer['source']}"
        told = f"same settings and seed as {_place(newer)}, {why}"
        troubles.append(Trouble("replaced", _place(row), told))
    return kept.sort_values("order", kind="stable").reset_index(drop=True), troubles


def _place(run: pd.Series) -> str:
    """Where a run lies; of a row of a table what it says, which may be on another machine."""
    return short(run["directory"]) if run["files"] else str(run["directory"])


def _scores_only(runs: pd.DataFrame) -> list[Trouble]:
    """A line for each table of an earlier report."""
    told = "only their scores and costs are in the tables; masks, topology and predictions are not at hand"
    tables = runs[~runs["files"]].groupby("source", sort=False)
    return [Trouble("scores only", str(file), f"{counted(len(own), 'row')}: {told}") for file, own in tables]


def _off_target(runs: pd.DataFrame) -> list[Trouble]:
    off = runs[(runs["measured"] - runs["sparsity"]).abs() > OFF_TARGET]
    return [
        Trouble("off target", _place(r), f"asked {r['sparsity']:g}, measured {r['measured']:.4f}")
        for _, r in off.iterrows()
    ]


def _mixed(runs: pd.DataFrame) -> list[Trouble]:
    """Cells whose seeds ran on different commits or devices: told, since their mean is over both."""
    troubles = []
    for (table, label, sparsity), cell in runs.groupby(["table", "label", "sparsity"], sort=False):
        for key, name in (("git_commit", "commits"), ("device", "devices")):
            values = sorted(set(cell[key]))
            if len(values) > 1:
                shown = ", ".join(v[:40] or "unknown" for v in values)
                troubles.append(
                    Trouble("mixed", f"{table}: {label} at {sparsity:g}", f"its seeds ran on {name} {shown}")
                )
    return troubles
