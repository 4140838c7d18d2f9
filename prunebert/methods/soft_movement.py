"""Soft movement pruning (Sanh, Wolf & Rush 2020; read from the released code).

    M = 1[σ(S) > τ(t)],   ∂L/∂S := ∂L/∂M,   W and S trained together,   S₀ = 0
    L = L_task + λ(t) · mean over matrices of mean σ(S),   τ(t): 0 → 0.1 cubic,   λ(t) = λ_f τ(t)/τ_f
    at least 0.5 % of every matrix stays

Deviations
----------
- The paper has no target sparsity; λ_f decides. Here (control=sparsity) λ is steered until the schedule ends, to bring
  the configured fraction below τ_f. From then on the cut removes exactly that fraction, over all matrices together, as
  the common τ does.
- control=none is the paper: λ_f is fixed, and the sparsity results from it.
- Training. SQuAD's softmax over padding, ε of AdamW, the clock and the batches differ from the code as
  [for movement pruning](movement.md#deviations-from-the-paper-and-its-code). The sizes are there too.

Cost
----
It trains the scores, one for each prunable weight, together with all weights but the embeddings, and a new head. It
needs one training.

Citation
--------
Sanh, Wolf & Rush, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", NeurIPS 2020.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Annotated, Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.penalty import Force, penalise
from prunebert.masks.top_v import Masks, Scalar, Scores, keep_above
from prunebert.masks.top_v import sparsity as measured
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, NonNegative, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import Cubic
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, weights

log = logging.getLogger(__name__)
ToThreshold = Annotated[Cubic, "final: above 0 and below 0.5"]  # the scores start at 0.5
FLOOR = 0.005  # the fraction of every matrix that stays under any τ


def soft(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    tau: ToThreshold,
    score_lr: NonNegative,
    penalty: Annotated[NonNegative, "read with control=none"],
    control: Literal["sparsity", "none"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    train_embeddings: bool = False,
    allocation: Annotated[Text, "read with control=sparsity"] = "global",
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Train scores and weights together. Phases: (teacher,) prune.

    penalty: λ_f of control=none.
    allocation: from the end of the schedule on. Only "global" has the paper's floor.
    """
    key = net.add_head(task.form(), head)
    rank = ranking(net, prunable, allocation, pattern, sparsity)
    kd = yield from distill(net, task)
    S = net.new_scores(prunable)
    steered = control == "sparsity"
    cut = math.log(tau.final / (1 - tau.final))  # σ(cut) = τ_f
    force = Force(sparsity, cut, origin=0.0, start=tau.start, end=tau.end)

    def masks(t: float, hard: bool) -> Masks:
        if steered and t >= tau.end:
            M: Masks = rank.with_floor(S, sparsity, FLOOR)
        else:
            M = rank.by_pattern(S, lambda scores: above(scores, tau(t)))
        return M if hard else straight_through(M, S)

    def lam(t: float) -> Scalar:
        return force(S, t) if steered else penalty * tau(t) / tau.final

    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[*weights(net, key, fit, embeddings=train_embeddings), Group(name="scores", tensors=S, lr=score_lr)],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        penalty=lambda t: {"sparsity": penalise(S, lam(t))},
        needs=kd.needs,
        settled=tau.end,
        memory=force.memory,
    )
    if not steered:
        reached = measured(net.masks)
        log.info("control=none: λ_f = %g reached sparsity %.4f; sparsity=%g is no target", penalty, reached, sparsity)


def above(S: Scores, tau: float) -> Masks:
    """Return 1[σ(S) > τ] = 1[S > log τ/(1 - τ)], and the FLOOR of every matrix."""
    return keep_above(S, math.log(tau / (1 - tau)) if tau > 0 else -math.inf, FLOOR)
