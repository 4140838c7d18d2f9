"""What a SubNetwork draws, what it leaves as it found it, and what it copies."""

from dataclasses import replace

import pytest
import torch

from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork


def test_a_generator_follows_its_purpose_and_the_seed(model):
    def draw(seed, purpose):
        return torch.rand(3, generator=SubNetwork(model, seed).generator(purpose)).tolist()

    assert draw(1, "l0") == draw(1, "l0")
    assert len({*map(tuple, (draw(s, p) for s in (0, 1, 2) for p in ("l0", "random")))}) == 6


def test_a_new_pooler_has_the_configured_deviation_and_follows_the_seed(model_folder):
    def pooler(seed, std):
        model = models.load(str(model_folder))
        model.config.initializer_range = std
        fresh = SubNetwork(model, seed).parameters_of("fresh")
        return fresh["bert.pooler.dense.weight"].detach(), fresh["bert.pooler.dense.bias"].detach()

    weight, bias = pooler(seed=0, std=0.5)
    assert not bias.any()
    assert weight.std().item() == pytest.approx(0.5, rel=0.1)  # of 1,024 draws: its own deviation is 2 %
    assert torch.allclose(pooler(seed=0, std=0.25)[0] * 2, weight)
    assert not torch.allclose(pooler(seed=1, std=0.5)[0], weight)


@pytest.mark.parametrize("training", [True, False])
def test_a_new_head_takes_the_networks_mode_and_no_global_draw(net, task, training):
    net.train(training)
    torch.manual_seed(5)
    undisturbed = torch.rand(4)
    torch.manual_seed(5)
    key = net.add_head(replace(task.form(), name="a.b"), "linear")
    assert torch.equal(torch.rand(4), undisturbed)
    assert key == "a_b_linear" and net.kind_of(key) == "linear"
    assert {m.training for m in net.heads[key].modules()} == {training}
    weight = net.heads[key].state_dict()["classifier.weight"].clone()
    net.add_head(replace(task.form(), name="a.b"), "linear")  # the key exists: the head stays
    assert torch.equal(net.heads[key].state_dict()["classifier.weight"], weight)


@pytest.mark.parametrize("training", [True, False])
def test_an_evaluation_restores_the_mode_and_the_gradients_even_after_an_error(net, training):
    net.train(training)
    with pytest.raises(KeyError), net.evaluation_mode():
        assert not net.training and not torch.is_grad_enabled()
        raise KeyError
    assert net.training is training and torch.is_grad_enabled()


def test_a_snapshot_is_a_copy_and_a_rewind_without_a_head_leaves_the_head(net, task):
    key = net.add_head(task.form(), "linear")
    snapshot = net.snapshot(key)
    assert len(snapshot) == len([*net.encoder.parameters()]) + len([*net.heads[key].parameters()])
    before = {n: w.clone() for n, w in snapshot.items()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(snapshot[n], before[n]) for n in before)
    assert not any(w.requires_grad for w in snapshot.values())
    net.rewind(snapshot)
    assert all(torch.equal(w, before[n]) for n, w in net.parameters_of().items())
    head = net.heads[key].state_dict()
    assert torch.equal(head["classifier.weight"], before["head.classifier.weight"] + 1)


def test_scores_begin_at_the_given_value_and_carry_no_gradient_of_the_weights(net):
    S = net.new_scores("encoder", value=0.25)
    assert {(s.unique().item(), s.requires_grad) for s in S.values()} == {(0.25, False)}
    assert all(s.shape == net.prunable()[n].shape and s is not net.prunable()[n] for n, s in S.items())
