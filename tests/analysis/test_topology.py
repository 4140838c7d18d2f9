"""Topology of masks drawn by hand. Every number was counted on paper."""

import json

import numpy as np
import pytest
import torch

from prunebert.analysis import topology
from prunebert.analysis.layout import Layout
from prunebert.analysis.live_paths import dead_units
from prunebert.analysis.topology import degrees
from prunebert.masks.top_v import keep_top

#  heads of 2:      rows 0-1 hold 2 of 8, rows 2-3 hold 4; columns 0-1 hold 5 of 8, columns 2-3 hold 1
SQUARE = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 0, 0]]).bool()
#  two dead rows, one dead column
THIN = torch.tensor([[0, 0, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]).bool()
WIDE = torch.tensor([[1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]]).bool()


def test_matrix_counts_kept_weights_and_dead_rows_and_columns():
    assert topology.matrix(SQUARE) == {
        "shape": [4, 4],
        "kept": 6,
        "remaining": 0.375,
        "dead_rows": 1,
        "dead_columns": 1,
    }
    assert topology.matrix(THIN) == {
        "shape": [4, 4],
        "kept": 5,
        "remaining": 0.3125,
        "dead_rows": 2,
        "dead_columns": 1,
    }
    assert topology.matrix(WIDE) == {"shape": [2, 6], "kept": 3, "remaining": 0.25, "dead_rows": 0, "dead_columns": 3}


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.uint8])
def test_matrix_reads_masks_of_any_type(dtype):
    assert topology.matrix(THIN.to(dtype))["kept"] == 5
    assert topology.matrix(THIN.to(dtype))["dead_rows"] == 2


def test_an_empty_and_a_full_matrix():
    assert topology.matrix(torch.zeros(3, 2).bool()) == {
        "shape": [3, 2],
        "kept": 0,
        "remaining": 0.0,
        "dead_rows": 3,
        "dead_columns": 2,
    }
    full = topology.matrix(torch.ones(3, 2).bool())
    assert (full["kept"], full["remaining"], full["dead_rows"], full["dead_columns"]) == (6, 1.0, 0, 0)


@pytest.mark.parametrize("kind", ["query", "key", "value"])
def test_a_head_owns_rows_of_query_key_and_value(kind):
    assert topology.heads(SQUARE, kind, 2) == [0.25, 0.5]
    assert topology.heads(SQUARE, kind, 4) == [0.5, 0.0, 0.5, 0.5]
    assert topology.heads(WIDE, kind, 2) == pytest.approx([1 / 6, 2 / 6])


def test_a_head_owns_columns_of_the_attention_output():
    assert topology.heads(SQUARE, "attention-output", 2) == [0.625, 0.125]
    assert topology.heads(SQUARE, "attention-output", 4) == [0.75, 0.5, 0.0, 0.25]
    assert topology.heads(WIDE, "attention-output", 2) == [0.5, 0.0]


PLACES = {
    "q0": (0, "query"),
    "o0": (0, "attention-output"),
    "i1": (1, "intermediate"),
    "q1": (1, "query"),
    "p": (-1, "pooler"),
}
MASKS = {"q0": SQUARE, "o0": SQUARE, "i1": WIDE, "q1": THIN, "p": torch.ones(4, 4).bool()}


@pytest.fixture(scope="module")
def described():
    return topology.describe(MASKS, PLACES.__getitem__, Layout(2))


def test_describe_sums_over_layers_and_kinds(described):
    # layer 0: 6 + 6 of 32; layer 1: 3 of 12 and 5 of 16; layer -1: all 16
    assert described["layers"] == {
        "0": {"kept": 12, "size": 32, "remaining": 0.375},
        "1": {"kept": 8, "size": 28, "remaining": 8 / 28},
        "-1": {"kept": 16, "size": 16, "remaining": 1.0},
    }
    assert described["kinds"] == {
        "query": {"kept": 11, "size": 32, "remaining": 11 / 32},
        "attention-output": {"kept": 6, "size": 16, "remaining": 0.375},
        "intermediate": {"kept": 3, "size": 12, "remaining": 0.25},
        "pooler": {"kept": 16, "size": 16, "remaining": 1.0},
    }


def test_describe_lists_every_matrix_and_the_heads_of_those_that_have_them(described):
    assert list(described["matrices"]) == ["q0", "o0", "i1", "q1", "p"]
    assert described["matrices"]["q1"] == {
        "layer": 1,
        "kind": "query",
        "shape": [4, 4],
        "kept": 5,
        "remaining": 0.3125,
        "dead_rows": 2,
        "dead_columns": 1,
    }
    assert described["matrices"]["p"]["layer"] == -1
    # q1: row 1 holds 3, row 3 holds 2
    assert described["heads"] == {"q0": [0.25, 0.5], "o0": [0.625, 0.125], "q1": [0.375, 0.25]}


def test_describe_is_plain_json(described):
    assert json.loads(json.dumps(described)) == described


def test_describe_of_no_masks():
    assert topology.describe({}, PLACES.__getitem__, Layout(2)) == {
        "matrices": {},
        "layers": {},
        "kinds": {},
        "heads": {},
    }


ENCODER = {"q0": 16, "o0": 16, "i1": 12, "q1": 16}
SIZES = {
    "encoder": ENCODER,
    "encoder_pooler": ENCODER | {"p": 16},
    "encoder_pooler_embeddings": ENCODER | {"p": 16, "e": 40},
}


def test_the_removed_fraction_under_every_denominator():
    masks = {"q0": SQUARE, "i1": WIDE, "p": THIN}  # 10 of 16, 9 of 12 and 11 of 16 are removed; the others are dense
    assert topology.denominators(masks, SIZES, 200) == {
        "sparsity_encoder": 19 / 60,
        "sparsity_encoder_pooler": 30 / 76,
        "sparsity_encoder_pooler_embeddings": 30 / 116,
        "sparsity_model": 30 / 200,
    }


def test_a_mask_outside_a_set_counts_only_in_the_sets_that_have_it():
    fractions = topology.denominators({"e": torch.zeros(4, 10).bool()}, SIZES, 400)
    assert fractions == {
        "sparsity_encoder": 0.0,
        "sparsity_encoder_pooler": 0.0,
        "sparsity_encoder_pooler_embeddings": 40 / 116,
        "sparsity_model": 0.1,
    }


def test_a_dense_network_has_sparsity_0():
    assert set(topology.denominators({}, SIZES, 200).values()) == {0.0}


# everything at once, and magnitude


def facts(masks=None, pooled=True):
    masks = MASKS if masks is None else masks
    return topology.facts(masks, PLACES.__getitem__, Layout(2), SIZES, 200, pooled=pooled)


def test_facts_contain_the_numbers_of_the_single_functions():
    everything = facts(pooled=False)  # so the live masks are others: these numbers are of all kept weights
    for part in (topology.describe(MASKS, PLACES.__getitem__, Layout(2)), topology.denominators(MASKS, SIZES, 200)):
        assert part.items() <= everything.items()
    assert everything["degrees"]["q0"] == degrees(SQUARE, "query") and everything["degrees"]["p"]["in"]["mean"] == 4
    assert everything["dead"] == dead_units(MASKS, PLACES.__getitem__, Layout(2))
    assert json.loads(json.dumps(everything)) == everything


def test_the_effective_sparsity_is_that_of_the_weights_on_paths():
    # Layer 0: values and keys are dense, so only empty columns of o0 could matter, and they do not matter to q0.
    # Column 2 is empty, and no weight of q0 or o0 is lost. Layer 1 loses none either. Only an unread pooler is lost.
    assert facts()["sparsity_effective"] == 1 - 36 / 76
    numbers = facts(pooled=False)
    assert numbers["sparsity_effective"] == 1 - 20 / 76
    assert numbers["sparsity_encoder"] == numbers["effective"]["sparsity_encoder"] == 40 / 60
    assert numbers["effective"]["sparsity_encoder_pooler"] == 56 / 76
    assert numbers["effective"]["kinds"]["pooler"] == {"kept": 0, "size": 16, "remaining": 0.0}
    masks = {"q0": SQUARE, "o0": torch.tensor([[1, 1, 0, 0]] * 4).bool()}  # head 1 is dead; its rows of q0 keep 4
    numbers = facts(masks)
    assert numbers["effective"]["matrices"]["q0"] == {"kept": 2, "size": 16, "remaining": 0.125}
    assert numbers["sparsity_effective"] == 1 - 10 / 32 and numbers["sparsity_encoder"] == 18 / 60
    assert numbers["dead"]["heads"] == {"0": [1]}


def test_an_allocation_against_the_uniform_one():
    allocation = facts()["budget"]
    assert allocation["layers"] == {  # 12 of 36 kept, 32 of 76 weights, …
        "0": {"share": 12 / 36, "uniform": 32 / 76, "ratio": pytest.approx((12 / 36) / (32 / 76))},
        "1": {"share": 8 / 36, "uniform": 28 / 76, "ratio": pytest.approx((8 / 36) / (28 / 76))},
        "-1": {"share": 16 / 36, "uniform": 16 / 76, "ratio": pytest.approx((16 / 36) / (16 / 76))},
    }
    assert allocation["moved"]["layers"] == pytest.approx(16 / 36 - 16 / 76)  # the pooler's excess
    assert allocation["kinds"]["query"]["share"] == 11 / 36
    # q0, o0: 6 kept of 16; i1: 3 of 12; q1: 5 of 16; p: 16 of 16
    shares, sizes = [x / 36 for x in (6, 6, 3, 5, 16)], [x / 76 for x in (16, 16, 12, 16, 16)]
    expected = sum(abs(x - y) for x, y in zip(shares, sizes, strict=True)) / 2
    assert allocation["moved"]["matrices"] == pytest.approx(expected)
    uniform = facts({"q0": torch.eye(4).bool(), "o0": torch.eye(4).bool()})["budget"]
    assert uniform["moved"] == {"layers": 0, "kinds": 0, "matrices": 0}
    empty = facts({"q0": torch.zeros(4, 4).bool()})["budget"]
    assert empty["layers"]["0"] == {"share": None, "uniform": 1.0, "ratio": None}
    assert empty["moved"]["layers"] is None


@pytest.mark.parametrize("seed", range(3))
def test_overlap_with_magnitude_by_sorting(seed):
    random = np.random.default_rng(seed)
    shapes, scale = {"a": (6, 8), "b": (10, 5), "c": (3, 7)}, {"a": 1.0, "b": 3.0, "c": 0.2}
    W = {n: random.normal(size=s) * scale[n] for n, s in shapes.items()}
    M = {n: random.random(s) < 0.4 for n, s in shapes.items()}
    numbers = topology.against_magnitude(
        {n: torch.from_numpy(m) for n, m in M.items()}, {n: torch.from_numpy(w) for n, w in W.items()}
    )
    total, size = sum(m.sum() for m in M.values()), sum(m.size for m in M.values())
    cut = np.sort(np.concatenate([np.abs(w).ravel() for w in W.values()]))[-total]
    global_top = {n: np.abs(w) >= cut for n, w in W.items()}
    local_top = {n: np.abs(w) >= np.sort(np.abs(w).ravel())[-M[n].sum()] for n, w in W.items()}
    for key, mask in (("global", global_top), ("local", local_top)):
        assert sum(m.sum() for m in mask.values()) == total
        shared = sum((mask[n] & M[n]).sum() for n in M)
        assert numbers[key]["kept"] == [total, total] and numbers[key]["shared"] == shared
        assert numbers[key]["jaccard"] == pytest.approx(shared / (2 * total - shared))
        expected = total**2 / size if key == "global" else sum(m.sum() ** 2 / m.size for m in M.values())
        assert numbers[key]["beyond_chance"] == pytest.approx((shared - expected) / (total - expected))
    for n, m in M.items():
        assert numbers["local"]["matrices"][n]["shared"] == (local_top[n] & m).sum()


def test_a_magnitude_mask_overlaps_fully_with_magnitude():
    W = {n: torch.randn(12, 9, generator=torch.Generator().manual_seed(i)) * (i + 1) for i, n in enumerate("abc")}
    S = {n: w.abs() for n, w in W.items()}
    assert topology.against_magnitude(keep_top(S, 0.7, "global"), W)["global"]["beyond_chance"] == 1
    assert topology.against_magnitude(keep_top(S, 0.7, "local"), W)["local"]["beyond_chance"] == 1
    assert topology.against_magnitude(keep_top(S, 0.7, "local"), W)["global"]["beyond_chance"] < 1
