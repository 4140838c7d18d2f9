"""Live paths: hand-made cases, a graph search over every unit, and what autograd says a real network depends on."""

import json
import re
from itertools import product

import networkx as nx
import pytest
import torch
from torch.func import functional_call

from prunebert.analysis import live_paths
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from tests.toys import save_model

KINDS = tuple(models.FAMILIES["bert"].kinds.values())


def place(name):
    """Names here are "LAYER KIND"."""
    layer, kind = name.split()
    return int(layer), kind


def one_layer(**changed):
    """A layer of width 4, two heads, 3 FFN neurons, dense but for what is changed."""
    shapes = {"intermediate": (3, 4), "output": (4, 3)}
    full = {f"0 {kind}": torch.ones(shapes.get(kind, (4, 4))).bool() for kind in KINDS}
    return full | {f"0 {kind.replace('_', '-')}": m for kind, m in changed.items()}


def without(shape, rows=(), columns=()):
    mask = torch.ones(shape).bool()
    mask[list(rows)] = False
    mask[:, list(columns)] = False
    return mask


def lost(masks, pooled=True):
    """Matrix -> kept weights that lie on no path, those matrices only that have some."""
    live = live_paths.live_masks(masks, place, 2, pooled)
    assert list(live) == list(masks) and all((live[n] <= masks[n].bool()).all() for n in masks)
    gone = {n.split()[1]: int(masks[n].sum() - live[n].sum()) for n in masks}
    return {kind: n for kind, n in gone.items() if n}


def test_a_dense_network_is_all_on_paths():
    assert lost(one_layer()) == {}


def test_an_empty_value_row_takes_its_output_column_along():
    assert lost(one_layer(value=without((4, 4), rows=[1]))) == {"attention-output": 4}


def test_an_empty_output_column_takes_its_value_row_along():
    assert lost(one_layer(attention_output=without((4, 4), columns=[2]))) == {"value": 4}


def test_a_head_without_a_value_takes_its_queries_and_keys_along():
    # head 0 has value unit 0 (nothing comes in) and value unit 1 (nothing goes out)
    masks = one_layer(value=without((4, 4), rows=[0]), attention_output=without((4, 4), columns=[1]))
    assert lost(masks) == {"query": 8, "key": 8, "value": 4, "attention-output": 4}


def test_an_empty_key_row_takes_its_query_along_but_not_the_other_way_round():
    assert lost(one_layer(key=without((4, 4), rows=[3]))) == {"query": 4}
    assert lost(one_layer(query=without((4, 4), rows=[3]))) == {}  # its bias still ranks the keys


def test_an_empty_neuron():
    assert lost(one_layer(intermediate=without((3, 4), rows=[0, 2]))) == {"output": 8}
    assert lost(one_layer(output=without((4, 3), columns=[1]))) == {"intermediate": 4}


def test_a_matrix_without_a_mask_is_dense():
    value = {"0 value": without((4, 4), rows=[0, 1])}
    assert lost(value) == {}
    assert lost(value | {"0 query": torch.ones(4, 4).bool()}) == {"query": 8}
    assert lost({"0 query": torch.ones(4, 4).bool()}) == {}
    assert lost({"0 output": torch.ones(4, 3)}) == {}


def test_the_pooler_counts_where_it_is_read_and_embeddings_always():
    masks = {"-1 pooler": torch.ones(4, 4).bool(), "-1 embeddings": torch.ones(9, 4).bool()}
    assert lost(masks) == {} and lost(masks, pooled=False) == {"pooler": 16}


def test_dead_counts():
    masks = one_layer(
        value=without((4, 4), rows=[0]),
        attention_output=without((4, 4), columns=[1]),
        intermediate=without((3, 4), rows=[2]),
        key=without((4, 4), rows=[2, 3]),
    ) | {"-1 embeddings": without((5, 4), rows=[0, 3, 4]), "1 query": torch.zeros(4, 4).bool()}
    found = live_paths.dead_units(masks, place, 2)
    assert found == {
        "rows": 1 + 1 + 2 + 3 + 4,
        "columns": 1 + 4,
        "tokens": 3,
        "heads": {"0": [0], "1": []},
        "value_units": {"0": 2, "1": 0},
        "neurons": {"0": 1, "1": 0},
    }
    assert json.loads(json.dumps(found)) == found
    assert live_paths.dead_units(one_layer(), place, 2)["tokens"] is None


# a graph search


def graph(masks, layers, width, heads, neurons):
    """Every unit of the network as a node; an edge where a value can change another. Gates are edges too: a query is
    read where its key varies, scores are read where a value of their head varies; both ask the graph so far.
    """
    G = nx.DiGraph()

    def connect(name, sources, targets):
        """Edges of an [out, in] mask; each carries the weight it stands for."""
        for i, j in masks[name].nonzero().tolist():
            G.add_edge(sources[j], targets[i], weight=(name, i, j))

    for n in range(layers):
        stream, middle, after = (
            [(x, layer, i) for i in range(width)] for x, layer in (("h", n), ("m", n), ("h", n + 1))
        )
        for before, later in ((stream, middle), (middle, after)):
            G.add_edges_from(zip(before, later, strict=True))  # residual
            G.add_edges_from(product(before, later))  # LayerNorm
        if n == 0:
            G.add_edges_from(("input", h) for h in stream)
        q, k, v = ([(x, n, i) for i in range(width)] for x in "qkv")
        for units, kind in ((q, "query"), (k, "key"), (v, "value")):
            G.add_nodes_from(units)
            connect(f"{n} {kind}", stream, units)
        for i in range(width):
            score, mixed = ("score", n, i * heads // width), ("mixed", n, i)
            G.add_edge(v[i], mixed)
            if nx.has_path(G, "input", v[i]):
                G.add_edge(score, mixed)
            G.add_edge(k[i], score)
            if nx.has_path(G, "input", k[i]):
                G.add_edge(q[i], score)
        connect(f"{n} attention-output", [("mixed", n, i) for i in range(width)], middle)
        inner = [("n", n, i) for i in range(neurons)]
        connect(f"{n} intermediate", middle, inner)
        connect(f"{n} output", inner, after)
    G.add_edges_from((h, "end") for h in [("h", layers, i) for i in range(width)])
    return G


@pytest.mark.parametrize("density", [0.05, 0.15, 0.3, 0.6])
def test_the_same_weights_as_a_graph_search_finds(density):
    layers, width, heads, neurons = 2, 6, 3, 7
    shapes = {"intermediate": (neurons, width), "output": (width, neurons)}
    random = torch.Generator().manual_seed(int(100 * density))
    partly = 0
    for _ in range(12):
        masks = {
            f"{n} {kind}": torch.rand(shapes.get(kind, (width, width)), generator=random) < density
            for n in range(layers)
            for kind in KINDS
        }
        G = graph(masks, layers, width, heads, neurons)
        reached, reaching = nx.descendants(G, "input"), nx.ancestors(G, "end")
        expected = {name: torch.zeros_like(m) for name, m in masks.items()}
        for source, target, weight in G.edges(data="weight"):
            if weight and source in reached and target in reaching:
                expected[weight[0]][weight[1:]] = True
        found = live_paths.live_masks(masks, place, heads)
        assert all(torch.equal(found[n], expected[n]) for n in masks)
        partly += any(not torch.equal(found[n], masks[n]) for n in masks)
    assert partly or density > 0.5


# a real network


@pytest.fixture(scope="module", params=["bert", "distilbert", "electra"])
def network(request, tmp_path_factory):
    """A random network in double precision. Value and neuron biases are zero, so that a constant unit gives nothing."""
    folder = save_model(tmp_path_factory.mktemp("paths") / request.param, request.param, masked_lm=False)
    net = SubNetwork(models.load(str(folder))).double().eval()
    torch.manual_seed(0)
    for name, p in net.encoder.named_parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.4)
        elif name.endswith("bias"):
            torch.nn.init.normal_(p, std=0.5)
        if re.search(r"(value|v_lin|intermediate.dense|lin1)\.bias", name):
            torch.nn.init.zeros_(p)
    return net.requires_grad_(False)


def outputs(net, weights, pooled):
    """One number that depends on all of what a head may read, over every token there is but padding."""
    ids = torch.arange(1, net.model.config.vocab_size).reshape(2, -1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    given = {n.removeprefix(net.prefix): w for n, w in weights.items()}
    encoded = functional_call(net.encoder, given, (), inputs)
    read = [encoded.last_hidden_state] + ([encoded.pooler_output] if pooled else [])
    random = torch.Generator().manual_seed(1)
    return sum((x * torch.randn(x.shape, generator=random, dtype=x.dtype)).sum() for x in read)


@pytest.mark.parametrize("density", [0.01, 0.03, 0.2])
@pytest.mark.parametrize("pooled", [True, False])
def test_the_output_depends_on_exactly_the_weights_on_paths(network, density, pooled):
    own = network.prunable("encoder_pooler_embeddings")
    pooled = pooled and any("pooler" in n for n in own)
    random = torch.Generator().manual_seed(int(1000 * density))
    masks = {n: torch.rand(p.shape, generator=random) < density for n, p in own.items()}
    live = live_paths.live_masks(masks, network.place, network.model.heads, pooled)
    weights = {n: (own[n] * m).requires_grad_() for n, m in masks.items()}
    value = outputs(network, weights, pooled)
    slopes = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    counted = 0
    for (name, weight), slope in zip(weights.items(), slopes, strict=True):
        felt = masks[name] & ((torch.zeros_like(weight) if slope is None else slope).abs() > 1e-11)
        expected = live[name].clone()
        if network.place(name)[1] == "embeddings":
            felt[0] = expected[0] = False  # no padding in this batch
        assert torch.equal(felt, expected), name
        counted += int(masks[name].sum() - live[name].sum())
    assert counted > 100 or density == 0.2
    same = outputs(network, {n: own[n] * m for n, m in live.items()}, pooled)
    assert same.item() == pytest.approx(value.item(), rel=1e-12)


@pytest.mark.parametrize("kind", ["linear", "label_words", "layer_mix"])
def test_a_head_says_whether_it_reads_the_pooler(net, task, kind):
    key = net.add_head(task.form(), kind)
    pooler = net.parameters_of()["bert.pooler.dense.weight"]
    (slope,) = torch.autograd.grad(net(next(task.batches(4, 0)), key).logits.sum(), pooler, allow_unused=True)
    assert net.heads[key].pooled == (slope is not None) == (kind == "linear")


def test_a_family_with_a_hidden_layer_of_its_own_reads_no_pooler(tmp_path, task):
    other = SubNetwork(models.load(str(save_model(tmp_path / "electra", "electra"))))
    assert not other.heads[other.add_head(task.form(), "linear")].pooled
