"""The rows of each part are those that scikit-learn draws; earlier versions asked it for them."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from prunebert.tasks import partition


def cases():
    random = np.random.default_rng(0)
    for number in range(200):
        rows = int(random.integers(2, 300))
        part = float(random.random()) if number % 2 else int(random.integers(1, rows + 1))
        names = np.array([*"abcdefg"], dtype=object)[: random.integers(1, 8)]
        yield rows, part, [None, random.choice(names, rows), random.integers(0, 5, rows)][number % 3]


def test_the_rows_and_the_refusals_are_scikit_learns():
    refused = 0
    for rows, part, strata in cases():
        try:
            expected = train_test_split(np.arange(rows), test_size=part, random_state=0, stratify=strata)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match="would be held out, and both parts need one"):
                partition.draw(rows, part, strata)
            continue
        for found, rows_of_part in zip(partition.draw(rows, part, strata), expected, strict=True):
            assert found.dtype == rows_of_part.dtype and found.tolist() == rows_of_part.tolist()
    assert 3 < refused < 50
