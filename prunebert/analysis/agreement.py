"""How far two runs predict the same: agreement, Cohen's κ, what their accuracies explain, and loyalty.

docs/function.md has the definitions and their sources.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prunebert.analysis.predictions import NUMBER, OPEN, TEXT, Answers, Rows

MEASURES = ("agreement", "kappa", "independent", "beyond_accuracy", "correlation")


def squares(answers: Sequence[Answers | None]) -> dict[str, np.ndarray]:
    """Compare every two runs.

    Args:
        answers: of each run, read by one Reader; None for a run without predictions.

    Returns:
        MEASURES as float arrays [runs, runs], NaN where two runs have other rows or the measure has no value:
        agreement: the fraction of rows with the same prediction.
        kappa: Cohen's κ of the predictions, for kinds with a fixed number of classes, and for sets of labels.
        independent: the agreement of two classifiers with these accuracies whose errors are independent.
        beyond_accuracy: (agreement - independent) / (1 - independent).
        correlation: Pearson's, of a regression's predictions.
    """
    found = {measure: np.full((len(answers), len(answers)), np.nan) for measure in MEASURES}
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(answers):
        if each is not None:
            groups.setdefault(id(each.rows), []).append(index)
    for indices in groups.values():
        group = [each for index in indices if (each := answers[index]) is not None]
        compared = _correlations(group) if group[0].rows.kind == NUMBER else _agreements(group)
        for measure, square in compared.items():
            found[measure][np.ix_(indices, indices)] = square
    return found


def _correlations(group: list[Answers]) -> dict[str, np.ndarray]:
    """Return Pearson's correlation; NaN for a run that predicts one number."""
    values = np.stack([each.values for each in group])
    centred = values - values.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    constant = (values == values[:, :1]).all(1, keepdims=True)
    unit = np.divide(centred, norms, where=~constant, out=np.full_like(centred, np.nan))
    return {"correlation": np.clip(unit @ unit.T, -1, 1)}


def _agreements(group: list[Answers]) -> dict[str, np.ndarray]:
    codes, rows = np.stack([each.values for each in group]), group[0].rows
    agreement = np.stack([(codes == code).mean(1) for code in codes])
    found = {"agreement": agreement}
    if rows.kind != TEXT:
        found["kappa"] = _beyond(agreement, _by_marginals(codes))
    if rows.kind not in OPEN:
        found["independent"] = independent(
            np.array([each.accuracy for each in group]), max(each.classes for each in group)
        )
        found["beyond_accuracy"] = _beyond(agreement, found["independent"])
    return found


def independent(accuracies: np.ndarray, classes: int) -> np.ndarray:
    """Return the expected agreement of every two classifiers whose errors are independent: [runs, runs].

    Both are right, or both make the same error. An error falls on each of the other classes alike.
    """
    errors = 1 - accuracies
    return np.outer(accuracies, accuracies) + np.outer(errors, errors) / (classes - 1)


def _by_marginals(codes: np.ndarray) -> np.ndarray:
    """Return the agreement that the predictions' frequencies give by chance, [runs, runs]."""
    _, flat = np.unique(codes, return_inverse=True)
    places = flat.reshape(codes.shape)
    counts = np.stack([np.bincount(row, minlength=int(places.max()) + 1) for row in places]) / codes.shape[1]
    return counts @ counts.T


def _beyond(agreement: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return 0 for what is expected and 1 for full agreement; NaN where full agreement is expected."""
    room = 1 - expected
    nan = np.full_like(agreement, np.nan)
    return np.divide(agreement - expected, room, where=room > 1e-12, out=nan)


def label_loyalty(ours: Answers, dense: Answers) -> float:
    """Return the fraction of rows with the same prediction (Xu et al. 2021).

    Raises:
        ValueError: the two have other rows, or are a regression.
    """
    _require_same_rows(ours, dense)
    if ours.rows.kind == NUMBER:
        raise ValueError("a regression has no labels")
    return float((ours.values == dense.values).mean())


def probability_loyalty(ours: Answers, dense: Answers) -> float | None:
    """Return the mean over rows of 1 - √(Jensen-Shannon divergence in nats) of the probabilities (Xu et al. 2021).

    The highest value is 1, the lowest 1 - √ln 2 = 0.167. None if one of the two has no probabilities.

    Raises:
        ValueError: the two have other rows.
    """
    from scipy.special import entr

    _require_same_rows(ours, dense)
    if ours.probabilities is None or dense.probabilities is None:
        return None
    middle = (ours.probabilities.astype(float) + dense.probabilities) / 2
    divergence = entr(middle).sum(1) - (ours.entropy + dense.entropy) / 2
    return float((1 - np.sqrt(np.maximum(divergence, 0))).mean())  # rounding may leave -1e-17


def correlation(ours: Answers, dense: Answers) -> float:
    """Return Pearson's correlation of two regressions' predictions; NaN if one predicts one number only.

    Raises:
        ValueError: the two have other rows, or are no regression.
    """
    _require_same_rows(ours, dense)
    if ours.rows.kind != NUMBER:
        raise ValueError("classes have no correlation")
    return float(_correlations([ours, dense])["correlation"][0, 1])


class Loyalty(NamedTuple):
    """Means over dense runs; NaN for what the kind of task or the stored predictions do not have."""

    labels: float  # see `label_loyalty`
    probabilities: float  # see `probability_loyalty`
    correlation: float  # see `correlation`


NO_LOYALTY = Loyalty(math.nan, math.nan, math.nan)


def loyalty(ours: Answers, dense: Sequence[Answers]) -> Loyalty:
    """Return the mean loyalty to each of the dense runs, which have the same rows; NaN without one."""
    return mean([_loyalty(ours, each) for each in dense])


def _loyalty(ours: Answers, dense: Answers) -> Loyalty:
    if ours.rows.kind == NUMBER:
        return NO_LOYALTY._replace(correlation=correlation(ours, dense))
    probabilities = probability_loyalty(ours, dense)
    return Loyalty(label_loyalty(ours, dense), math.nan if probabilities is None else probabilities, math.nan)


def mean(found: Sequence[Loyalty]) -> Loyalty:
    """Return the mean; NaN of none, and where one of them is NaN."""
    return Loyalty(*np.mean(found, axis=0).tolist()) if found else NO_LOYALTY


def references(rows: Rows, seed: int, dense: Sequence[tuple[int, Answers]]) -> tuple[list[Answers], list[Answers]]:
    """Return the dense runs with the same rows: those of the same seed, and those of other seeds.

    Args:
        rows: those of the run that is compared.
        seed: of that run.
        dense: seeds and predictions of the dense runs.
    """
    comparable = [(number, each) for number, each in dense if each.rows is rows]
    same = [each for number, each in comparable if number == seed]
    return same, [each for number, each in comparable if number != seed]


def ceiling(dense: Sequence[tuple[int, Answers]]) -> tuple[Loyalty, int]:
    """Return the mean loyalty of every two dense runs of different seeds on the same rows, and how many pairs."""
    found = [
        loyalty(ours, [theirs])
        for (seed, ours), (other, theirs) in itertools.combinations(dense, 2)
        if seed != other and ours.rows is theirs.rows
    ]
    return mean(found), len(found)


def _require_same_rows(ours: Answers, dense: Answers) -> None:
    if ours.rows is not dense.rows:
        raise ValueError("the two runs predicted other rows")
