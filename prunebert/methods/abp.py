"""AbP, Adapting by Pruning (Gao, Colombo & Wang 2021, arXiv 2105.03343).

It trains no weights, only which of them are used, together with a small head p. Every weight stays as pre-trained.

    f(x; w₀ ⊙ m, p),   m = σ(t_l θ),  t_l = 10⁵: in numbers 1[θ > 0]                                      (Eq. 1)
    ∇̃_θ L = ∇_m L ⊙ t_s σ(t_s θ)(1 - σ(t_s θ))          forward with t_l, backward with t_s = 1            (Eq. 4)
    p ← p - β ∇_p L,   θ ← θ - α ∇̃_θ L - γ 1             γ pushes all θ down                               (Eq. 6-7)
    until the fraction of θ ≤ 0 is the target: one global sparsity, embeddings pruned too                   (Alg. 1)

The θ of a removed weight is still trained, so the weight may recover. topology.json counts these (`history`).

Deviations
----------
The paper cannot be followed exactly in these points:

- θ₀. N(0.01, "variance 0.001") would start with 37.6 % of θ below 0, which the paper excludes. Here 0.001 is the
  standard deviation.
- Optimizer. Plain SGD at α = 2e-5 moves θ by orders of magnitude too little (inferred). Here θ is trained by Adam, with
  ε = 1e-12, because many gradients are below the usual 1e-8. optimizer=sgd is the literal update of θ, except that the
  gradient is clipped and the rate decays. The head is trained by AdamW in both cases.
- γ. On the small tasks γ · steps cannot reach the targets (inferred). Here γ is set at every step such that exactly the
  scheduled fraction of θ is ≤ 0. It may be negative. control=paper is Algorithm 1: γ is constant but decays with the
  learning rate. The phase ends once the target is met; if it is missed, a warning says so.
- Masked tensors. The paper does not list them. Here they are the encoder's matrices, the pooler and the word
  embeddings. Its head does not read the pooler, so the pooler's θ only follow γ.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Ablations
---------
Tables 3 and 4 of the paper:

- recovery=false: a removed weight stays removed.
- ablation=shuffle: permute the mask within every matrix and train a new head.
- ablation=reinit: multiply every weight by N(1, 0.01) and train a new head.

The paper does not say whether it shuffles within matrices or over all, nor how it trains the head in either ablation
(not verified). For noisy weights it reports chance.

Cost
----
It trains the scores, one for each prunable weight, and the head. No weight is trained. It needs one training. An
ablation adds a training of the head alone.

Citation
--------
Gao, Colombo & Wang, "Adapting by Pruning: A Case Study on BERT", arXiv 2105.03343, 2021.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from prunebert.choices import Head, Prunable
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.draws import normal_like, shuffled
from prunebert.masks.top_v import Masks, Scalar, Scores, removes
from prunebert.masks.top_v import sparsity as measured
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Finite, NonNegative, Positive, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, never, train_head

log = logging.getLogger(__name__)


def abp(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    score_lr: NonNegative,
    optimizer: Literal["adamw", "sgd"],
    temperature: Positive,
    init_mean: Finite,
    init_std: NonNegative,
    control: Literal["schedule", "paper"],
    gamma: Annotated[NonNegative, "read with control=paper"],
    recovery: bool,
    ablation: Literal["none", "shuffle", "reinit"],
    prunable: Prunable,
    head: Head,
    allocation: Annotated[Text, "read with control=schedule"] = "global",
    pattern: Annotated[Text, "read with control=schedule"] = "none",
) -> Iterator[Phase]:
    """Train the masks of the pre-trained network. Phases: prune(, head).

    score_lr: α. fit.head_lr: β. temperature: t_s. init_mean, init_std: of θ₀. gamma: γ of control=paper.
    """
    if control == "paper" and schedule.final == 0:
        raise BadInput("sparsity=0: method.control=paper ends when the target is met, here before the first step")
    key = net.add_head(task.form(), head)
    before = net.snapshot(key) if ablation != "none" else {}
    theta = initial(net, prunable, init_mean, init_std)
    removed: dict[str, Tensor] = {}  # with recovery=false: what was ever removed
    rank = ranking(net, prunable, allocation, pattern, schedule.final)
    groups = [list(theta)] if allocation == "global" else [[n] for n in theta]  # each has one γ
    steps, s_f = fit.steps_for(task.train_rows), schedule.final

    def masks(t: float, hard: bool) -> Masks:
        for n, mask in removed.items():
            theta[n].data.masked_fill_(mask, -torch.inf)
        if control == "paper":
            if not hard:  # before the step's gradient instead of after it: n steps apply γ n times
                rank.shift(theta, dict.fromkeys(theta, gamma * fit.rate(round(t * steps) - 1, steps)))
            M: Masks = {n: rank.inside(n, x.detach() > 0) for n, x in theta.items()}
        else:
            M, cuts = rank.cut(theta, schedule(t))
            if not hard:
                # `cuts` are γ, and reading them would take time
                finite = recovery and allocation == "global" and removes(theta, schedule(t))
                rank.shift(theta, cuts if finite else push(theta, M, cuts, groups))  # now θ ≤ 0 exactly where removed
        if not recovery and not hard:
            removed.update({n: ~m for n, m in M.items()})
        if hard:
            return M
        return straight_through(M, theta, slope=temperature)

    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[
            Group(name="scores", tensors=theta, lr=score_lr, optimizer=optimizer, eps=1e-12),
            Group(name="head", tensors=net.head_parameters(key), lr=fit.head_lr),
        ],
        masks=masks,
        loss=lambda out, batch, t: task.loss(out, batch),
        settled=schedule.end if control == "schedule" else 1.0,
        stop=(lambda t: measured(masks(t, True)) >= s_f) if control == "paper" else never,
        memory=removed,
    )
    if control == "paper" and measured(net.masks) < s_f:
        log.warning("control=paper: γ = %g reached sparsity %.4f, below the target %g", gamma, measured(net.masks), s_f)
    if ablation != "none":
        generator = net.generator("ablation")
        net.rewind(before, key)
        if ablation == "shuffle":
            net.masks = {n: shuffled(m, generator) for n, m in net.masks.items()}
        else:
            reinitialise(net, generator)
        yield from train_head(net, task, key, fit, masks=net.masks)


def initial(net: SubNetwork, prunable: str, mean: float, std: float) -> Scores:
    """Draw θ₀ ~ N(mean, std) from the run's seed alone."""
    generator = net.generator("scores")
    return {n: normal_like(W, generator, mean, std) for n, W in net.prunable(prunable).items()}


def push(theta: Scores, M: Masks, cuts: dict[str, Scalar], groups: list[list[str]]) -> dict[str, Scalar]:
    """Return the γ of each matrix. After it θ ≤ 0 where M removes, and θ > 0 where a weight stays (except ties at 0).

    Args:
        theta: θ.
        M: the masks.
        cuts: the largest θ that is removed from each matrix.
        groups: the names of the matrices that have one γ.
    """
    gammas = dict(cuts)
    for names in groups:
        if cuts[names[0]] > -torch.inf:
            continue
        # nothing is removed, or only θ that are -inf already
        smallest = [float(theta[n].detach()[M[n]].min()) for n in names if M[n].any()]
        gammas |= dict.fromkeys(names, min(0.0, min(smallest, default=0.0) - 1e-6))
    return gammas


@torch.no_grad()
def reinitialise(net: SubNetwork, generator: torch.Generator) -> None:
    """w ← w · N(1, 0.01) for every pre-trained weight."""
    for w in net.parameters_of("pretrained").values():
        w.mul_(normal_like(w, generator, mean=1, std=0.01))
