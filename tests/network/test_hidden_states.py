"""Hidden states and attention of a network against the stock models."""

from itertools import pairwise

import pytest
import torch
import transformers

from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork, full_attention_mask
from tests.distill.test_losses import another, batch_of
from tests.toys import save_model


def stock_like(family, tmp_path, task):
    """Make a family's small model on disk, its network with a head, a batch, and the stock model's inputs."""
    folder = save_model(tmp_path / family, family)
    net = SubNetwork(models.load(str(folder)), seed=3).eval()
    key, batch = net.add_head(task.form(), "linear"), batch_of(task)
    inputs = {k: v for k, v in batch.inputs.items() if family in ("bert", "electra") or k != "token_type_ids"}
    return folder, net, key, batch, inputs


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_hidden_states_and_attention_are_the_stock_models(family, tmp_path, task):
    """Dense; under masks; under masks with other weights."""
    folder, net, key, batch, inputs = stock_like(family, tmp_path, task)
    batch = type(batch)(inputs, batch.labels, batch.rows)
    stock = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    masks, theta = another(net, key)
    hidden = []
    for M, replaced_theta in (({}, None), (masks, None), (masks, theta)):
        weights = net.parameters_of() if replaced_theta is None else replaced_theta
        with torch.no_grad():
            for n, p in stock.named_parameters():
                if net.prefix + n in weights:
                    p.copy_(weights[net.prefix + n] * M.get(net.prefix + n, 1))
            out = net(batch, key, M, theta=replaced_theta, needs=("hidden", "attention"))
            expected = stock(**inputs, output_hidden_states=True, output_attentions=True)
            plain = net(batch, key, M, theta=replaced_theta)
        assert len(out.hidden) == len(expected.hidden_states) == 3 and len(out.attention) == 2
        for ours, theirs in zip(out.hidden, expected.hidden_states, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
        for ours, theirs in zip(out.attention, expected.attentions, strict=True):
            assert ours.shape == theirs.shape == (8, 4, *2 * inputs["input_ids"].shape[1:])
            torch.testing.assert_close(ours.softmax(-1), theirs, atol=1e-5, rtol=1e-4)
            padding = (inputs["attention_mask"] == 0)[:, None, None, :].expand_as(ours)
            assert (ours[padding] < -9000).all() and (ours[~padding].abs() < 100).all()
        assert plain.hidden == plain.attention == () and torch.equal(plain.logits, out.logits)
        hidden.append(out.hidden[-1])
    assert all((a - b).abs().max() > 1e-3 for a, b in pairwise(hidden))


@pytest.mark.parametrize(
    ("needs", "head", "lengths"),
    [((), "linear", (0, 0)), (("hidden",), "linear", (3, 0)), (("attention",), "linear", (3, 2))],
)
def test_the_encoder_returns_only_what_is_needed(net, task, monkeypatch, needs, head, lengths):
    key, encoder_inputs, forward = net.add_head(task.form(), head), [], net.encoder.forward
    monkeypatch.setattr(net.encoder, "forward", lambda **inputs: encoder_inputs.append(inputs) or forward(**inputs))
    out = net(batch_of(task), key, needs=needs)
    assert (len(out.hidden), len(out.attention)) == lengths
    assert ("output_hidden_states" in encoder_inputs[0]) == bool(needs) and len(encoder_inputs) == 1


def test_gradients_reach_the_scores_through_hidden_states_and_attention(net, task):
    """A mask on layer 1's query matrix changes that layer's attention, and the hidden states after it."""
    key = net.add_head(task.form(), "linear")
    name = next(n for n in net.prunable() if net.place(n) == (1, "query"))
    M = torch.ones_like(net.prunable()[name], requires_grad=True)
    out = net(batch_of(task), key, {name: M}, needs=("hidden", "attention"))
    for value, is_reached in ((out.attention[0], 0), (out.attention[1], 1), (out.hidden[1], 0), (out.hidden[2], 1)):
        (gradient,) = torch.autograd.grad(value.square().sum(), M, retain_graph=True, allow_unused=True)
        assert (gradient is not None and bool(gradient.any())) == is_reached


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_the_full_attention_mask_equals_transformers_own(family, tmp_path, task):
    _, net, key, batch, inputs = stock_like(family, tmp_path, task)
    assert (inputs["attention_mask"] == 0).any()
    out = net(type(batch)(inputs, batch.labels, batch.rows), key, needs=("hidden",))
    inputs["attention_mask"] = full_attention_mask(inputs["attention_mask"])
    with torch.no_grad():
        hidden = net.encoder(**inputs, output_hidden_states=True).hidden_states
    real = batch.inputs["attention_mask"].bool()
    for ours, theirs in zip(hidden, out.hidden, strict=True):
        assert torch.allclose(ours[real], theirs[real], atol=1e-6)
    inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
    with torch.no_grad():
        assert not torch.allclose(net.encoder(**inputs).last_hidden_state[real], hidden[-1][real], atol=1e-3)
