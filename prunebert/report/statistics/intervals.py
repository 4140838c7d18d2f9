"""Compute 95 % intervals of the mean difference between two rows, over seeds and over examples.

Over seeds the interval is that of the paired t-test. Over examples it is a percentile bootstrap (Efron & Tibshirani,
"An Introduction to the Bootstrap", 1993, chapter 13): the examples are drawn again with replacement, the same ones for
both rows and for all seeds, and the difference of the metric is computed anew.

Examples with the same label and the same predictions are exchangeable. A resample of n examples is therefore a draw
from a multinomial distribution over the distinct examples, which is fast. It has the distribution of an explicit
resample (scipy.stats.bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy import stats

from prunebert.report.statistics.examples import Scored, aligned
from prunebert.report.statistics.paired import t_test, why_untested

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0  # a report that is written again has the same intervals
DISTINCT = 8  # examples for each distinct one, from which on equal examples are counted
LARGEST = 10**7  # counts that are drawn at once
EXACT = 1e-6  # largest deviation of a score that is computed again

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]  # weights and distinct examples -> a value per resample


@dataclass(frozen=True)
class Interval:
    """An interval of a difference, in the metric's unit."""

    low: float = math.nan  # NaN if there is none
    high: float = math.nan
    reason: str = ""  # why there is none


def over_seeds(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return the interval of the paired t-test. Both sequences hold the scores of the same seeds in the same order."""
    if reason := why_untested(ours, theirs):
        return Interval(reason=reason)
    low, high = t_test(tuple(ours), tuple(theirs)).confidence_interval(CONFIDENCE)
    return Interval(float(low), float(high))


def over_examples(metric: str, ours: Sequence[Scored], theirs: Sequence[Scored]) -> Interval:
    """Return the bootstrap interval of the metric's difference, averaged over the seeds.

    The metric is a mean over examples, or one of `RECOMPUTED`. Either is verified: what is computed from the
    predictions has to be the score that each run recorded. Otherwise there is no interval, and `reason` says so.

    Args:
        metric: the metric's name.
        ours: a run per seed.
        theirs: the baseline's, in the same order of seeds.
    """
    if not ours:
        return Interval(reason="no seed in common")
    runs = [*ours, *theirs]
    sides = np.repeat([1 / len(ours), -1 / len(ours)], len(ours))
    recomputed = RECOMPUTED.get(metric) if ours[0].is_numeric else None
    columns = aligned([ours[0].label, *(run.prediction for run in runs)] if recomputed else [r.scores for r in runs])
    if not len(columns):
        return Interval(reason="not the same examples")
    if recomputed:
        once = np.ones((1, columns.shape[1]))
        found = [recomputed(once, columns[0], prediction)[0] for prediction in columns[1:]]
        compute: Statistic = partial(_recomputed, recomputed, sides)
    else:
        found = columns.mean(axis=1)
        columns = (sides @ columns)[np.newaxis].round(12)  # the difference of each example
        compute = _mean
    if not np.allclose(found, [run.score for run in runs], rtol=0, atol=EXACT):
        return Interval(reason=f"{metric} is not a function of single predictions")
    distinct, counts = np.unique(columns, axis=1, return_counts=True)
    if len(counts) * DISTINCT > columns.shape[1]:
        distinct, counts = columns, np.ones(columns.shape[1], int)
    differences = np.concatenate([compute(weights, distinct) for weights in _resamples(counts)])
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _resamples(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield how often each distinct example is in each resample: arrays resamples × distinct, of floats."""
    if RESAMPLES * len(counts) <= LARGEST:
        yield _drawn(counts.astype(np.int64).tobytes())
        return
    generator = np.random.default_rng(SEED)
    size = max(1, LARGEST // len(counts))
    for begin in range(0, RESAMPLES, size):
        yield _draw(counts, min(size, RESAMPLES - begin), generator)


@lru_cache(maxsize=2)
def _drawn(counts: bytes) -> np.ndarray:
    """Keep the last resamples: examples that all differ have the same ones in every comparison."""
    return _draw(np.frombuffer(counts, np.int64), RESAMPLES, np.random.default_rng(SEED))


def _draw(counts: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    n = int(counts.sum())
    return stats.multinomial(n, counts / n).rvs(size=size, random_state=generator).astype(float)


def _mean(weights: np.ndarray, differences: np.ndarray) -> np.ndarray:
    return weights @ differences[0] / weights.sum(1)


def _recomputed(metric: Metric, sides: np.ndarray, weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    label, *predictions = columns
    values = [side * metric(weights, label, prediction) for side, prediction in zip(sides, predictions, strict=True)]
    return np.sum(values, axis=0)


def matthews(weights: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return Matthews' correlation of each resample, for any number of classes; 0 where it is not defined.

    Equation 8 of Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.

    Args:
        weights: how often each example is in each resample, resamples × examples.
        label: the class of each example.
        prediction: the predicted class of each example.
    """
    n, right = weights.sum(1), weights @ (label == prediction)
    classes = np.unique([label, prediction])
    true, predicted = (weights @ (side[:, np.newaxis] == classes) for side in (label, prediction))
    spread = (n**2 - (predicted**2).sum(1)) * (n**2 - (true**2).sum(1))
    return _ratio(right * n - (true * predicted).sum(1), np.sqrt(spread))


def f1(weights: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return F1 of class 1 of each resample; 0 where no example has or gets it. Arguments: as `matthews`."""
    both, either = (label == 1) & (prediction == 1), (label == 1) * 1.0 + (prediction == 1)
    return _ratio(2 * (weights @ both), weights @ either)


def pearson(weights: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each resample; 0 for constant values. Arguments: as `matthews`."""
    n = weights.sum(1)
    x, y = label - label.mean(), prediction - prediction.mean()  # large means would cost digits
    mean_x, mean_y = weights @ x / n, weights @ y / n
    variances = (weights @ x**2 / n - mean_x**2) * (weights @ y**2 / n - mean_y**2)
    return _ratio(weights @ (x * y) / n - mean_x * mean_y, np.sqrt(np.maximum(variances, 0)))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


RECOMPUTED: dict[str, Metric] = {"matthews": matthews, "f1": f1, "pearson": pearson}
