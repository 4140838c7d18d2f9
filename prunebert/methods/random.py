"""Random pruning: fine-tune under a mask drawn at random. It is the floor of every table.

    S ~ U(0, 1),  M = Top_v(S) in every matrix,  then min over θ of L(f(x; θ ⊙ M))

allocation=RUN: keep as many weights in each matrix as a finished run (its mask, shuffled within every matrix). With
allocation_by=layer, as many in each layer. This measures a method's allocation without its choice of weights.
masks=RUN: use the masks of a finished run instead of S.
keep_pretrained=true: θ stays and only the head is trained.

Cost
----
It trains all weights and a new head, or with keep_pretrained=true the head alone. It needs one training.

Citation
--------
No paper of its own. It is the usual lower bound of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from torch import Generator

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.draws import uniform_like
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, Seed, Text
from prunebert.runs.reuse import masks_of, ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune, train_head


def random(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    seed: Seed,
    allocation: Annotated[Text, "read without masks"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    masks: Text | None,
    keep_pretrained: bool,
    allocation_by: Annotated[Literal["matrix", "layer"], "read without masks"] = "matrix",
    pattern: Annotated[Text, "read without masks"] = "none",
) -> Iterator[Phase]:
    """Fine-tune under one mask drawn from `seed` alone. Phases: (teacher,) finetune or head.

    allocation_by: what keeps as many weights as in the run that `allocation` names.
    """
    generator = Generator().manual_seed(seed)
    S = {n: uniform_like(W, generator) for n, W in net.prunable(prunable).items()}
    if masks:
        M = masks_of(masks, net, prunable, sparsity)
    else:
        M = ranking(net, prunable, allocation, pattern, sparsity, by=allocation_by)(S, sparsity)
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    train = train_head if keep_pretrained else finetune
    yield from train(net, task, key, fit, masks=M, kd=kd)
