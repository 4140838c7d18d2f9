"""Name the tables of a report. A table holds the runs of one task and model that were scored in the same way."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from prunebert.system.names import brief

MAX_WORD = 120  # characters of each part of a table's name
MAX_PART = 60  # characters of the labels and of an unusual configuration in it


class Key(NamedTuple):
    """What the runs of one table have in common."""

    task: str
    weights: str  # their hash, or the model where a row lacks it
    metric: str
    evaluation: str  # the fingerprints of the evaluation data in JSON, or their sizes; "{}" if a row lacks both
    labels: str  # the classes in JSON, or "null"
    unusual: str  # what the checkpoint's configuration has and published ones of its family have not


def keys(rows: Iterable[dict[str, Any]]) -> list[Key]:
    """Return the key of each run's table; rows: a result.json per run."""
    found = []
    for row in rows:
        data = row["data"] if isinstance(row.get("data"), dict) else {}
        fingerprints = group(data, "fingerprint") or group(data, "rows")
        evaluation = json.dumps({s: mark for s, mark in fingerprints.items() if s != "train"}, sort_keys=True)
        weights = str(row.get("weights_hash") or row["model"])
        unusual = ", ".join(f"{key} {value}" for key, value in sorted(group(row, "architecture").items()))
        found.append(Key(row["task"], weights, row["metric"], evaluation, json.dumps(data.get("labels")), unusual))
    return found


def names(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the name of each run's table: task and model, and what else distinguishes it from other tables."""
    rows = list(rows)
    found = keys(rows)
    by_key: dict[Key, str] = {}
    for key, row in zip(found, rows, strict=True):
        by_key.setdefault(key, f"{brief(key.task, MAX_WORD)}, {brief(base_name(row['model']), MAX_WORD)}")
    for name in set(by_key.values()):
        namesakes = [key for key in by_key if by_key[key] == name]
        for part, text_of in PARTS.items():
            if len({getattr(key, part) for key in namesakes}) > 1:
                for key in namesakes:
                    by_key[key] += f", {brief(text_of(getattr(key, part)), MAX_WORD)}"
    shared = {name for name, count in Counter(by_key.values()).items() if count > 1}  # of tasks with commas in names
    by_key = {key: f"{name}, table {digest(key):.8}" if name in shared else name for key, name in by_key.items()}
    return [by_key[key] for key in found]


def base_name(path: str) -> str:
    """Return the last part of a model's path."""
    return path.rstrip("/").rpartition("/")[2]


def group(data: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the group of this name in a result; an empty one if there is none."""
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def digest(value: Any) -> str:
    """Return a hash of a value that JSON can hold, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _weights(text: str) -> str:
    return f"weights {text:.8}" if re.fullmatch("[0-9a-f]{64}", text) else f"unknown weights of {text}"


def _evaluation(text: str) -> str:
    return "unknown evaluation data" if text == "{}" else f"evaluation data {digest(text):.8}"


def _labels(text: str) -> str:
    return "unknown labels" if text == "null" else f"labels {brief(text, MAX_PART)}"


def _unusual(text: str) -> str:
    return brief(text, MAX_PART) or "the usual configuration"


PARTS: dict[str, Callable[[str], str]] = {  # of a key after its task: how a table's name says it
    "weights": _weights,
    "metric": str,
    "evaluation": _evaluation,
    "labels": _labels,
    "unusual": _unusual,
}
