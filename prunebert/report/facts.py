"""Check a result.json, or the row of a table that was made of one, and choose the facts that the report needs."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput
from prunebert.report.rows import REQUIRED, TEXT_FIELDS
from prunebert.system.names import encodable

NUMBERS = ("majority_score", "seconds", "seconds_per_step", "steps", "peak_memory_bytes")
TRAINED = ("trained_parameters", "trained_scores")  # the second is missing in runs of earlier versions
SPARSITIES = tuple(f"sparsity_{prunable}" for prunable in (*PRUNABLE, "model"))
WORDS = {str: "text", float: "a number", int: "a whole number", dict: "a group of values"}
EMPTY = ("architecture", "overlaps")  # no columns of a table where they are empty


def of_result(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one row of the table.

    Args:
        row: a result.json.
        name: what error messages call it.

    Raises:
        BadInput: a field is missing or has the wrong type.
    """
    for key, kind in REQUIRED.items():
        value = row.get(key)
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or isinstance(value, bool):
            found = "is missing" if value is None else f"is {str(value)[:60]}"
            raise BadInput(f"{name} is damaged: {key} {found}, and must be {WORDS[kind]}")
    if not math.isfinite(row["score"]):
        raise BadInput(f"its score is {row['score']}")
    measured = {key: number(row.get(key)) for key in (*NUMBERS, *TRAINED, *SPARSITIES)}
    return {
        **{key: row[key] for key in REQUIRED},
        **measured,
        **{key: str(row.get(key) or ("none" if key in ("distill", "augment") else "")) for key in TEXT_FIELDS},
        "device": re.sub(r"\b1 threads$", "1 thread", str(row.get("device") or "")),  # as earlier versions wrote it
        "metrics": {k: float(v) for k, v in row["metrics"].items() if math.isfinite(number(v))},
        "measured": measured.get(f"sparsity_{row['prunable']}", math.nan),
        "row": {k: v for k, v in row.items() if k != "files" and not (k in EMPTY and not v)},  # no columns of a table
    }


def with_escapes(value: Any) -> Any:
    """Return a result with the lone surrogates of its texts as escapes, because no table can hold them."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return _with_escapes(value)
    return value


def _with_escapes(value: Any) -> Any:
    if isinstance(value, dict):
        return {encodable(key): _with_escapes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_escapes(item) for item in value]
    return encodable(value) if isinstance(value, str) else value


def number(value: Any) -> float:
    """Return the value as a float, or NaN if it is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
