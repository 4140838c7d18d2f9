"""Live paths: cases by hand, a graph search over every unit, and the weights on which autograd finds a dependence."""

import json
import re
from itertools import product

import networkx as nx
import pytest
import torch
from torch.func import functional_call

from prunebert.analysis import live_paths
from prunebert.analysis.layout import Layout
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from tests.toys import save_model

KINDS = tuple(models.FAMILIES["bert"].kinds.values())
BERT = Layout(2)  # heads


def place(name):
    """Return the layer and kind of a name. In this file names are "LAYER KIND"."""
    layer, kind = name.split()
    return int(layer), kind


def one_layer(**changed):
    """Return the masks of a layer of width 4 with two heads and 3 FFN neurons, dense except for `changed`."""
    shapes = {"intermediate": (3, 4), "output": (4, 3)}
    full = {f"0 {kind}": torch.ones(shapes.get(kind, (4, 4))).bool() for kind in KINDS}
    return full | {f"0 {kind.replace('_', '-')}": m for kind, m in changed.items()}


def without(shape, rows=(), columns=()):
    mask = torch.ones(shape).bool()
    mask[list(rows)] = False
    mask[:, list(columns)] = False
    return mask


def off_path(masks, pooled=True):
    """Return the number of kept weights on no path by matrix, without matrices that have none."""
    live = live_paths.live_masks(masks, place, BERT, pooled)
    assert list(live) == list(masks) and all((live[n] <= masks[n].bool()).all() for n in masks)
    counts = {n.split()[1]: int(masks[n].sum() - live[n].sum()) for n in masks}
    return {kind: n for kind, n in counts.items() if n}


def test_all_weights_of_a_dense_network_are_on_paths():
    assert off_path(one_layer()) == {}


def test_an_empty_value_row_removes_its_output_column():
    assert off_path(one_layer(value=without((4, 4), rows=[1]))) == {"attention-output": 4}


def test_an_empty_output_column_removes_its_value_row():
    assert off_path(one_layer(attention_output=without((4, 4), columns=[2]))) == {"value": 4}


def test_a_head_without_live_values_removes_its_queries_and_keys():
    # head 0 has value units 0 (no input) and 1 (no output)
    masks = one_layer(value=without((4, 4), rows=[0]), attention_output=without((4, 4), columns=[1]))
    assert off_path(masks) == {"query": 8, "key": 8, "value": 4, "attention-output": 4}


def test_an_empty_key_row_removes_its_query_but_not_the_reverse():
    assert off_path(one_layer(key=without((4, 4), rows=[3]))) == {"query": 4}
    assert off_path(one_layer(query=without((4, 4), rows=[3]))) == {}  # its bias still ranks the keys


def test_an_empty_neuron():
    assert off_path(one_layer(intermediate=without((3, 4), rows=[0, 2]))) == {"output": 8}
    assert off_path(one_layer(output=without((4, 3), columns=[1]))) == {"intermediate": 4}


def test_a_matrix_without_a_mask_is_dense():
    value = {"0 value": without((4, 4), rows=[0, 1])}
    assert off_path(value) == {}
    assert off_path(value | {"0 query": torch.ones(4, 4).bool()}) == {"query": 8}
    assert off_path({"0 query": torch.ones(4, 4).bool()}) == {}
    assert off_path({"0 output": torch.ones(4, 3)}) == {}


def test_the_pooler_counts_if_it_is_read_and_embeddings_always():
    masks = {"-1 pooler": torch.ones(4, 4).bool(), "-1 embeddings": torch.ones(9, 4).bool()}
    assert off_path(masks) == {} and off_path(masks, pooled=False) == {"pooler": 16}


def test_dead_counts():
    masks = one_layer(
        value=without((4, 4), rows=[0]),
        attention_output=without((4, 4), columns=[1]),
        intermediate=without((3, 4), rows=[2]),
        key=without((4, 4), rows=[2, 3]),
    ) | {"-1 embeddings": without((5, 4), rows=[0, 3, 4]), "1 query": torch.zeros(4, 4).bool()}
    counts = live_paths.dead_units(masks, place, BERT)
    assert counts == {
        "rows": 1 + 1 + 2 + 3 + 4,
        "columns": 1 + 4,
        "tokens": 3,
        "heads": {"0": [0], "1": []},
        "value_units": {"0": 2, "1": 0},
        "neurons": {"0": 1, "1": 0},
    }
    assert json.loads(json.dumps(counts)) == counts
    assert live_paths.dead_units(one_layer(), place, BERT)["tokens"] is None


# a graph search


def graph(masks, layers, width, heads, neurons):
    """Return a graph with every unit of the network as a node and an edge where a value can change another.

    Gates are edges too. A query is read if its key varies, and scores are read if a value of their head varies. Both
    conditions are looked up in the graph as built until then.
    """
    G = nx.DiGraph()

    def connect(name, sources, targets):
        """Add the edges of an [out, in] mask. Each edge carries its weight's matrix and index."""
        for i, j in masks[name].nonzero().tolist():
            G.add_edge(sources[j], targets[i], weight=(name, i, j))

    for n in range(layers):
        stream, middle, next_stream = (
            [(x, layer, i) for i in range(width)] for x, layer in (("h", n), ("m", n), ("h", n + 1))
        )
        for sources, targets in ((stream, middle), (middle, next_stream)):
            G.add_edges_from(zip(sources, targets, strict=True))  # residual
            G.add_edges_from(product(sources, targets))  # LayerNorm
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
        connect(f"{n} output", inner, next_stream)
    G.add_edges_from((h, "end") for h in [("h", layers, i) for i in range(width)])
    return G


@pytest.mark.parametrize("density", [0.05, 0.15, 0.3, 0.6])
def test_live_weights_are_those_of_a_graph_search(density):
    layers, width, heads, neurons = 2, 6, 3, 7
    shapes = {"intermediate": (neurons, width), "output": (width, neurons)}
    random = torch.Generator().manual_seed(int(100 * density))
    cases_with_dead_weights = 0
    for _ in range(12):
        masks = {
            f"{n} {kind}": torch.rand(shapes.get(kind, (width, width)), generator=random) < density
            for n in range(layers)
            for kind in KINDS
        }
        G = graph(masks, layers, width, heads, neurons)
        from_input, to_end = nx.descendants(G, "input"), nx.ancestors(G, "end")
        expected = {name: torch.zeros_like(m) for name, m in masks.items()}
        for source, target, weight in G.edges(data="weight"):
            if weight and source in from_input and target in to_end:
                expected[weight[0]][weight[1:]] = True
        live = live_paths.live_masks(masks, place, Layout(heads))
        assert all(torch.equal(live[n], expected[n]) for n in masks)
        cases_with_dead_weights += any(not torch.equal(live[n], masks[n]) for n in masks)
    assert cases_with_dead_weights or density > 0.5


# a real network


@pytest.fixture(scope="module", params=["bert", "distilbert", "electra"])
def network(request, tmp_path_factory):
    """A random network in double precision. Biases of values and neurons are zero, so constant units output zero."""
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
    """Return one number that depends on everything a head may read, over all tokens but padding."""
    ids = torch.arange(1, net.model.config.vocab_size).reshape(2, -1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    replaced = {n.removeprefix(net.prefix): w for n, w in weights.items()}
    encoded = functional_call(net.encoder, replaced, (), inputs)
    read = [encoded.last_hidden_state] + ([encoded.pooler_output] if pooled else [])
    random = torch.Generator().manual_seed(1)
    return sum((x * torch.randn(x.shape, generator=random, dtype=x.dtype)).sum() for x in read)


@pytest.mark.parametrize("density", [0.01, 0.03, 0.2])
@pytest.mark.parametrize("pooled", [True, False])
def test_the_output_depends_on_exactly_the_weights_on_paths(network, density, pooled):
    parameters = network.prunable("encoder_pooler_embeddings")
    pooled = pooled and any("pooler" in n for n in parameters)
    random = torch.Generator().manual_seed(int(1000 * density))
    masks = {n: torch.rand(p.shape, generator=random) < density for n, p in parameters.items()}
    live = live_paths.live_masks(masks, network.place, Layout.of(network.model), pooled)
    weights = {n: (parameters[n] * m).requires_grad_() for n, m in masks.items()}
    value = outputs(network, weights, pooled)
    gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    dead_weights = 0
    for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
        used = masks[name] & ((torch.zeros_like(weight) if gradient is None else gradient).abs() > 1e-11)
        expected = live[name].clone()
        if network.place(name)[1] == "embeddings":
            used[0] = expected[0] = False  # no padding in this batch
        assert torch.equal(used, expected), name
        dead_weights += int(masks[name].sum() - live[name].sum())
    assert dead_weights > 100 or density == 0.2
    live_value = outputs(network, {n: parameters[n] * m for n, m in live.items()}, pooled)
    assert live_value.item() == pytest.approx(value.item(), rel=1e-12)


@pytest.mark.parametrize("kind", ["linear", "label_words", "layer_mix"])
def test_a_head_knows_whether_it_reads_the_pooler(net, task, kind):
    key = net.add_head(task.form(), kind)
    pooler = net.parameters_of()["bert.pooler.dense.weight"]
    (gradient,) = torch.autograd.grad(net(next(task.batches(4, 0)), key).logits.sum(), pooler, allow_unused=True)
    assert net.heads[key].pooled == (gradient is not None) == (kind == "linear")


def test_a_family_with_a_hidden_layer_of_its_own_reads_no_pooler(tmp_path, task):
    other = SubNetwork(models.load(str(save_model(tmp_path / "electra", "electra"))))
    assert not other.heads[other.add_head(task.form(), "linear")].pooled
