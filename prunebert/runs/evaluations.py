"""Scores of a finished run on other tasks, which `prunebert evaluate --keep` leaves in the run's directory.

Each is a JSON file with a checksum of its own and that of the run's result.json, to which it belongs.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput, reason
from prunebert.runs import files, made, reading, seal

FOLDER = "evaluations"
KINDS = {"task": str, "metric": str, "score": float, "metrics": dict, "majority": dict, "data": dict}


def require_room(root: Path, row: dict[str, Any]) -> None:
    """Raise BadInput, before anything is computed, if nothing can be kept in `root`. row: the run's result."""
    if seal.is_delta(row):
        raise BadInput(f"--keep: {root} is a task delta, which keeps no evaluations; use --out FILE")
    try:
        made.make(root / FOLDER)
    except OSError as error:
        raise BadInput(f"--keep: {root / FOLDER} cannot be written to: {reason(error)}") from error


def is_own(row: dict[str, Any], evaluation: dict[str, Any]) -> bool:
    """Return whether the evaluated rows are those that the run was scored on.

    Args:
        row: the run's result.
        evaluation: see `keep`.
    """
    own, other = (_evaluated_rows(facts["data"]) for facts in (row, evaluation))
    return bool(other) and other <= own


def has_rows(row: dict[str, Any]) -> bool:
    """Return whether a run's result says which rows it was scored on."""
    return bool(_evaluated_rows(row["data"]))


def keep(root: Path, row: dict[str, Any], evaluation: dict[str, Any]) -> Path:
    """Write an evaluation into the run's directory, in place of an earlier one of the same rows. Return its file.

    Args:
        root: the run's directory.
        row: the run's result.
        evaluation: what `prunebert evaluate` found: task, metric, score, metrics, majority, data and others.

    Raises BadInput if the file cannot be written, or if another file has its name.
    """
    rows = json.dumps([evaluation["task"], *sorted(_evaluated_rows(evaluation["data"]))])
    name = re.sub(r"[^\w.+-]+", "_", evaluation["task"])
    file = root / FOLDER / f"{name}-{hashlib.sha256(rows.encode()).hexdigest()[:8]}.json"
    if file.exists() or file.is_symlink():
        try:
            _read(file)
        except BadInput as error:
            raise BadInput(f"--keep: {error}; move it away first") from error
    content = json.loads(seal.encoded(evaluation | {"result": row["checksum"]}))
    try:
        made.make(file.parent)
        files.write(file.parent, file.name, seal.encoded(content | {"checksum": seal.checksum(content)}))
    except OSError as error:
        raise BadInput(f"--keep: {file} cannot be written to: {reason(error)}") from error
    return file


def read(root: Path, row: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the evaluations that a run's directory keeps, by file name, and why others cannot be used.

    Args:
        root: the run's directory.
        row: the run's verified result.
    """
    found, reasons = [], []
    for file in sorted((root / FOLDER).glob("*.json")):
        try:
            evaluation = _read(file)
            if evaluation["result"] != row.get("checksum"):
                raise BadInput(f"{file} belongs to an earlier result of this run; evaluate the run again")
            found.append(evaluation)
        except BadInput as error:
            reasons.append(str(error))
    return found, reasons


def _read(file: Path) -> dict[str, Any]:
    """Read and verify an evaluation. Raises BadInput if it is damaged."""
    evaluation = reading.json_table(file)
    if evaluation.get("checksum") != seal.checksum(evaluation) or "result" not in evaluation:
        raise BadInput(f"{file} is damaged: its checksum does not match its content")
    for key, kind in KINDS.items():
        value = evaluation.get(key)
        if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
            raise BadInput(f"{file} is damaged: {key} is {str(value)[:60]}, not {kind.__name__}")
    return evaluation


def _evaluated_rows(data: dict[str, Any]) -> set[str]:
    """Return the fingerprints of the evaluated splits. data: Task.facts()."""
    return {str(mark) for split, mark in (data.get("fingerprint") or {}).items() if split != "train"}
