"""One optimizer step of a phase, and what the steps share: trained tensors, optimizers, the masks' history."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from prunebert.errors import Diverged
from prunebert.masks.apply import Through, keeping, products_for
from prunebert.masks.history import History
from prunebert.masks.top_v import Masks
from prunebert.network.interface import IGNORED, Batch
from prunebert.network.subnetwork import SubNetwork
from prunebert.network.zeros import require_kept
from prunebert.system import distributed
from prunebert.system.allocator import return_freed_memory
from prunebert.system.impl import Impl
from prunebert.training.phase import Group, Phase, Terms, keeping_given

OPTIMIZERS: dict[str, Any] = {
    "adamw": partial(torch.optim.AdamW, fused=True),
    "sgd": torch.optim.SGD,
    "adamax": torch.optim.Adamax,
}
LOWER = "lower fit.lr, fit.head_lr or method.score_lr"


class Stepper:
    """Trains a phase step by step: `step(k, batch)`.

    Only the tensors in the phase's groups get a gradient.

    Attributes:
        phase: The phase, under the masks that the checkpoint came with too.
        trained: The trained tensors, by "group.name".
        history: The record of the masks.
        products: What computes W ⊙ M; None on a GPU.
    """

    def __init__(self, net: SubNetwork, phase: Phase, *, seed: int, impl: Impl) -> None:
        phase = keeping_given(phase, net.given)
        self.net, self.phase, self.seed, self.impl = net, phase, seed, impl
        self.steps_begun = 0
        self.is_checked = False  # whether the first masks were compared with those that the checkpoint came with
        net.rounded = {}
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        self.groups = [g for g in phase.train if g.tensors]
        self.trained = {f"{g.name}.{n}": x.requires_grad_(True) for g in self.groups for n, x in g.tensors.items()}
        self.optimizers: list[torch.optim.Optimizer] = [
            make([_parameters(g) for g in self.groups if g.optimizer == kind])
            for kind, make in OPTIMIZERS.items()
            if any(g.optimizer == kind for g in self.groups)
        ]
        self.history = History()
        # torch.compile needs tensors that exist
        self.products = products_for(impl.torch_device, recompute=not impl.compile)

    def __call__(self, step: int, batch: Batch) -> tuple[Terms, Masks]:
        """Take one step on a global batch.

        Args:
            step: Its number, from 0.
            batch: The batch of all ranks; this rank takes its share.

        Returns:
            The terms of the loss, and the hard masks, which show what is removed.

        Raises:
            Diverged: A gradient is NaN. The trained tensors then still hold no NaN.
            BadInput: The first masks keep a weight that the checkpoint has removed (model.masks=zeros).
        """
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full_lr"] * self.phase.fit.rate(step, self.phase.steps)
        terms, hard_masks = self.differentiate(step, batch)
        t = (step + 1) / self.phase.steps
        with torch.no_grad():
            self.phase.gradients(t)
            for optimizer in self.optimizers:
                optimizer.step()
            self.phase.after(t)
        return terms, hard_masks

    def differentiate(self, step: int, batch: Batch) -> tuple[Terms, Masks]:
        """Compute the clipped gradients of one step, and move no tensor. Otherwise it is as a step."""
        phase, steps = self.phase, self.phase.steps
        t = (step + 1) / steps
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)  # frees memory before the forward pass
        self.steps_begun += 1
        if self.steps_begun == 2:  # the optimizers' moments lie between what the first step has freed
            return_freed_memory()
        batch, fraction = share(batch)
        batch = batch.to(self.impl.torch_device)
        masks = phase.masks(t, False)
        hard_masks = phase.masks(t, True) if phase.drawn else masks.hard if isinstance(masks, Through) else masks
        if not self.is_checked:
            require_kept(hard_masks, self.net.given)
            self.is_checked = True
        self.history.see(hard_masks)
        if self.products is not None:
            self.products.step(hard_masks)
        masks = keeping(masks, self.products)
        with self.impl.autocast(), distributed.own_random(self.seed, step, self.impl.torch_device):
            out = self.net(batch, phase.head, masks, needs=phase.needs)
            terms = phase.loss(out, batch, t)
        _total(terms).backward()
        terms |= (penalty := phase.penalty(t))  # after backward(), when the batch's activations are freed
        if any(term.requires_grad for term in penalty.values()):
            _total(penalty).backward()
        terms = distributed.average(self.trained.values(), terms, fraction)
        norm = torch.nn.utils.clip_grad_norm_(self.trained.values(), phase.fit.clip)
        # A loss that is not finite is reported by loop.py. On a GPU loop.py checks the trained tensors instead.
        if norm.device.type == "cpu" and not norm.isfinite() and _total(terms).isfinite():
            self._refuse_nan(f"step {step + 1} of {steps} of phase {phase.name}")
        return terms, hard_masks

    def _refuse_nan(self, when: str) -> None:
        """Raise Diverged if a gradient is NaN, so that the trained tensors never are."""
        if any(x.grad is not None and x.grad.isnan().any() for x in self.trained.values()):
            raise Diverged(f"the gradient became NaN at {when}; {LOWER}")

    def end(self) -> tuple[int, int]:
        """Stop training; return the number of parameters that received a gradient, and how many are not the network's.

        The latter are scores of weights, or gates.
        """
        sizes = {id(x): x.numel() for x in self.trained.values() if x.grad is not None}
        own = {id(parameter) for parameter in self.net.parameters()}
        parameters, scores = sum(sizes.values()), sum(size for key, size in sizes.items() if key not in own)
        for tensor in self.trained.values():
            tensor.requires_grad_(False)
            tensor.grad = None
        return parameters, scores


def _total(terms: Terms) -> Tensor:
    """Return the sum of the terms, 0-d float32."""
    return torch.stack([value.float() for value in terms.values()]).sum()


def _parameters(group: Group) -> dict[str, Any]:
    """Return a group as an optimizer takes it, with its full learning rate beside the current one."""
    return {
        "params": list(group.tensors.values()),
        "lr": group.lr,
        "full_lr": group.lr,
        "weight_decay": group.weight_decay,
    } | ({"eps": group.eps} if group.optimizer != "sgd" else {})


def share(batch: Batch) -> tuple[Batch, float]:
    """Return this rank's rows, and their fraction of the labels that count in the global batch.

    A rank without rows takes one row that counts nothing.
    """
    if distributed.COUNT == 1:
        return batch, 1.0
    rows = slice(distributed.RANK, None, distributed.COUNT) if len(batch.rows) > distributed.RANK else slice(0, 1)
    # [rows, texts of a row, length]: the choices of a row stay together
    texts = {k: v.unflatten(0, (len(batch.rows), -1)) for k, v in batch.inputs.items()}
    inputs = {k: v[rows].flatten(0, 1) for k, v in texts.items()}
    local_batch = replace(batch, inputs=inputs, labels=batch.labels[rows], rows=batch.rows[rows])
    count = int((local_batch.labels != IGNORED).sum()) if len(batch.rows) > distributed.RANK else 0
    return local_batch, count / int((batch.labels != IGNORED).sum())
