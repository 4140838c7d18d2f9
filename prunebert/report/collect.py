"""From directories to a table with a row a run, and to all that is not in it: failed, missing, damaged, replaced."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert import artifacts, grid, traces
from prunebert.command import short
from prunebert.errors import BadInput
from prunebert.report import variants

NEEDED = {
    **dict.fromkeys(("method", "task", "model", "metric", "prunable", "command"), str),
    **dict.fromkeys(("sparsity", "score"), float),
    **dict.fromkeys(("settings", "metrics"), dict),
    "seed": int,
}
NUMBERS = ("majority_score", "seconds", "seconds_per_step", "steps", "peak_memory_bytes", "trained_parameters")
SPARSITIES = tuple(f"sparsity_{which}" for which in ("encoder", "encoder_pooler", "encoder_pooler_embeddings", "model"))
WORDS = ("fit", "distill", "augment", "device", "weights_hash", "git_commit")
OFF_TARGET = 0.005  # asked and measured sparsity differ by more than this


@dataclass(frozen=True)
class Trouble:
    """What a reader of the tables must know. kind: "did not finish", "missing", "not used", "replaced", "off target"
    or "mixed"."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True)
class Collected:
    """runs: one row a run; `row` is its result.json, `table`, `variant`, `label`, `of` are what `variants` adds."""

    runs: pd.DataFrame
    troubles: list[Trouble]
    finished: int


def collect(roots: Iterable[Path]) -> Collected:
    """Every run below `roots`. Raises BadInput if one of them is no directory, or if no run of them finished."""
    troubles, found, seen = [], [], set()
    started: list[list[str]] = []
    roots = list(roots)
    for root in roots:
        if not root.is_dir():
            raise BadInput(f"{root}: there is no such directory")
        for directory in traces.traces(root):
            if directory.resolve() in seen:
                continue
            seen.add(directory.resolve())
            started += grid.words(directory)
            if not traces.finished(directory):
                told = f"or still runs; the last line of its log: {traces.last_words(directory)}"
                troubles.append(Trouble("did not finish", short(directory), told))
                continue
            try:
                found.append(_facts(directory))
            except BadInput as error:
                troubles.append(Trouble("not used", short(directory), str(error)))
    if not found:
        below = ", ".join(map(str, roots))
        rest = "".join(f"\n  {t.where} {t.kind}, {t.what}" for t in troubles)
        raise BadInput(f"{below}: there is no finished run that can be read{rest}")
    for sweep in dict.fromkeys(s for root in roots for s in traces.sweeps(root)):
        troubles += [Trouble("missing", short(sweep), told) for told in grid.missing(sweep, started)]
    runs = variants.told(pd.DataFrame(found))
    runs, replaced = _newest(runs)
    troubles += replaced + _off_target(runs) + _mixed(runs)
    return Collected(runs, troubles, len(found))


def _facts(directory: Path) -> dict[str, Any]:
    """One row of the table. Raises BadInput for a result.json that lacks something or holds what it should not."""
    row = artifacts.result(directory)
    for key, kind in NEEDED.items():
        value = row.get(key)
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or isinstance(value, bool):
            raise BadInput(f"its result.json is damaged: {key} is {str(value)[:60]}, no {kind.__name__}")
    if not math.isfinite(row["score"]):
        raise BadInput(f"its score is {row['score']}")
    measured = {key: _number(row.get(key)) for key in (*NUMBERS, *SPARSITIES)}
    return {
        "directory": directory,
        "written": traces.written(directory),
        **{key: row[key] for key in NEEDED},
        **measured,
        **{key: str(row.get(key) or ("none" if key in ("distill", "augment") else "")) for key in WORDS},
        "metrics": {k: float(v) for k, v in row["metrics"].items() if math.isfinite(_number(v))},
        "measured": measured.get(f"sparsity_{row['prunable']}", math.nan),
        "pooler": _has_pooler(directory),
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


def _newest(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[Trouble]]:
    """Of runs with the same settings and seed the one written last."""
    runs = runs.sort_values("written", kind="stable")
    cell = ["table", "variant", "sparsity", "seed"]
    kept = runs.drop_duplicates(cell, keep="last")
    by_cell = {tuple(row[c] for c in cell): row["directory"] for _, row in kept.iterrows()}
    troubles = [
        Trouble(
            "replaced",
            short(row["directory"]),
            f"same settings and seed as {short(by_cell[tuple(row[c] for c in cell)])}, which was written later",
        )
        for _, row in runs[runs.duplicated(cell, keep="last")].iterrows()
    ]
    return kept.sort_values("order", kind="stable").reset_index(drop=True), troubles


def _off_target(runs: pd.DataFrame) -> list[Trouble]:
    off = runs[(runs["measured"] - runs["sparsity"]).abs() > OFF_TARGET]
    return [
        Trouble("off target", short(r["directory"]), f"asked {r['sparsity']:g}, measured {r['measured']:.4f}")
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
