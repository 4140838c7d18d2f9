"""Magnitude, one-shot: keep the largest pre-trained weights, then fine-tune them.

    S = |θ₀|,  M = Top_v(S),  then min over θ of L(f(x; θ ⊙ M))

Chen et al. 2020 ("BERT-Tickets", the OMP baseline; methods.md §5.3 of our notes, read from their code): one global
ranking over the encoder's matrices and the pooler. TAMT's copy of it ranks in every matrix (scope=local).
keep_pretrained=true: θ₀ stays and only the head is trained, as AbP's paper has its baselines. masks=RUN: a finished
run's masks instead of S.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.top_v import Scores, keep_top
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.reuse import masks_of
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune, train_head


def magnitude(net: SubNetwork, prunable: str) -> Scores:
    """S = |θ| ⊙ M: what is gone ranks last, so that masks of a later round can only shrink."""
    return {n: W.detach().abs() * net.masks.get(n, 1) for n, W in net.prunable(prunable).items()}


def one_shot(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: float,
    scope: Literal["local", "global"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    masks: str | None,
    keep_pretrained: bool,
) -> Iterator[Phase]:
    """Phases: (teacher,) finetune or head, under the mask of the pre-trained weights' magnitudes."""
    if masks:
        M = masks_of(masks, net, prunable, sparsity)
    else:
        M = keep_top(magnitude(net, prunable), sparsity, scope)
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    train = train_head if keep_pretrained else finetune
    yield from train(net, task, key, fit, masks=M, kd=kd)
