"""Check that the numbers in one row of a results table can be, and that they agree with each other.

A table cannot keep the checksum of a result.json, because it does not distinguish 1 from 1.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput, cut
from prunebert.report import facts
from prunebert.report.cell_values import NUMERIC, parse_cell

TOLERANCE = 1e-9  # relative; a table has all digits of a number, and a spreadsheet may round the last ones
FRACTION, CORRELATION = (0.0, 1.0), (-1.0, 1.0)
RANGES = {  # of prunebert's own metrics, by name
    **dict.fromkeys(("accuracy", "f1", "micro_f1", "macro_f1", "subset_accuracy", "precision", "recall"), FRACTION),
    **dict.fromkeys(("exact", "has_answer_exact", "has_answer_f1", "no_answer_exact"), FRACTION),
    **dict.fromkeys(("matthews", "pearson", "spearman"), CORRELATION),
    "perplexity": (1.0, math.inf),
}
SPARSITIES = ("sparsity", *facts.SPARSITIES)
SIGNED = {"score", "majority_score", *SPARSITIES}  # numbers with another range than 0 and above
DENOMINATORS = {prunable: {prunable} for prunable in PRUNABLE} | {"encoder_pooler": {"encoder_pooler", "encoder"}}
HASHES = {"identity": 32, "checksum": 64}  # hexadecimal digits
UNCOUNTED = ("tokens", "masked_lm", "span")  # kinds of tasks whose accuracy does not count rows


def close(a: float, b: float) -> bool:
    """Return whether two numbers are the same but for the last digits, which a spreadsheet may have rounded."""
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))


def refuse(row: dict[str, Any], measured: float | None) -> None:
    """Raise BadInput if a number of the row cannot be, or two of its numbers contradict each other.

    Args:
        row: a result.json that was read from a table.
        measured: the column `measured` of the table; None if it has none.
    """
    for fault in _faults(row, measured):
        raise BadInput(f"it is damaged or edited: {fault}")


def _faults(row: dict[str, Any], measured: float | None) -> Iterator[str]:
    for key, digits in HASHES.items():
        if key in row and not re.fullmatch(f"[0-9a-f]{{{digits}}}", row[key]):
            yield f"{key} is {_shown(row[key])}, not {digits} hexadecimal digits"
    if row["prunable"] not in PRUNABLE:
        yield f"prunable is {_shown(row['prunable'])}, not {' or '.join(PRUNABLE)}"
    elif row.get("of", row["prunable"]) not in DENOMINATORS[row["prunable"]]:
        yield f"of is {_shown(row['of'])}, but prunable is {row['prunable']}"
    if facts.number(row["sparsity"]) == 1:
        yield "sparsity is 1, and no run removes everything"
    for key in SPARSITIES:
        if not 0 <= facts.number(row.get(key, 0.0)) <= 1:
            yield f"{key} is {_shown(row.get(key))}, not a fraction from 0 to 1"
    for key, value in [(key, row.get(key, 0)) for key in sorted(NUMERIC - SIGNED)] + _counts(row):
        if facts.number(value) < 0:
            yield f"{key} is {_shown(value)}, which is below 0"
    yield from _impossible_scores(row)
    yield from _contradictions(row, measured)
    if (size := _rows(row)) and row["metric"] == "accuracy":
        right = row["score"] * size
        if abs(right - round(right)) > max(1e-6, size * TOLERANCE):
            yield f"score is {row['score']}, which no number of right answers out of {size:,} gives"


def _impossible_scores(row: dict[str, Any]) -> Iterator[str]:
    """Yield each score that is outside the range of its metric."""
    scores = {"score": row["score"], "majority_score": row.get("majority_score")}
    ranges = [(key, value, row["metric"]) for key, value in scores.items()]
    ranges += [
        (f"{group}.{name}", value, name) for group in ("metrics", "majority") for name, value in _pairs(row, group)
    ]
    for key, found in _evaluations(row):
        ranges += [(f"{key}.{name}", found.get(name), str(found.get("metric"))) for name in ("score", "constant")]
        for group in ("metrics", "constants"):
            ranges += [(f"{key}.{group}.{name}", value, name) for name, value in _pairs(found, group)]
    for key, value, metric in ranges:
        low, high = RANGES.get(metric, (-math.inf, math.inf))
        if not math.isnan(facts.number(value)) and not low - 1e-9 <= value <= high + 1e-9:
            yield f"{key} is {value}, and {metric} is from {low:g} to {high:g}"


def _contradictions(row: dict[str, Any], measured: float | None) -> Iterator[str]:
    """Yield each number that is in the row twice, with two values; then the method and the budget."""
    metric, command = row["metric"], row["command"]
    if _named(row, "metrics", metric) is None:
        yield f"metric is {_shown(metric)}, but it has no metrics.{_shown(metric)}"
    pairs = [("score", row["score"], f"metrics.{metric}", _named(row, "metrics", metric))]
    constant = _named(row, "majority", metric)
    pairs.append(("majority_score", row.get("majority_score"), f"majority.{metric}", constant))
    for key, found in _evaluations(row):
        own = str(found.get("metric"))
        for name, group in (("score", "metrics"), ("constant", "constants")):
            pairs.append((f"{key}.{name}", found.get(name), f"{key}.{group}.{own}", _named(found, group, own)))
    pairs.append(("seed", row["seed"], "seed in its command", _given(command, "seed")))
    if row["sparsity"] > 0 and not {"prunable", "sparsity"}.isdisjoint(row["settings"]):  # others remove nothing
        pairs.append(("sparsity", row["sparsity"], "sparsity in its command", _given(command, "sparsity")))
    size = f"sparsity_{row['prunable']}"
    pairs.append((size, row.get(size), "measured", measured))
    for key, ours, other, theirs in pairs:
        a, b = facts.number(ours), facts.number(theirs)
        if not math.isnan(a) and not math.isnan(b) and not close(a, b):
            yield f"{key} is {ours}, but {other} is {theirs}"
    for key, word in (("method", row["method"]), ("fit", str(row.get("fit") or "").partition(",")[0])):
        given = re.findall(rf"(?<!\S){key}=([\w./-]+)(?!\S)", command)
        if word and given and given[-1] != word:
            yield f"{key} is {_shown(word)}, but {key} in its command is {_shown(given[-1])}"


def _given(command: str, key: str) -> float | None:
    """Return the number that a command line gives to a key; None if it gives none, or several."""
    numbers = re.findall(rf"(?<!\S){key}=(\d+(?:\.\d+)?)(?!\S)", command, re.ASCII)
    return parse_cell(float(numbers[-1])) if numbers else None


def _counts(row: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the sizes of the row's data, and the steps and seconds of its phases, with their names."""
    data = row.get("data")
    found = [(f"data.rows.{split}", size) for split, size in _pairs(data, "rows")] if isinstance(data, dict) else []
    for phase, entry in _pairs(row, "phases"):
        if isinstance(entry, dict):
            found += [(f"phases.{phase}.{key}", entry.get(key)) for key in ("steps", "seconds")]
    return found


def _evaluations(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the scores of the row on other tasks, each with the beginning of its columns' names."""
    return [(f"evaluations.{name}", found) for name, found in _pairs(row, "evaluations") if isinstance(found, dict)]


def _rows(row: dict[str, Any]) -> int:
    """Return how many rows were evaluated; 0 if that is unknown, or the task's accuracy counts something else."""
    form, data = row.get("form"), row.get("data")
    if isinstance(form, dict) and any(form.get(kind) for kind in UNCOUNTED):
        return 0
    splits = data.get("rows") if isinstance(data, dict) else None
    sizes = [size for split, size in splits.items() if split != "train"] if isinstance(splits, dict) else []
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], int) else 0


def _pairs(row: dict[str, Any], group: str) -> list[tuple[str, Any]]:
    values = row.get(group)
    return list(values.items()) if isinstance(values, dict) else []


def _named(row: dict[str, Any], group: str, name: str) -> Any:
    """Return the value of a metric in a group of the row; None if it has none. A dot in its name made groups of it."""
    values: Any = row.get(group)
    for part in name.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _shown(value: Any) -> str:
    return cut(str(value))[:60]
