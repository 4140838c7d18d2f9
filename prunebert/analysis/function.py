"""What the predictions of compared runs have in common: the part of compare.json beside the masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebert.analysis import agreement
from prunebert.analysis.predictions import Answers, Reader
from prunebert.errors import BadInput
from prunebert.system.countdown import track

SAME = ("task", "model", "weights_hash")  # what a run and its dense run have in common, besides the rows
KEPT = ("metric", "seed", "files", *SAME)  # what is read of a result


def beside(runs: Mapping[str, Mapping[str, Any]], dense: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Compare the stored predictions of runs.

    Args:
        runs: the verified result of each run by its directory, in the order of the squares.
        dense: the same of runs that removed nothing.

    Returns:
        predictions: square matrices by name, see `agreement.squares`, null where two runs have other rows; without the
            matrices that have no number.
        loyalty: for each run its loyalty to the dense run, or null; see `_loyalty`.
        dense_loyalty: the mean loyalty of every two dense runs of different seeds, and how many pairs; or null.
        without_predictions: why the predictions of runs cannot be compared.
    """
    reader, read, reasons = Reader(), dict[str, Answers | None](), []
    for directory, row in track([*runs.items(), *dense.items()], "reading predictions"):
        try:
            read[directory] = reader.read(Path(directory), str(row["metric"]), row)
        except BadInput as error:
            read[directory] = None
            reasons.append(str(error))
    square = agreement.squares([read[directory] for directory in runs])
    loyalties = [_loyalty(row, read[directory], dense, read) for directory, row in runs.items()]
    return {
        "predictions": {name: _plain(values) for name, values in square.items() if (values == values).any()},
        "loyalty": loyalties,
        "dense_loyalty": _ceiling(dense, read) if any(loyalties) else None,
        "without_predictions": reasons,
    }


def _loyalty(
    row: Mapping[str, Any],
    answers: Answers | None,
    dense: Mapping[str, Mapping[str, Any]],
    read: Mapping[str, Answers | None],
) -> dict[str, Any] | None:
    """Return the mean loyalty to the dense runs of the same seed, or to all if there is none; null without any.

    A dense run counts if its task, model and rows are the run's. labels, probabilities and correlation are null where
    they have no value. dense: how many runs the mean is over; same_seed: whether they have the run's seed.
    """
    comparable = [
        (int(other["seed"]), theirs)
        for directory, other in dense.items()
        if (theirs := read[directory]) is not None and all(row.get(key) == other.get(key) for key in SAME)
    ]
    if answers is None:
        return None
    same, others = agreement.references(answers.rows, int(row["seed"]), comparable)
    if not same and not others:
        return None
    found = agreement.loyalty(answers, same or others)
    return _without_nan(found._asdict()) | {"dense": len(same or others), "same_seed": bool(same)}


def _ceiling(dense: Mapping[str, Mapping[str, Any]], read: Mapping[str, Answers | None]) -> dict[str, Any] | None:
    groups: dict[tuple[str, ...], list[tuple[int, Answers]]] = {}
    for directory, row in dense.items():
        if (answers := read[directory]) is not None:
            groups.setdefault(tuple(str(row.get(key)) for key in SAME), []).append((int(row["seed"]), answers))
    found = [each for group in groups.values() if (each := agreement.ceiling(group))[1]]
    if len(found) != 1:  # of several tasks or models a mean would say nothing
        return None
    mean, pairs = found[0]
    return _without_nan(mean._asdict()) | {"pairs": pairs}


def _plain(values: Any) -> list[list[float | None]]:
    return [[None if x != x else x for x in line] for line in values.tolist()]


def _without_nan(numbers: dict[str, float]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in numbers.items()}
