"""SNIP, pruning once by connection sensitivity before the training (Lee, Ajanthan & Torr, ICLR 2019).

    S = |w ⊙ ∂L/∂w| = |∂L/∂m| at m = 1,   M = Top_v(S) over all matrices,   then min over θ of L(f(x; θ ⊙ M))

L is the mean loss of `batches` training batches at the starting weights. The gradients of the batches are averaged
before the product. If a teacher is used, L includes its terms.

Deviations
----------
- The start. The paper ranks a network at a random start whose variance suits each layer. Here the encoder is
  pre-trained, and the linear head is new. With head=label_words the head is pre-trained too.
- Rows. The paper takes one mini-batch of 100 rows (MNIST) or 128 (CIFAR-10). Here they are 4 batches of
  fit.batch_size rows, 128 rows where the batch has 32.
- Dropout. The paper's networks have none to switch off before training. Here it is off while the gradients are
  computed, and on in the training that follows.
- Clipping. The gradients of the ranking are not clipped. Clipping each batch would change the batches' weights.
- Normalisation. The paper divides S by its sum. This changes no ranking and is left out.
- The budget of the training is ours, because the paper has image tasks. fit=paper fine-tunes as Chen et al. 2020, as
  for one-shot magnitude pruning.

The sources that were read give no results of SNIP on the tasks here, so no published row stands beside it.

Cost
----
It trains all weights and a new head. It needs one training, and before it `batches` gradients of the dense network.
While these are collected, memory holds two numbers more for each prunable weight.

Citation
--------
Lee, Ajanthan & Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.top_v import Masks
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Fraction, Text
from prunebert.runs.reuse import ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, finetune


def snip(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    batches: Count,
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Rank once by sensitivity, then fine-tune. Phases: (teacher,) saliency, finetune.

    batches: the number of training batches whose mean loss is differentiated.
    """
    key = net.add_head(task.form(), head)
    rank = ranking(net, prunable, allocation, pattern, sparsity)
    kd = yield from distill(net, task)
    W = net.prunable(prunable)
    g = {n: torch.zeros_like(w, requires_grad=False) for n, w in W.items()}  # ∂L/∂w, a mean over the batches

    def collect(t: float) -> None:
        for n, w in W.items():
            if w.grad is not None:
                g[n] += w.grad / batches

    def masks(t: float, hard: bool) -> Masks:
        return rank({n: (w.detach() * g[n]).abs() for n, w in W.items()}, sparsity) if hard else {}

    yield Phase(
        name="saliency",
        task=task,
        head=key,
        fit=replace(fit, steps=batches, clip=math.inf, eval_every=0, keep="last"),
        train=[Group(name="weights", tensors=W, lr=0.0, optimizer="sgd")],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        gradients=collect,
        dropout=False,
        needs=kd.needs,
        memory=g,
    )
    yield from finetune(net, task, key, fit, masks=net.masks, kd=kd)
