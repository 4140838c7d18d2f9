"""Test AbP's phases, its head on a stock model's hidden states, and the files of a run."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from torch.nn import functional as F

from prunebert.methods.abp import abp
from prunebert.network import models
from prunebert.network.interface import Form
from prunebert.network.subnetwork import SubNetwork
from tests.methods.test_abp import ABP, WIDE
from tests.toys import save_model


def phases(net, task, **settings):
    return [phase.name for phase in abp(net, task, **ABP | settings)]


def test_phases(net, task):
    assert phases(net, task) == phases(net, task, control="paper") == phases(net, task, recovery=False) == ["prune"]
    assert phases(net, task, ablation="shuffle") == ["prune", "head"]
    assert phases(net, task, ablation="reinit", control="paper") == ["prune", "head"]
    by_control = {c: next(abp(net, task, **ABP | {"control": c})) for c in ("schedule", "paper")}
    assert (by_control["schedule"].settled, by_control["paper"].settled) == (0.8, 1.0)
    assert not by_control["schedule"].stop(1.0)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
@pytest.mark.parametrize("span", [False, True])
def test_the_head_on_a_stock_models_hidden_states(tmp_path, task, family, span):
    """Σ_l softmax(mix)_l h_l over the layers, not the embeddings; then a ReLU and a linear layer; under masks."""
    folder = save_model(tmp_path / family, family)
    net = SubNetwork(models.load(str(folder))).eval()
    form = Form("stub", span, False, False, False, outputs=3, max_length=16)
    stub = SimpleNamespace(name="stub", form=lambda: form)
    key = net.add_head(stub.form(), "layer_mix")
    head = dict(net.heads[key].named_parameters())
    assert {n: tuple(p.shape) for n, p in head.items()} == {
        "mix": (2,),
        "hidden.weight": (32, 32),
        "hidden.bias": (32,),
        "out.weight": (2 if span else 3, 32),
        "out.bias": (2 if span else 3,),
    }
    assert not head["mix"].any()  # initially equal weights
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in head.values():
            p.copy_(torch.randn(p.shape, generator=generator))
    batch = next(task.eval_batches("validation", 4))
    inputs = {k: v for k, v in batch.inputs.items() if family == "bert" or k != "token_type_ids"}
    masks = {n: torch.rand(w.shape, generator=generator) < 0.5 for n, w in net.prunable(WIDE).items()}
    stock = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        for n, p in stock.named_parameters():
            p.mul_(masks.get(net.prefix + n, torch.ones(())))
        hidden = stock(**inputs, output_hidden_states=True).hidden_states
        assert len(hidden) == 3
        a, b = head["mix"].exp() / head["mix"].exp().sum()
        mixed = a * hidden[1] + b * hidden[2]
        mixed = mixed if span else mixed[:, 0]
        middle = (mixed @ head["hidden.weight"].T + head["hidden.bias"]).clamp(min=0)
        expected = middle @ head["out.weight"].T + head["out.bias"]
        logits = net(type(batch)(inputs, batch.labels, batch.rows), key, masks).logits
        unmasked = net(type(batch)(inputs, batch.labels, batch.rows), key).logits
    assert expected.shape == ((4, hidden[0].shape[1], 2) if span else (4, 3))
    assert torch.allclose(logits, expected, atol=1e-4) and not torch.allclose(logits, unmasked, atol=1e-2)
    assert (middle == 0).any() and (middle > 0).any()


def test_the_loss_is_the_tasks_and_has_no_other_term(net, task):
    phase = next(abp(net, task, **ABP))
    batch = next(task.batches(4, 0))
    net.eval()
    out = net(batch, phase.head, phase.masks(1.0, True))
    terms = phase.loss(out, batch, 0.5)
    assert terms.keys() == {"task"}
    assert terms["task"].item() == pytest.approx(F.cross_entropy(out.logits, batch.labels).item(), rel=1e-6)


def test_a_run_writes_masks_and_a_head_and_no_weights(cli, toy, tmp_path):
    import json

    from safetensors import safe_open

    assert cli(*[w for w in toy if "threads" not in w], "impl.threads=1", "method=abp", "sparsity=0.6")[0] == 0
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["prunable"] == WIDE and row["sparsity_encoder_pooler_embeddings"] == pytest.approx(0.6, abs=1e-4)
    assert not (tmp_path / "run/weights.safetensors").exists() and list(row["phases"]) == ["prune"]
    with safe_open(tmp_path / "run/head.safetensors", "pt") as stored:
        assert {"mix", "hidden.weight", "hidden.bias", "out.weight", "out.bias"} <= set(stored.keys())
