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
SIGNED = {"score", "majority_score", "seed", *SPARSITIES}  # numbers with another range than 0 and above
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
    for key in SPARSITIES:
        if not 0 <= facts.number(row.get(key, 0.0)) <= 1:
            yield f"{key} is {_shown(row.get(key))}, not a fraction from 0 to 1"
    for key in sorted(NUMERIC - SIGNED):
        if facts.number(row.get(key, 0)) < 0:
            yield f"{key} is {_shown(row[key])}, which is below 0"
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
    for key, value, metric in ranges:
        low, high = RANGES.get(metric, (-math.inf, math.inf))
        if not math.isnan(facts.number(value)) and not low - 1e-9 <= value <= high + 1e-9:
            yield f"{key} is {value}, and {metric} is from {low:g} to {high:g}"


def _contradictions(row: dict[str, Any], measured: float | None) -> Iterator[str]:
    """Yield each number that is in the row twice, with two values."""
    pairs = [("score", f"metrics.{row['metric']}", row["metrics"].get(row["metric"]))]
    command = row["command"]
    pairs.append(("seed", "seed in its command", _given(command, "seed")))
    if row["sparsity"] > 0 and not {"prunable", "sparsity"}.isdisjoint(row["settings"]):  # others remove nothing
        pairs.append(("sparsity", "sparsity in its command", _given(command, "sparsity")))
    pairs.append((f"sparsity_{row['prunable']}", "measured", measured))
    for key, other, value in pairs:
        ours, theirs = facts.number(row.get(key)), facts.number(value)
        if not math.isnan(ours) and not math.isnan(theirs) and not close(ours, theirs):
            yield f"{key} is {row[key]}, but {other} is {value}"


def _given(command: str, key: str) -> float | None:
    """Return the number that a command line gives to a key; None if it gives none, or several."""
    numbers = re.findall(rf"(?<!\S){key}=(\d+(?:\.\d+)?)(?!\S)", command, re.ASCII)
    return parse_cell(float(numbers[-1])) if numbers else None


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


def _shown(value: Any) -> str:
    return cut(str(value))[:60]
