"""Find in what two records of one run differ: a result.json and a row of a table, or two rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from prunebert.errors import cut
from prunebert.report import cell_values, plausible
from prunebert.report.facts import EMPTY
from prunebert.runs import identity, schema

GROUPS = {*schema.REQUIRED, *schema.LATER, *schema.OPTIONAL, "checksum"} - {
    "files"
}  # keys of a result; others are notes
EXPERIMENT = {"method", "metric", "sparsity", "seed", "prunable", "head", "weights_hash"}  # what an identity implies
NAMED = 3  # differences that a text lists
NOTHING = "nothing"


class Difference(NamedTuple):
    """A key with two values; None where a record has none."""

    key: str
    ours: Any
    theirs: Any


def between(row: dict[str, Any], other: dict[str, Any], columns: Collection[str] | None = None) -> list[Difference]:
    """Return the numbers, settings and texts in which two records differ, in the order of the keys.

    A key that only one record has is no difference, because versions of prunebert record different keys.

    Args:
        row: a result.json that was read from a table.
        other: another one, or the result.json of a run.
        columns: the table's columns, if `other` is the run itself. An empty cell of these is then a difference to a
            value there, and so is a setting or a metric that the run does not have.
    """
    ours, theirs = dict(_leaves(row)), dict(_leaves(schema.in_todays_words(dict(other))))
    keys = [key for key in ours if key in theirs]
    if columns is not None:
        keys += [key for key in theirs if key not in ours and key in columns]
        keys += [key for key in ours if key not in theirs and key.startswith(("settings.", "metrics."))]
    found = [Difference(key, ours.get(key), theirs.get(key)) for key in keys]
    return sorted(difference for difference in found if not _same(difference.ours, difference.theirs))


def experiments(row: dict[str, Any], other: dict[str, Any]) -> list[Difference]:
    """Return the differences of two records that no two executions of one experiment can have.

    These are the facts of EXPERIMENT, the data, and settings that are numbers: a setting that is a path may differ.

    Args:
        row: a result.json.
        other: another one.
    """
    return [difference for difference in between(row, other) if _is_of_experiment(difference)]


def _is_of_experiment(difference: Difference) -> bool:
    if difference.key in EXPERIMENT or difference.key.startswith(("data.rows.", "data.fingerprint.")):
        return True
    is_free = difference.key.rpartition(".")[2] in identity.OURS_WITHOUT_EFFECT | {"shared"}
    numbers = all(isinstance(value, int | float) for value in (difference.ours, difference.theirs))
    return difference.key.startswith("settings.") and numbers and not is_free


def text(found: Collection[Difference], ours: str, theirs: str) -> str:
    """Return "score is 0.91 here and 0.87 there; and 2 more", the score first."""
    order = sorted(found, key=lambda difference: (difference.key != "score", difference.key))
    parts = [f"{cut(d.key)} is {_shown(d.ours)} {ours} and {_shown(d.theirs)} {theirs}" for d in order[:NAMED]]
    return "; ".join(parts) + (f"; and {len(order) - NAMED} more" if len(order) > NAMED else "")


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a record with its dotted key, as a table would give it back. Missing values are left out."""
    for key, value in node.items():
        name = f"{path}.{key}" if path else str(key)
        if not path and (name not in GROUPS or (name in EMPTY and not value)):
            continue
        if isinstance(value, dict):
            yield from _leaves(value, name)
        elif not (value is None or value == "" or (isinstance(value, float) and math.isnan(value))):
            is_text = name in cell_values.TEXTS or not cell_values.TEXT_GROUPS.isdisjoint(name.split(".")[:-1])
            yield name, str(value) if is_text else cell_values.parse_cell(value)


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return plausible.close(float(ours), float(theirs))
    return bool(ours == theirs)


def _shown(value: Any) -> str:
    return NOTHING if value is None else cut(str(value))[:60]
