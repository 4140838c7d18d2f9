"""Masking (Zhao et al. 2020), the ancestor of TAMT, AbP and SMP.

"Masking as an Efficient Alternative to Finetuning for Pretrained Language Models", EMNLP 2020. Read from its code; its
text beyond the abstract is not verified.

Every weight stays as pre-trained. Only scores S are trained, which decide which weights are used:

    f(x; W ⊙ M),   M = 1[S > τ],   ∂L/∂S := ∂L/∂M = ∂L/∂W′ ⊙ W,  W′ = W ⊙ M,   τ = 0.01
    S₀ ~ U(-a, (a + τ)/s - a),   a = 0.02:  a fraction s of every matrix starts at or below τ
    init=magnitude:  S₀ = 2τ on the largest |W| of every matrix, as many as stay, else 0

Nothing pushes the scores up or down, so the sparsity drifts away from s while they train.

Deviations
----------
- Sparsity. Here (control=sparsity) the cut moves with the scores and removes exactly s at every step, as TAMT's does.
- control=none is the paper: τ is fixed and s is the sparsity of the start. The run reports the sparsity that results.
  The few scores by which a draw misses s are set to τ or just above it. The code's draw has s in expectation.
- At s = 0 the code's interval has no end. Here it is U(τ, τ + (a + τ)/0.03), as 0.03 is the lowest s in its commands.
- Classifier. The code's command for MRPC leaves a new classifier at its random values and masks it too. Here it is
  trained and dense, the code's other option.
- Layers. That command masks layers 2 to 11 and the pooler. Here all layers are masked, as by default in its parser.
- Without a pooler in the checkpoint, the new one trains with the head.
- The code also masks biases, heads and layers, draws masks at random, and can penalise a wrong sparsity, which its
  commands switch off. These are left out.
- fit=paper is the command for MRPC: Adam at 1e-3, constant, 10 epochs of batch 32, no clipping, and the best of an
  evaluation every 60 steps. Its readme has accuracy 0.86275 there. The rates of other tasks are not known [U]. Here
  they are the same, with an evaluation every 1,000 steps. The settings of the paper's tables are not known [U].
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains the scores, one for each prunable weight, and a new head. No pre-trained weight is trained. It needs one
training.

Citation
--------
Zhao et al., "Masking as an Efficient Alternative to Finetuning for Pretrained Language Models",
EMNLP 2020.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Annotated, Literal

import torch

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.chunks import larger
from prunebert.masks.draws import uniform_like
from prunebert.masks.top_v import Masks, Scores
from prunebert.masks.top_v import sparsity as measured
from prunebert.methods.magnitude import magnitude
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, NonNegative, Text
from prunebert.runs.reuse import ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase

log = logging.getLogger(__name__)
LOWEST = 0.03  # the lowest initial sparsity in the released code's commands
Threshold = Annotated[float, "above 0 and at most 1000000"]


def masking(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    control: Literal["sparsity", "none"],
    tau: Threshold,
    init: Literal["uniform", "magnitude"],
    init_scale: Annotated[NonNegative, "read with init=uniform"],
    score_lr: NonNegative,
    allocation: Annotated[Text, "read with control=sparsity"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    pattern: Annotated[Text, "read with control=sparsity"] = "none",
) -> Iterator[Phase]:
    """Train the scores of the pre-trained weights, and a new head. Phases: (teacher,) prune.

    sparsity: s. With control=none it is that of the start.
    tau: τ. init_scale: a.
    head: one that the checkpoint has ("label_words") stays as it is; a new one trains at fit.head_lr.
    """
    key = net.add_head(task.form(), head)
    exact = control == "sparsity"
    rank = ranking(net, prunable, *((allocation, pattern) if exact else ("uniform", "none")), sparsity)
    kd = yield from distill(net, task)
    if init == "magnitude":
        S = {n: 2 * tau * M for n, M in rank(magnitude(net, prunable), sparsity).items()}
    else:
        S = drawn(net, prunable, sparsity, tau, init_scale)
        S = S if exact else apart(S, rank(S, sparsity), tau)

    def above(scores: Scores) -> Masks:
        return {n: larger(s.detach(), tau) for n, s in scores.items()}

    def masks(t: float, hard: bool) -> Masks:
        M = rank(S, sparsity) if exact else rank.by_pattern(S, above)  # without what the checkpoint has removed
        return M if hard else straight_through(M, S)

    new_head = {} if net.heads[key].pretrained else net.head_parameters(key)
    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[Group(name="scores", tensors=S, lr=score_lr), Group(name="head", tensors=new_head, lr=fit.head_lr)],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        needs=kd.needs,
    )
    if not exact:
        reached = measured(net.masks)
        log.info("control=none: τ = %g; the sparsity started at %g and ended at %.4f", tau, sparsity, reached)


def drawn(net: SubNetwork, prunable: str, sparsity: float, tau: float, scale: float) -> Scores:
    """Draw S₀ ~ U(-a, (a + τ)/s - a). The draw depends on the run's seed alone. scale: a."""
    generator, S = net.generator("scores"), {}
    for n, W in net.prunable(prunable).items():
        removed = measured({n: net.given[n]}) if n in net.given else 0.0  # by the checkpoint: s is that of the others
        s = max((sparsity - removed) / (1 - removed), 0.0)
        low, width = (-scale, (scale + tau) / s) if s else (tau, (scale + tau) / LOWEST)
        S[n] = uniform_like(W, generator).mul_(width).add_(low)
    return S


def apart(S: Scores, M: Masks, tau: float) -> Scores:
    """Return S with every score above τ where M keeps its weight, and at most τ elsewhere."""
    above = {n: torch.nextafter(torch.full_like(s, tau), torch.full_like(s, math.inf)) for n, s in S.items()}
    return {n: torch.where(M[n], s.maximum(above[n]), s.clamp(max=tau)) for n, s in S.items()}
