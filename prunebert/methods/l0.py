"""L0 regularisation by hard-concrete gates (Louizos et al. 2018, as Sanh et al. 2020 run it on BERT).

    s = σ((log u - log(1 - u) + S)/b),  u ~ U(0, 1) while training;   s = σ(S) afterwards
    m = min(1, max(0, s (r - l) + l)),   l = -0.1, r = 1.1, b = 2/3,   f(x; W ⊙ m),   S₀ = 2.197 (σ = 0.9)
    L = L_task + λ(t) · mean over matrices of mean σ(S - b log(-l/r)),   the probability that m > 0

A weight is removed where its gate is 0: S ≤ log(-l/r), the cut. After training the other gates are multiplied into
their weights, and the network is W ⊙ M again.

Deviations
----------
- The paper has no target sparsity; λ_f = 125 decides. Here (control=sparsity) λ is steered until the schedule ends, to
  bring the configured fraction below the cut. From then on all S are shifted by one constant per step, and exactly that
  fraction lies below it.
- control=none is the paper: λ(t) = λ_f from the first step on. Its code has λ(t) = λ_f · threshold / final threshold,
  and the command in its README sets the threshold to 1 at both ends.
- Training. SQuAD's softmax over padding, ε of AdamW, the clock and the batches differ from the code as
  [for movement pruning](movement.md#deviations-from-the-paper-and-its-code). The sizes are there too.

Cost
----
It trains the scores, one for each prunable weight, together with all weights but the embeddings, and a new head. It
needs one training.

Citation
--------
Louizos, Welling & Kingma, "Learning Sparse Neural Networks through L0 Regularization", ICLR 2018. On BERT: Sanh, Wolf &
Rush, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", NeurIPS 2020.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from prunebert.choices import EVERY_MATRIX, Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.penalty import Force, penalise
from prunebert.masks.top_v import Masks, Scalar
from prunebert.masks.top_v import sparsity as measured
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, NonNegative, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import Cubic
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, weights

log = logging.getLogger(__name__)
L, R, B = -0.1, 1.1, 2 / 3
CUT = math.log(-L / R)  # σ(S) (r - l) + l = 0
OPEN = 2.197  # S₀


def l0(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    schedule: Annotated[Cubic, "read with control=sparsity"],
    score_lr: NonNegative,
    penalty: Annotated[NonNegative, "read with control=none"],
    control: Literal["sparsity", "none"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    train_embeddings: bool = False,
    allocation: Annotated[Text, "read with control=sparsity"] = "global",
    pattern: Annotated[Text, "read with control=sparsity"] = "none",
) -> Iterator[Phase]:
    """Train gates and weights together. Phases: (teacher,) prune.

    schedule: only its start and end are used: when the steering begins and ends.
    penalty: λ_f of control=none.
    """
    key = net.add_head(task.form(), head)
    rank = ranking(net, prunable, allocation, pattern, sparsity)
    kd = yield from distill(net, task)
    S = net.new_scores(prunable, OPEN)
    steered = control == "sparsity"
    force = Force(sparsity, CUT, OPEN, schedule.start, schedule.end)

    def masks(t: float, hard: bool) -> Masks:
        if not steered or t < schedule.end:
            return {n: rank.inside(n, gate(s, hard)) for n, s in S.items()}
        M, cuts = rank.cut(S, sparsity)
        above = {n: over(largest) for n, largest in cuts.items()}
        if hard:  # a gate above 0 marks a weight that stays
            return {n: gate(s - above[n], hard).clamp_min(1e-6) * M[n] for n, s in S.items()}
        rank.shift(S, above)
        return {n: gate(s, hard) * M[n] for n, s in S.items()}

    def lam(t: float) -> Scalar:
        return force(S, t) if steered else penalty

    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[*weights(net, key, fit, embeddings=train_embeddings), Group(name="scores", tensors=S, lr=score_lr)],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        penalty=lambda t: {"sparsity": penalise(S, lam(t), above=B * CUT)},
        needs=kd.needs,
        settled=schedule.end if steered else 0.0,
        drawn=True,
        memory=force.memory,
    )
    fold(net)
    if not steered:
        reached = measured(net.masks)
        log.info("control=none: λ_f = %g reached sparsity %.4f; sparsity=%g is no target", penalty, reached, sparsity)


def over(largest: Scalar) -> Scalar:
    """Return how far a removed score is above the cut; 0 where none is removed, which -inf says."""
    if isinstance(largest, Tensor):
        return torch.where(largest.isfinite(), largest - CUT, 0.0)
    return largest - CUT if math.isfinite(largest) else 0.0


def gate(s: Tensor, hard: bool) -> Tensor:
    """Return m of one matrix: sampled or, with `hard`, deterministic."""
    if hard:
        return s.detach().sigmoid().mul_(R - L).add_(L).clamp_(0, 1)
    m: Tensor = _Sampled.apply(s)
    return m


class _Sampled(torch.autograd.Function):
    """m of one draw of u, computed in place.

    Where 0 < m < 1, dm/dS = (r - l) s (1 - s)/b = (m - l)(r - m)/((r - l) b). The backward pass needs only m.
    """

    @staticmethod
    def forward(ctx: Any, S: Tensor) -> Tensor:
        noise = torch.rand_like(S).logit_(1e-6)  # log u - log(1 - u)
        m = noise.add_(S).div_(B).sigmoid_().mul_(R - L).add_(L).clamp_(0, 1)
        ctx.save_for_backward(m)
        return m

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (m,) = ctx.saved_tensors
        slope = (R - m).mul_(m - L).mul_(gradients[0]).div_((R - L) * B)
        return slope.masked_fill_((m == 0) | (m == 1), 0)


@torch.no_grad()
def fold(net: SubNetwork) -> None:
    """Set W ← W ⊙ m where m > 0, and the masks to m > 0. The network is the same, bit for bit."""
    for n, W in net.prunable(EVERY_MATRIX).items():
        if n in net.masks:
            M = net.masks[n] > 0
            W.copy_(torch.where(M, W * net.masks[n], W))
            net.masks[n] = M
