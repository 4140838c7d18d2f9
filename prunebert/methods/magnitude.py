"""One-shot magnitude pruning: keep the largest pre-trained weights, then fine-tune them.

    S = |θ₀|,  M = Top_v(S),  then min over θ of L(f(x; θ ⊙ M))

It is the OMP baseline of Chen et al. 2020 ("BERT-Tickets", read from their code). They rank the encoder's matrices and
the pooler globally. TAMT's copy of it ranks in every matrix (allocation=uniform).

keep_pretrained=true: θ₀ stays and only the head is trained, as for the baselines in AbP's paper.
masks=RUN: use the masks of a finished run instead of S.

Deviations
----------
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head, or with keep_pretrained=true the head alone. It needs one training.

Citation
--------
Chen et al., "The Lottery Ticket Hypothesis for Pre-trained BERT Networks", NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.top_v import Scores
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, Text
from prunebert.runs.reuse import masks_of, ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune, train_head


def magnitude(net: SubNetwork, prunable: str) -> Scores:
    """Return S = |θ| ⊙ M. A removed weight ranks last, so the masks of later rounds only shrink."""
    return {n: W.detach().abs() * net.masks.get(n, 1) for n, W in net.prunable(prunable).items()}


def one_shot(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    allocation: Annotated[Text, "read without masks"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    masks: Text | None,
    keep_pretrained: bool,
    pattern: Annotated[Text, "read without masks"] = "none",
) -> Iterator[Phase]:
    """Fine-tune under the mask of the pre-trained magnitudes. Phases: (teacher,) finetune or head."""
    if masks:
        M = masks_of(masks, net, prunable, sparsity)
    else:
        M = ranking(net, prunable, allocation, pattern, sparsity)(magnitude(net, prunable), sparsity)
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    train = train_head if keep_pretrained else finetune
    yield from train(net, task, key, fit, masks=M, kd=kd)
