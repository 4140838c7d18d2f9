"""Degree distributions against counts by hand, the definition of the Gini coefficient, and numpy's quantiles."""

import json

import numpy as np
import pytest
import torch

from prunebert.analysis.topology import QUANTILES, degrees, distribution, gini

MASK = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()  # rows keep 3, 0, 1; columns 1, 2, 0, 1


def gini_by_pairs(x):
    """Return the Gini coefficient by its definition, over all pairs."""
    x = np.asarray(x, float)
    return np.abs(x[:, None] - x[None, :]).sum() / (2 * len(x) * x.sum())


def test_rows_give_in_degrees_and_columns_out_degrees():
    numbers = degrees(MASK, "query")
    assert numbers["in"]["quantiles"][0::3] == [0, 1, 3] and numbers["in"]["mean"] == pytest.approx(4 / 3)
    assert numbers["out"]["quantiles"][0::3] == [0, 1, 2] and numbers["out"]["mean"] == 1
    assert numbers["in"]["gini"] == pytest.approx(0.5)  # pairs differ by 3, 2, 1: twice 6, over 2 · 3 · 4
    assert numbers["out"]["gini"] == pytest.approx(0.375)  # by 1, 1, 0, 2, 1, 1: twice 6, over 2 · 4 · 4


def test_a_row_of_the_embeddings_is_a_source():
    assert degrees(MASK, "embeddings") == {"in": degrees(MASK, "query")["out"], "out": degrees(MASK, "query")["in"]}


@pytest.mark.parametrize("seed", range(4))
def test_gini_and_quantiles_by_another_formula(seed):
    x = np.random.default_rng(seed).binomial(40, 0.2, 57) * (seed + 1)
    numbers = distribution(torch.from_numpy(x))
    assert numbers["gini"] == pytest.approx(gini_by_pairs(x), abs=1e-12)
    assert numbers["mean"] == pytest.approx(x.mean())
    assert numbers["quantiles"] == pytest.approx(np.quantile(x, QUANTILES).tolist())


def test_extreme_values_of_the_gini_coefficient():
    assert gini(torch.full((7,), 3)) == pytest.approx(0, abs=1e-12)
    assert gini(torch.tensor([0, 0, 5, 0])) == pytest.approx(3 / 4)
    assert gini(torch.zeros(4)) is None


def test_degrees_of_any_mask_are_plain_json():
    for mask in (MASK, MASK.float(), torch.zeros(2, 3)):
        numbers = degrees(mask, "value")
        assert json.loads(json.dumps(numbers)) == numbers
