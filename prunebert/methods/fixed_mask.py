"""Fixed mask: train on a task under the mask that another run found. It measures how well a mask transfers.

Chen et al. 2020 use masks of one task on another, on the pre-trained weights. Liu et al. 2022 (TAMT) do so with
task-agnostic masks. Both are read from their code, as for [IMP](imp.md) and [TAMT](tamt.md).

    M from the source,   then min over θ of L(f(x; θ ⊙ M)),   θ starts at θ₀ or at the source's θ,   M fixed

start=pretrained: θ starts at the checkpoint's weights. start=run: θ starts at the weights that the source trained.
train=all: θ and a new head are trained. train=head: only the head is trained.
shuffled=true: the mask is shuffled within every matrix, so each matrix keeps as many weights. It is the control.

Deviations
----------
- start=run, train=head and shuffled=true are ours.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head, or with train=head the head alone. It needs one training and a finished run.

Citation
--------
Chen et al., "The Lottery Ticket Hypothesis for Pre-trained BERT Networks", NeurIPS 2020. Liu et al., "Learning to Win
Lottery Tickets in BERT Transfer via Task-agnostic Mask Training", NAACL 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from torch import Generator

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.draws import shuffled as in_random_order
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, Seed, Text
from prunebert.runs.reuse import masks_of, weights_of
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune, train_head


def fixed_mask(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    masks: Text | None,
    start: Literal["pretrained", "run"],
    train: Literal["all", "head"],
    shuffled: bool,
    seed: Annotated[Seed, "read with shuffled=true"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
) -> Iterator[Phase]:
    """Train under the mask of another run. Phases: (teacher,) finetune or head.

    masks: a finished run, or a mask file.
    seed: of the shuffling.

    Raises:
        BadInput: no masks are given, they do not fit, or a mask file is asked for its weights.
    """
    if masks is None:
        raise BadInput("method.masks=null: method=fixed_mask needs a finished run or a mask file")
    M = masks_of(masks, net, prunable, sparsity)
    theta = weights_of(masks, net) if start == "run" else None
    if shuffled:
        generator = Generator().manual_seed(seed)
        M = {n: in_random_order(mask, generator) for n, mask in M.items()}
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    if theta:
        net.rewind(theta)
    phases = train_head if train == "head" else finetune
    yield from phases(net, task, key, fit, masks=M, kd=kd)
