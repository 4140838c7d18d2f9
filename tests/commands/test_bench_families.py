"""`prunebert bench` on every family: removing dead heads and neurons of a stock model changes no output."""

import copy
import json

import pytest
import torch
from transformers.activations import ACT2FN

import prunebert
from prunebert.commands import bench_cells, bench_models
from prunebert.commands.bench_models import Removed
from prunebert.network import fused
from prunebert.network.families import FAMILIES
from tests import stock
from tests.network import small

WIDE = {"hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2}  # heads of four units, six neurons
BIASED = {"attention_bias": True, "mlp_bias": True}
KEYS = ("hidden_act", "hidden_activation")


def matrices_of(model, family):
    """Return the matrices of a stock model by layer and kind, as views."""
    weights = fused.parted(dict(model.named_parameters()), family, "model")
    return {family.place(n): w for n, w in weights.items() if family.place(n)}


def empty(model, family, groups):
    """Make dead parts of every sort. In layer 1 no value and no activated row is left."""
    W = matrices_of(model, family)
    W[0, "value"][:4] = 0  # the first key head outputs its bias
    W[0, "attention-output"][:, 4:8] = 0  # query head 1 is not read
    if groups == 4:
        W[0, "value"][8:10] = 0  # query head 2: no unit both varies and is read
        W[0, "attention-output"][:, 10:12] = 0
    W[0, "intermediate"][[0, 3]] = 0
    W[0, "output"][:, 2] = 0
    if (0, "multiplier") in W:
        W[0, "multiplier"][[1, 3]] = 0
    if (1, "value") in W:
        W[1, "value"][:] = 0
        W[1, "intermediate"][:] = 0


@pytest.mark.parametrize(
    ("kind", "more", "heads", "neurons"),  # that are removed, by layer
    [
        ("xlm-roberta", {}, (3, 3), (3, 5)),
        ("deberta-v2", {}, (3, 3), (3, 5)),
        ("modernbert", {}, (3, 3), (4, 5)),
        ("modernbert", BIASED, (3, 3), (2, 0)),  # act(b) · x and act(x) · b vary
        ("eurobert", {"num_key_value_heads": 2}, (2, 2), (4, 5)),  # two query heads to a key head
        ("eurobert", {"num_key_value_heads": 4}, (3, 3), (4, 5)),
        ("eurobert", {"num_key_value_heads": 2, **BIASED}, (2, 2), (2, 0)),
        ("nomic_bert", {}, (3, 3), (4, 5)),
        ("albert", {}, (3,), (3,)),  # one layer, which is read twice
    ],
)
def test_removing_dead_heads_and_neurons_changes_no_output(kind, more, heads, neurons):
    model, family = stock.encoder(kind, **WIDE, **more), FAMILIES[kind]
    empty(model, family, more.get("num_key_value_heads", 4))
    inputs = {"input_ids": torch.arange(3, 21).reshape(2, -1)}
    inputs["attention_mask"] = (torch.arange(9) < torch.tensor([[9], [4]])).long()
    small = copy.deepcopy(model)
    activation = ACT2FN[next(getattr(model.config, key) for key in KEYS if hasattr(model.config, key))]
    expected = Removed(sum(heads), 4 * len(heads), sum(neurons), 6 * len(neurons))
    assert bench_models.remove_dead(small, family, 4, activation) == expected
    tokens = inputs["attention_mask"].bool()  # padding may attend to nothing; no head reads it
    before, after = (m(**inputs).last_hidden_state[tokens] for m in (model, small))
    assert torch.allclose(before, after, atol=1e-5) and bench_models.size(small) < bench_models.size(model)
    W, units, inner = matrices_of(small, family), 16 - 4 * heads[0], 6 - neurons[0]
    assert W[0, "query"].shape == (units, 16) and W[0, "attention-output"].shape == (16, units)
    assert W[0, "intermediate"].shape == (inner, 16) and W[0, "output"].shape == (16, inner)


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("mpnet", {}, "position biases"),
        ("deberta-v2", {"share_att_key": False}, "project positions"),
    ],
)
def test_heads_stay_where_a_stock_class_needs_all_of_them(kind, more, reason):
    model, family = stock.encoder(kind, **WIDE, **more), FAMILIES[kind]
    empty(model, family, 4)
    ids = torch.arange(3, 21).reshape(2, -1)
    before = model(input_ids=ids).last_hidden_state
    removed = bench_models.remove_dead(model, family, 4, ACT2FN["gelu"])
    assert (removed.heads, removed.neurons) == (0, 3 + 5) and reason in removed.heads_stay
    assert torch.allclose(model(input_ids=ids).last_hidden_state, before, atol=1e-9)


def test_a_csr_layer_without_a_bias_is_the_dense_layer():
    layer = torch.nn.Linear(5, 4, bias=False).requires_grad_(False)
    layer.weight[1:3] = 0
    sparse, x = bench_models.CsrLinear(layer), torch.randn(2, 3, 5)
    assert torch.allclose(sparse(x), layer(x), atol=1e-6) and sparse.bytes == 4 * (5 + 10 + 10)


def test_the_timed_variants_of_fused_matrices_are_the_exported_model(finished, tmp_path_factory):
    folder = small.save(tmp_path_factory.mktemp("bench") / "modernbert", "modernbert", num_hidden_layers=2)
    directory = finished("method=magnitude", "sparsity=0.9", f"model.name={folder}")
    models, _, summary = bench_cells.variants(prunebert.load(directory))
    ids = torch.arange(5, 29).reshape(2, -1)
    with torch.no_grad():
        outputs = {name: model.eval()(input_ids=ids)[0] for name, model in models.items()}
    for name in ("csr", "removed", "removed+csr"):
        assert torch.allclose(outputs[name], outputs["zeros"], atol=1e-5), name
    topology = json.loads((directory / "topology.json").read_text())
    heads, neurons = (topology["dead"][part].values() for part in ("heads", "neurons"))
    dead = f"{sum(map(len, heads))} of 8 heads and {sum(neurons)} of 96 neurons are dead"
    assert summary == f"{dead} and removed, 8 matrices are CSR"  # Wqkv, Wo, Wi and Wo of two layers
