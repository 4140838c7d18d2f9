"""Selection by counting, against numpy's sort."""

import math

import numpy as np
import pytest

from prunebert.masks import chunks, counting

DRAW = np.random.default_rng(0)
SCORES = {
    "normal": DRAW.normal(size=3000),
    "ties": np.round(DRAW.normal(size=3000), 1),
    "one value": np.full(900, -2.5),
    "signed zeros": np.where(DRAW.random(900) < 0.5, 0.0, -0.0) + (np.arange(900) > 850),
    "infinite": np.where(DRAW.random(900) < 0.3, np.inf, np.where(DRAW.random(900) < 0.5, -np.inf, 1.0)),
    "tiny numbers": DRAW.normal(size=900) * 1e-42,
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_the_cut_and_the_masks_are_those_of_a_stable_sort(monkeypatch, name, dtype, share):
    monkeypatch.setattr(chunks, "SIZE", 250)
    x = SCORES[name].astype(dtype)
    count = max(1, round(share * len(x)))
    order = np.argsort(-x, kind="stable")
    expected = np.zeros(len(x), bool)
    expected[order[:count]] = True
    cut, still_to_keep, equal = counting.cut_of(np.split(x, [10, 400]), count)
    value = x[order[count - 1]]
    assert (cut, equal) == (value, np.count_nonzero(x == value))
    assert still_to_keep == np.count_nonzero(expected & (x == value))
    masks = counting.masks_at(np.split(x, [10, 400]), cut, still_to_keep)
    assert np.array_equal(np.concatenate(masks), expected)
    below = x[x < value]
    assert counting.largest_below(np.split(x, [10, 400]), cut) == (below.max() if len(below) else -math.inf)
