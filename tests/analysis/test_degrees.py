"""Degree distributions against counting, all pairs and numpy's quantiles."""

import json

import numpy as np
import pytest
import torch

from prunebert.analysis.topology import QUANTILES, degrees, distribution, gini

MASK = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()  # rows keep 3, 0, 1; columns 1, 2, 0, 1


def all_pairs(x):
    """The definition, without sorting anything."""
    x = np.asarray(x, float)
    return np.abs(x[:, None] - x[None, :]).sum() / (2 * len(x) * x.sum())


def test_a_row_is_what_comes_in_and_a_column_what_goes_out():
    found = degrees(MASK, "query")
    assert found["in"]["quantiles"][0::3] == [0, 1, 3] and found["in"]["mean"] == pytest.approx(4 / 3)
    assert found["out"]["quantiles"][0::3] == [0, 1, 2] and found["out"]["mean"] == 1
    assert found["in"]["gini"] == pytest.approx(0.5)  # pairs differ by 3, 2, 1: twice 6, over 2 · 3 · 4
    assert found["out"]["gini"] == pytest.approx(0.375)  # by 1, 1, 0, 2, 1, 1: twice 6, over 2 · 4 · 4


def test_a_token_is_a_source():
    assert degrees(MASK, "embeddings") == {"in": degrees(MASK, "query")["out"], "out": degrees(MASK, "query")["in"]}


@pytest.mark.parametrize("seed", range(4))
def test_gini_and_quantiles_by_other_means(seed):
    x = np.random.default_rng(seed).binomial(40, 0.2, 57) * (seed + 1)
    found = distribution(torch.from_numpy(x))
    assert found["gini"] == pytest.approx(all_pairs(x), abs=1e-12)
    assert found["mean"] == pytest.approx(x.mean())
    assert found["quantiles"] == pytest.approx(np.quantile(x, QUANTILES).tolist())


def test_the_ends_of_the_gini_coefficient():
    assert gini(torch.full((7,), 3)) == pytest.approx(0, abs=1e-12)
    assert gini(torch.tensor([0, 0, 5, 0])) == pytest.approx(3 / 4)
    assert gini(torch.zeros(4)) is None


def test_of_any_mask_plain_json_comes_out():
    for mask in (MASK, MASK.float(), torch.zeros(2, 3)):
        found = degrees(mask, "value")
        assert json.loads(json.dumps(found)) == found
