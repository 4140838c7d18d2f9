"""What does movement's first cut do to the loss? The scores are trained, nothing is removed, then every cut is tried.

PYTHONPATH=scripts prunebert 'hydra.searchpath=[file://scripts/centred_conf]' method=first_cut sparsity=0 …

Movement trains weights and scores for fit.steps steps under masks of ones. Then run.log has the mean loss of BATCHES
training batches in evaluation mode, with the fraction s of each matrix removed, for each s of SPARSITIES and four
rankings:

    movement    S = -Σ_k η_k ∂L/∂W ⊙ W, as AdamW scales it
    reversed    -S: it removes what movement keeps longest
    random      uniform scores
    magnitude   |W|

If the gradient of the loss were constant, removing the weights of the lowest S would lower the loss: for them ∂L/∂W · W
is above 0. So each cut is a step along the gradient, and its length in each removed weight is |W|.
"""

# ruff: noqa: N803, N806 - S, M and W are the papers' symbols, as in prunebert/methods
from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import torch

from prunebert.choices import Head, Prunable
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.top_v import Masks, Scores, keep_top
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import NonNegative
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, weights

log = logging.getLogger("prunebert.first_cut")  # what does not begin so stays out of run.log
SPARSITIES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5)
BATCHES = 8  # training batches in each mean


def first_cut(
    net: SubNetwork, task: Task, *, fit: Fit, score_lr: NonNegative, prunable: Prunable, head: Head
) -> Iterator[Phase]:
    """Phases: scores, which trains scores, weights and the head, and removes nothing."""
    key = net.add_head(task.form(), head)
    S = net.new_scores(prunable)
    ones = {n: torch.ones_like(s, dtype=torch.bool) for n, s in S.items()}

    def masks(t: float, hard: bool) -> Masks:
        return ones if hard else straight_through(ones, S)

    yield Phase(
        name="scores",
        task=task,
        head=key,
        fit=fit,
        train=[*weights(net, key, fit, embeddings=False), Group(name="scores", tensors=S, lr=score_lr)],
        masks=masks,
        loss=lambda out, batch, t: task.loss(out, batch),
    )
    for name, scores in rankings(net, S).items():
        losses = [cut_loss(net, task, key, fit, scores, s) for s in SPARSITIES]
        log.info("%s: %s", name, " ".join(f"{s:g}:{x:.3f}" for s, x in zip(SPARSITIES, losses, strict=True)))


def rankings(net: SubNetwork, S: Scores) -> dict[str, Scores]:
    """Return the four rankings' scores by name."""
    generator = net.generator("first cut")
    theta = net.parameters_of()
    return {
        "movement": {n: s.detach() for n, s in S.items()},
        "reversed": {n: -s.detach() for n, s in S.items()},
        "random": {n: torch.rand(s.shape, generator=generator).to(s.device) for n, s in S.items()},
        "magnitude": {n: theta[n].detach().abs() for n in S},
    }


def cut_loss(net: SubNetwork, task: Task, head: str, fit: Fit, scores: Scores, sparsity: float) -> float:
    """Return the mean loss of BATCHES training batches with this fraction of each matrix removed."""
    M = keep_top(scores, sparsity, scope="local")
    losses = []
    with net.evaluation_mode():
        device = next(net.encoder.parameters()).device
        for batch in itertools.islice(task.batches(fit.batch_size, net.seed + 1), BATCHES):
            batch = batch.to(device)
            losses.append(float(sum(task.loss(net(batch, head, M), batch).values())))
    return sum(losses) / len(losses)
