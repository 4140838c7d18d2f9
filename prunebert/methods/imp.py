"""IMP, iterative magnitude pruning with rewinding (Chen et al., "The Lottery Ticket Hypothesis for Pre-trained BERT
Networks", NeurIPS 2020; read from their code).

    for k = 1 … K:   train f(x; θ ⊙ M) to the end;   M ← Top_v(|θ| ⊙ M) at sparsity min(k · step, s), globally;   θ ← θ₀
    then train f(x; θ ⊙ M) once more

A round removes the fraction `step` of the original weights, 10 % in the paper. K is the number of rounds needed; the
last one may be smaller. Their code rewinds the encoder to the pre-trained weights and keeps the trained classifier.

keep_pretrained=true: the last training is of the head alone, over θ₀ ⊙ M, as for the baselines in AbP's paper.

Deviations
----------
- Every round here is a complete training, whose learning rate decays to 0. Their GLUE code starts each round with the
  schedule of all ten (30 epochs), so its rate falls by only a tenth within a round.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head, K + 1 times. At sparsity 0.9 and step 0.1 these are ten trainings, each as long as
`fit`.

Citation
--------
Chen et al., "The Lottery Ticket Hypothesis for Pre-trained BERT Networks", NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.methods.magnitude import magnitude
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, Share, Text
from prunebert.runs.reuse import ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune, train_head


def imp(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    step: Share,
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    keep_pretrained: bool,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Prune and rewind in rounds. Phases: (teacher,) round-1 … round-K, finetune or head, each as long as `fit`.

    sparsity: of the last round. step: the fraction of the original weights that a round removes.
    """
    rank = ranking(net, prunable, allocation, pattern, sparsity)
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    theta = net.snapshot(key)  # θ₀
    rounds = math.ceil(sparsity / step - 1e-9)
    for k in range(1, rounds + 1):
        yield from finetune(net, task, key, fit, name=f"round-{k}", masks=net.masks, kd=kd)
        net.masks = rank(magnitude(net, prunable), min(k * step, sparsity), within=net.masks)
        net.rewind(theta)
    if keep_pretrained:
        net.rewind(theta, key)
    train = train_head if keep_pretrained else finetune
    yield from train(net, task, key, fit, masks=net.masks, kd=kd)
