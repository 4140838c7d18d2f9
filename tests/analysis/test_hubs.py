"""Hubs of masks drawn by hand, against counts on paper, scipy and numpy."""

import json

import numpy as np
import pytest
import torch
from scipy import stats

from prunebert.analysis import hubs, topology
from prunebert.analysis.hubs import Units
from prunebert.analysis.layout import Layout
from prunebert.masks.maskfile import MaskFile, pack

WIDTH, NEURONS, HEADS = 6, 10, 2
SHAPES = dict.fromkeys(("query", "key", "value", "attention-output"), (WIDTH, WIDTH))
SHAPES |= {"intermediate": (NEURONS, WIDTH), "output": (WIDTH, NEURONS)}
COUNTS = dict.fromkeys(("query", "key", "value", "attention-output"), HEADS)


def place(name):
    layer, _, kind = name.partition(".")
    return int(layer), kind


def draw(seed, layers=2, shapes=SHAPES):
    random = np.random.default_rng(seed)
    masks = {f"{i}.{kind}": random.random(shape) < 0.4 for i in range(layers) for kind, shape in shapes.items()}
    return masks | {"-1.pooler": random.random((WIDTH, WIDTH)) < 0.5}


def sets(masks, heads=COUNTS):
    return hubs.sets({n: hubs.sides(n, m, place) for n, m in masks.items()}, place, heads)


def test_a_dimension_of_the_stream_is_read_by_columns_and_written_by_rows():
    masks = draw(0)
    (stream,) = sets(masks)["stream"]
    for unit in range(WIDTH):
        expected = 0
        for layer in range(2):
            expected += sum(masks[f"{layer}.{k}"][:, unit].sum() for k in ("query", "key", "value", "intermediate"))
            expected += sum(masks[f"{layer}.{k}"][unit].sum() for k in ("attention-output", "output"))
        assert stream.degree[unit] == expected  # so the pooler is no part of it


def test_a_head_and_a_neuron_own_rows_and_columns():
    masks = draw(1)
    found = sets(masks)
    for layer in range(2):
        own = [masks[f"{layer}.{k}"] for k in ("query", "key", "value")] + [masks[f"{layer}.attention-output"].T]
        assert found["heads"][layer].layer == layer
        assert found["heads"][layer].degree.tolist() == [
            sum(m[r].sum() for m in own) for r in (slice(0, 3), slice(3, 6))
        ]
        neurons = masks[f"{layer}.intermediate"].sum(1) + masks[f"{layer}.output"].sum(0)
        assert found["neurons"][layer].degree.tolist() == neurons.tolist()
    assert found["pooler rows"][0].degree.tolist() == masks["-1.pooler"].sum(1).tolist()
    assert "pooler rows" in found and len(found["query columns"]) == 2


def test_a_gated_neuron_has_a_third_side_and_a_shared_key_head_counts_for_all_that_read_it():
    shapes = SHAPES | {"multiplier": (NEURONS, WIDTH)} | dict.fromkeys(("key", "value"), (3, WIDTH))
    masks = draw(2, 1, shapes)
    found = sets(masks, COUNTS | {"query": 2, "attention-output": 2, "key": 1, "value": 1})
    kept = {k: masks[f"0.{k}"] for k in shapes}
    neurons = kept["intermediate"].sum(1) + kept["multiplier"].sum(1) + kept["output"].sum(0)
    assert found["neurons"][0].degree.tolist() == neurons.tolist()
    shared = kept["key"].sum() + kept["value"].sum()
    own = [kept["query"][r].sum() + kept["attention-output"][:, r].sum() + shared for r in (slice(0, 3), slice(3, 6))]
    assert found["heads"][0].degree.tolist() == own


def test_chance_is_binomial_with_the_density_of_each_matrix():
    masks = {"0.intermediate": np.zeros((4, 6), bool), "0.output": np.zeros((6, 4), bool)}
    masks["0.intermediate"][0] = True  # 6 of 24: p = 1/4, a row of 6 has the mean 1.5 and the variance 9/8
    masks["0.output"][:3] = True  # 12 of 24: p = 1/2, a column of 6 has the mean 3 and the variance 3/2
    (neurons,) = sets(masks)["neurons"]
    assert neurons.degree.tolist() == [9, 3, 3, 3] and neurons.mean.tolist() == [4.5] * 4
    z = (np.array([9, 3, 3, 3]) - 4.5) / np.sqrt(9 / 8 + 3 / 2)
    assert neurons.z == pytest.approx(z)
    assert hubs.dispersion([neurons]) == pytest.approx(np.mean(z**2))
    assert hubs.top([neurons], 2) == [(0, 0, 9, round(z[0], 3)), (0, 1, 3, round(z[1], 3))]
    full = hubs.sides("0.output", np.ones((6, 4), bool), place).rows
    assert np.isnan(full.z).all() and hubs.dispersion([full]) is None and hubs.top([full], 2) == []


def test_random_masks_have_the_dispersion_1_and_hubs_a_larger_one():
    random = np.random.default_rng(0)
    even = hubs.sides("0.q", random.random((400, 300)) < 0.1, place)
    assert [hubs.dispersion([units]) for units in even] == pytest.approx([1, 1], abs=0.3)
    uneven = hubs.sides("0.q", random.random((400, 300)) < np.linspace(0, 0.2, 300), place)
    assert hubs.dispersion([uneven.columns]) > 5 > 2 > hubs.dispersion([uneven.rows])


def units(degree, layer=0):
    degree = np.array(degree)
    return Units(layer, degree, np.full(degree.size, 1.0), np.ones(degree.size))


def test_the_correlation_is_spearmans_in_each_layer_with_ties():
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 6, (3, 40)) for _ in range(2))
    b += a  # tied and related
    a[2] = 7  # all equal: this layer has no ranks
    expected = np.mean([stats.spearmanr(x, y).statistic for x, y in zip(a[:2], b[:2], strict=True)])
    found = hubs.correlation(*([units(x, i) for i, x in enumerate(each)] for each in (a, b)))
    assert found == pytest.approx(expected) and 0.3 < found < 0.95
    assert hubs.correlation([units(a[2])], [units(b[2])]) is None
    assert hubs.correlation([units(a[0], 1)], [units(a[0], 2)]) is None
    assert hubs.correlation([units([1, 2, 3, 4])], [units([1, 2, 3, 4])]) is None  # fewer than 5 units


def test_the_correlation_without_the_checkpoints_is_that_of_the_residuals():
    random = np.random.default_rng(0)
    c = random.standard_normal(500)
    a, b = (c + random.standard_normal(500) for _ in range(2))
    r = np.corrcoef([a, b, c])
    residuals = [x - np.polyval(np.polyfit(c, x, 1), c) for x in (a, b)]
    assert hubs.without(r[0, 1], r[0, 2], r[1, 2]) == pytest.approx(np.corrcoef(residuals)[0, 1])
    assert hubs.without(1.0, 1.0, 0.5) is None and hubs.without(0.5, None, 0.5) is None


def test_the_top_1_percent_in_common_is_hypergeometric_by_chance():
    random = np.random.default_rng(0)
    orders = [random.permutation(300) for _ in range(2)]
    tops = [hubs.membership([units(order)]) for order in orders]
    assert [int(top[0].sum()) for top in tops] == [3, 3]
    shared, chance = hubs.shared_top(*tops)
    expected = len({*np.argsort(orders[0])[-3:]} & {*np.argsort(orders[1])[-3:]})
    assert shared == expected / 3 and chance == pytest.approx(stats.hypergeom(300, 3, 3).mean() / 3)
    assert hubs.shared_top(tops[0], tops[0]) == (1, pytest.approx(0.01))
    tied = hubs.membership([units([5] * 4 + [1] * 296)])  # the third place is shared with a fourth unit
    assert tied[0].sum() == 4 and hubs.shared_top(tied, tied) == (1, pytest.approx(4 / 300))
    assert hubs.shared_top({}, {}) == (None, None)


def test_topology_names_the_hubs_and_compares_with_the_largest_weights():
    masks = {n: torch.from_numpy(m) for n, m in draw(3).items()}
    weights = {n: torch.from_numpy(np.random.default_rng(4).standard_normal(m.shape)) for n, m in masks.items()}
    tops = topology.largest(masks, weights)
    assert all(int(tops[n].sum()) == int(m.sum()) for n, m in masks.items())
    found = topology.hubs_of(masks, place, Layout(HEADS), tops)
    assert json.loads(json.dumps(found)) == found
    stream = found["sets"]["stream"]
    degrees = [sets({n: m.numpy() for n, m in each.items()})["stream"][0].degree for each in (masks, tops)]
    assert stream["magnitude"] == pytest.approx(stats.spearmanr(*degrees).statistic)
    assert stream["units"] == WIDTH and stream["mean"] == pytest.approx(degrees[0].mean())
    assert stream["top"][0]["degree"] == degrees[0].max() and "layer" not in stream["top"][0]
    assert {entry["layer"] for entry in found["sets"]["neurons"]["top"]} <= {0, 1}
    rows = found["matrices"]["0.query"]["rows"]
    assert rows["top"][0][:2] == [int(degrees_of(masks["0.query"]).argmax()), int(degrees_of(masks["0.query"]).max())]
    assert topology.hubs_of(tops, place, Layout(HEADS), tops)["sets"]["stream"]["magnitude"] == pytest.approx(1)
    assert topology.hubs_of(masks, place, Layout(HEADS), None)["sets"]["stream"]["magnitude"] is None


def degrees_of(mask):
    return mask.numpy().sum(1)


def test_a_packed_mask_has_the_same_sets():
    masks = draw(5)
    packed = pack(MaskFile({n: torch.from_numpy(m) for n, m in masks.items()}, "toy", "h"))
    expected, found = sets(masks), hubs.of_packed(packed, place, COUNTS)
    assert list(found) == list(expected)
    for name, layers in expected.items():
        assert [u.degree.tolist() for u in found[name]] == [u.degree.tolist() for u in layers]
