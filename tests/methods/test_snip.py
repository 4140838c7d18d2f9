"""SNIP: its masks against numpy on gradients of the plain network."""

from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from prunebert import distill
from prunebert.fit import Fit
from prunebert.methods.snip import snip
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.system.signals import Request
from prunebert.training.checkpoints import Checkpoints, Every
from prunebert.training.loop import train

SNIP = {
    "fit": Fit(epochs=1, steps=2, batch_size=8, lr=1e-3, head_lr=1e-3, clip=1e-4, weight_decay=0.1),
    "sparsity": 0.9,
    "batches": 3,
    "allocation": "global",
    "prunable": "encoder",
    "head": "linear",
    "distill": distill.none,
}
QUIET = {"record": lambda line: None, "score": lambda: 0.0}


def test_the_masks_are_those_of_the_mean_gradient_without_dropout_and_clipping(net, task, impl):
    """S = |w ∂L/∂w| of three batches' mean loss; the 90 % smallest of all matrices together go, and nothing moves."""
    phases = snip(net, task, **SNIP)
    phase = next(phases)
    before, W = net.snapshot(phase.head), net.prunable()
    total = {n: 0.0 for n in W}
    for batch in islice(task.batches(8, 7), 3):
        leaves = {n: w.detach().clone().requires_grad_() for n, w in W.items()}
        out = net.eval()(batch, phase.head, None, theta=leaves)
        gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(out.logits, batch.labels), [*leaves.values()])
        total = {n: total[n] + g.double().numpy() for n, g in zip(W, gradients, strict=True)}
    S = {n: np.abs(w.detach().double().numpy() * total[n]) for n, w in W.items()}
    train(net, phase, seed=7, impl=impl, **QUIET)
    flat = np.sort(np.concatenate([s.ravel() for s in S.values()]))
    count = round(0.9 * len(flat))
    assert sum(int((~m).sum()) for m in net.masks.values()) == count
    cut = (flat[count - 1] + flat[count]) / 2
    wrong = sum(int((net.masks[n].numpy() != (s > cut)).sum()) for n, s in S.items())
    assert wrong <= 4  # rounding, at the cut
    assert len({round(float(m.float().mean()), 3) for m in net.masks.values()}) > 6  # the ranking is global
    after = net.snapshot(phase.head)
    assert all(torch.equal(x, after[n]) for n, x in before.items())
    masks = net.masks
    second = next(phases)
    assert (phase.name, second.name) == ("saliency", "finetune") and second.masks(0.5, False) is masks


def test_a_resumed_saliency_equals_one_that_was_not_stopped(model_folder, task, impl, tmp_path):
    def network():
        net = SubNetwork(models.load(str(model_folder)))
        return net, next(snip(net, task, **SNIP))

    def dies(line):
        if line["step"] == 3:
            raise KeyboardInterrupt

    def store():
        every = Every(seconds=None, steps=1)
        return Checkpoints(tmp_path, "identity", every, Request(), SimpleNamespace(heads_read=None))

    whole, phase = network()
    train(whole, phase, seed=0, impl=impl, **QUIET)
    with pytest.raises(KeyboardInterrupt):
        train(*network(), seed=0, impl=impl, **QUIET | {"record": dies}, checkpoints=store())
    net, phase = network()
    train(net, phase, seed=0, impl=impl, **QUIET, checkpoints=store())
    assert net.masks and all(torch.equal(net.masks[n], m) for n, m in whole.masks.items())
