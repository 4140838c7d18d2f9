"""Live paths of every family: cases by hand, and the weights of small stock encoders on which autograd depends."""

from types import SimpleNamespace

import pytest
import torch
from torch.func import functional_call

from prunebert.analysis import live_paths, topology
from prunebert.analysis.layout import KINDS, Layout
from prunebert.network import fused
from prunebert.network.families import FAMILIES
from tests import stock


def place(name):
    """Return the layer and kind of a name. In this file names are "LAYER KIND" or "embeddings"."""
    layer, _, kind = name.rpartition(" ")
    return (int(layer), kind) if layer else (-1, kind)


def layout_of(kind, **more):
    encoder, family = fused.split(stock.encoder(kind, **more), FAMILIES[kind]), FAMILIES[kind]
    heads = encoder.config.num_attention_heads
    return Layout.of(SimpleNamespace(encoder=encoder, family=family, config=encoder.config, heads=heads))


def place_in(family):
    """Return the function that gives the layer and kind of an encoder's matrix."""
    return lambda name: FAMILIES[family].place(name) or (-1, "embeddings")


BIASED = {"attention_bias": True, "mlp_bias": True}
CASES = {
    "modernbert": ("modernbert", {}),
    "modernbert with biases": ("modernbert", BIASED),
    "modernbert with biases of the attention": ("modernbert", {"attention_bias": True}),
    "eurobert": ("eurobert", {"num_key_value_heads": 2}),
    "eurobert with grouped queries": ("eurobert", {"num_key_value_heads": 1}),
    "eurobert with two groups": ("eurobert", {"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2}),
    "eurobert with biases": ("eurobert", BIASED | {"num_key_value_heads": 1}),
    "nomic_bert": ("nomic_bert", {}),
    "albert": ("albert", {"num_hidden_layers": 3}),
    "mpnet": ("mpnet", {}),
    "camembert": ("camembert", {}),
    "deberta": ("deberta-v2", {}),
    "deberta without p2c": ("deberta-v2", {"pos_att_type": ["c2p"]}),
    "deberta with projections of positions": ("deberta-v2", {"share_att_key": False}),
    "deberta without c2p": ("deberta-v2", {"share_att_key": False, "pos_att_type": ["p2c"]}),
    "deberta with absolute positions": ("deberta-v2", {"relative_attention": False, "pos_att_type": None}),
}


def random_masks(weights, place, gated, density, generator):
    """Return random masks, in which about a third of the rows and of the columns is empty.

    Word embeddings have empty columns only, so that every token can have a non-zero value in the others.
    """
    masks = {}
    for name, w in weights.items():
        rows, columns = (torch.rand(n, generator=generator) < 0.6 for n in w.shape)
        masks[name] = (torch.rand(w.shape, generator=generator) < density) & rows[:, None] & columns
        if place(name)[1] == "embeddings":
            masks[name] = columns.expand(w.shape).clone()
    if gated:  # with biases, a neuron without any input gives a constant, which has a gradient too
        by_place = {place(n): M for n, M in masks.items()}
        for (layer, kind), M in by_place.items():
            if kind == "intermediate":
                M[~M.any(1) & ~by_place[layer, "multiplier"].any(1), 0] = True
    return masks


@pytest.mark.parametrize("case", CASES)
def test_the_output_depends_on_exactly_the_weights_on_paths(case):
    kind, more = CASES[case]
    family, place, layout = FAMILIES[kind], place_in(kind), layout_of(kind, **more)
    encoder = fused.split(stock.encoder(kind, **more), family).requires_grad_(False)
    for name, bias in encoder.named_parameters():  # constants output 0
        constants = ("value",) if layout.gated else ("value", "intermediate")
        if name.endswith(".bias") and place(name.replace(".bias", ".weight"))[1] in constants:
            bias[:] = 0
    prunable = {family.embeddings, *(n for n, _ in encoder.named_parameters() if family.place(n))}
    weights = {n: p.clone() for n, p in encoder.named_parameters() if n in prunable}
    assert len(weights) == 1 + len(family.kinds) * (1 if family.shared_layer else encoder.config.num_hidden_layers)
    stock_model = stock.encoder(kind, **more)
    biases = {n: p for n, p in encoder.named_parameters() if n.endswith(".bias")}
    ids = torch.arange(3, 21).reshape(2, -1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    generator = torch.Generator().manual_seed(0)
    dead_kinds = set()
    for density in (0.1, 0.15, 0.2, 0.3, 0.5):
        masks = random_masks(weights, place, layout.gated, density, generator)
        live = live_paths.live_masks(masks, place, layout)
        masked = {n: (w * masks[n]).requires_grad_() for n, w in weights.items()}
        output = functional_call(stock_model, fused.joined(masked | biases, family), (), inputs).last_hidden_state
        direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype)
        gradients = torch.autograd.grad((output * direction).sum(), list(masked.values()))
        for (name, mask), gradient in zip(masks.items(), gradients, strict=True):
            used = mask & (gradient.abs() > 1e-11)
            expected = live[name].clone()
            if name == family.embeddings:
                used[:3] = expected[:3] = False  # tokens that these texts lack
            assert torch.equal(used, expected), (name, density)
            if live[name].sum() < mask.sum():
                dead_kinds.add(place(name)[1])
    never = {"output"} if layout.gated and "intermediate" in layout.biased else set()  # see `random_masks`
    assert dead_kinds >= set(family.kinds.values()) - {"multiplier"} - never


# by hand: width 4, heads of two units, four neurons


GATED = Layout(2, biased=frozenset(), gated=True)
GATED_BIASED = Layout(2, gated=True)
FACTOR_BIASED = Layout(2, gated=True, biased=KINDS - {"multiplier"})
ROTARY = Layout(2, rotary=True, biased=frozenset())
GROUPED = Layout(2, key_heads=1, rotary=True, biased=frozenset())


def one_layer(layout, **empty):
    """Return the masks of a dense layer but for empty rows (`key=[2]`) or columns (`output=…`) of a kind."""
    gate = ["multiplier"] if layout.gated else []
    masks = {}
    for kind in ("query", "key", "value", "attention-output", "intermediate", *gate, "output"):
        M = masks[f"0 {kind}"] = torch.ones(2 * layout.heads_of(kind) if kind in ("key", "value") else 4, 4).bool()
        units = empty.get(kind.replace("-", "_"), [])
        (M.T if kind in ("attention-output", "output") else M)[units] = False
    return masks


def off_path(layout, **empty):
    """Return the number of kept weights on no path by matrix, without matrices that have none."""
    masks = one_layer(layout, **empty)
    live = live_paths.live_masks(masks, place, layout)
    counts = {n.split()[1]: int(masks[n].sum() - live[n].sum()) for n in masks}
    return {kind: n for kind, n in counts.items() if n}


@pytest.mark.parametrize(
    ("layout", "empty", "dead"),
    [
        # act(0) · x = 0 and act(x) · 0 = 0: the other row and the column of the neuron are dead
        (GATED, {"intermediate": [1]}, {"multiplier": 4, "output": 4}),
        (GATED, {"multiplier": [1, 2]}, {"intermediate": 8, "output": 8}),
        (GATED, {"output": [3]}, {"intermediate": 4, "multiplier": 4}),
        # act(b) · x and act(x) · b vary; act(b) · b does not
        (GATED_BIASED, {"intermediate": [1]}, {}),
        (GATED_BIASED, {"multiplier": [1]}, {}),
        (GATED_BIASED, {"intermediate": [1], "multiplier": [1, 2]}, {"output": 4}),
        (FACTOR_BIASED, {"intermediate": [1], "multiplier": [2]}, {"intermediate": 4, "output": 4}),
        # without a rotation and without biases, zero queries read no key, and zero keys no query
        (Layout(2, biased=frozenset()), {"query": [0]}, {"key": 4}),
        (Layout(2, biased=frozenset()), {"key": [0]}, {"query": 4}),
        (Layout(2), {"query": [0]}, {}),  # the bias ranks the keys
        (Layout(2), {"key": [0]}, {"query": 4}),  # the softmax cancels a constant key
        (Layout(2, positions=True), {"key": [0]}, {}),  # but not one that meets positions
        # units 0 and 1 are a pair
        (ROTARY, {"key": [0]}, {}),
        (ROTARY, {"key": [0, 1]}, {"query": 8}),
        (ROTARY, {"key": [0, 2]}, {}),
        (ROTARY, {"query": [2, 3]}, {"key": 8}),
        (Layout(2, rotary=True), {"key": [0, 1]}, {}),  # a rotated constant differs between tokens
        (Layout(2, rotary=True, biased=KINDS - {"key"}), {"key": [0, 1], "query": [2, 3]}, {"query": 8}),
        # one key head serves both query heads
        (GROUPED, {"query": [0, 1]}, {}),  # the other query head reads the keys
        (GROUPED, {"query": [0, 1, 2, 3]}, {"key": 8}),
        (GROUPED, {"key": [0, 1]}, {"query": 16}),
        (GROUPED, {"value": [1]}, {"attention-output": 8}),  # columns 1 and 3
        (GROUPED, {"attention_output": [1]}, {}),  # value unit 1 is read by the other head
        (GROUPED, {"attention_output": [1, 3]}, {"value": 4}),
        (GROUPED, {"attention_output": [0, 1]}, {"query": 8}),  # the first query head is dead, and no key
        (GROUPED, {"attention_output": [0, 1], "query": [2, 3]}, {"query": 8, "key": 8}),
    ],
)
def test_dead_weights_by_hand(layout, empty, dead):
    assert off_path(layout, **empty) == dead


def test_dead_units_of_grouped_queries_and_gated_neurons_by_hand():
    layout = Layout(2, key_heads=1, biased=frozenset(), gated=True)
    masks = one_layer(layout, attention_output=[0, 1, 3], intermediate=[0], multiplier=[0, 1], output=[3])
    counts = live_paths.dead_units(masks, place, layout)
    assert counts["heads"] == {"0": [0]} and counts["value_units"] == {"0": 1} and counts["neurons"] == {"0": 3}


def test_a_norm_without_a_mean_leaves_a_unit_0_that_nothing_writes():
    layout = Layout(2, biased=frozenset(), gated=True, centred=False)
    masks = one_layer(layout) | {"embeddings": torch.ones(5, 4).bool()}
    masks["embeddings"][:, [1, 2]] = False
    masks["0 attention-output"][1] = False  # so the attention writes unit 2, and only the neurons write unit 1
    live = live_paths.live_masks(masks, place, layout)
    removed = {n: (masks[n] & ~live[n]).any(0).nonzero()[:, 0].tolist() for n in masks}
    reads_1_and_2, reads_1 = ("0 query", "0 key", "0 value"), ("0 intermediate", "0 multiplier")
    assert removed == {n: [1, 2] if n in reads_1_and_2 else [1] if n in reads_1 else [] for n in masks}
    centred = live_paths.live_masks(masks, place, GATED)  # a mean of the other units is subtracted from it
    assert all(torch.equal(centred[n], masks[n]) for n in masks)


def test_the_heads_of_keys_and_values_are_the_key_heads():
    masks = one_layer(GROUPED, key=[0])
    heads = topology.describe(masks, place, GROUPED)["heads"]
    assert heads == {"0 query": [1, 1], "0 key": [0.5], "0 value": [1], "0 attention-output": [1, 1]}


ATTENTION = frozenset(("query", "key", "value", "attention-output"))
UNGATED = KINDS - {"multiplier"}


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("modernbert", {}, Layout(2, rotary=True, biased=frozenset(), gated=True)),
        ("modernbert", {"attention_bias": True}, Layout(2, rotary=True, biased=ATTENTION, gated=True)),
        ("eurobert", {"num_key_value_heads": 1}, Layout(2, 1, True, frozenset(), gated=True, centred=False)),
        ("nomic_bert", {}, Layout(2, rotary=True, biased=frozenset(), gated=True)),
        ("albert", {}, Layout(2, biased=UNGATED)),
        ("mpnet", {}, Layout(2, biased=UNGATED)),
        ("deberta-v2", {}, Layout(2, biased=UNGATED, positions=True)),
        ("deberta-v2", {"share_att_key": False, "pos_att_type": ["p2c"]}, Layout(2, biased=UNGATED)),
    ],
)
def test_layouts_of_the_families(kind, more, expected):
    assert layout_of(kind, **more) == expected
