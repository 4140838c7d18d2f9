"""RigL, sparse training that drops by magnitude and grows by gradient (Evci et al., ICML 2020).

The network is sparse from the first step. At every `interval`-th step k < T_end = stop · T, in each matrix with n_M
remaining weights, nothing is trained, and the mask changes (Algorithm 1):

    drop:  the f(k) · n_M remaining weights of smallest |w|
    grow:  as many of largest |∂L/∂w| among all that do not remain, with the value 0
    f(k) = α/2 (1 + cos(π k / T_end)),   α = drop_fraction

Each matrix keeps its number of weights. allocation=erk sets it: the density is proportional to (n_in + n_out) /
(n_in · n_out), and at most 1. With pattern=RxC blocks are dropped and grown, by their sums of |w| and |∂L/∂w|.

Removed weights are set to exactly 0 before an update, so the network without masks computes the same function, and its
gradients are those of all weights. Most removed weights of the stored network are therefore 0. The mask file, not these
zeros, records what is removed. A dropped weight may be grown again in the same update. It then keeps its value, as in
the released code.

Deviations
----------
- The start. The paper trains from random weights under random masks. Here the weights are pre-trained, and the first
  mask keeps the largest of each matrix. start=random draws it.
- The optimizer's moments. The code sets the momentum of a grown weight to 0. Here AdamW's moments go on. They are
  exactly 0 for a weight that never remained. For a weight dropped k steps before, they are 0.9^k (first) and 0.999^k
  (second) of what they were: 0.00003 and 0.90 after 100 steps.
- Ties. The code adds noise of standard deviation 1e-5 to |w| before it drops. Here the later one of two equal weights
  is dropped.
- The first update. The code updates at step 0 too. Here it comes after `interval` steps.
- T_end. The code stops after 25,000 steps of its ImageNet run. Here the end is a share of the run, 0.75.
- The budget is ours, because the paper has images and characters. fit=paper is that of the magnitude baseline in
  movement pruning's sheet, with trained embeddings.

The sources that were read give no results of RigL on the tasks here, so no published row stands beside it.

Cost
----
It trains all weights and a new head. It needs one training. Masks save no time here: every step costs what a dense
step costs. An update ranks each matrix twice.

Citation
--------
Evci, Gale, Menick, Castro & Elsen, "Rigging the Lottery: Making All Tickets Winners", ICML 2020.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.draws import uniform_like
from prunebert.masks.ranking import Ranking
from prunebert.masks.top_v import Masks, TopV
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Fraction, Share, Text
from prunebert.runs.reuse import ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, weights

log = logging.getLogger(__name__)
Tensors = Mapping[str, Tensor]


def rigl(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    start: Literal["magnitude", "random"],
    interval: Count,
    stop: Share,
    drop_fraction: Fraction,
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Train sparsely and move the masks. Phases: (teacher,) prune.

    start: what the first mask keeps. interval: steps from one update to the next. stop: the share of the run after
        which no update comes. drop_fraction: α.
    """
    _refuse(allocation, pattern)
    key = net.add_head(task.form(), head)
    rank = ranking(net, prunable, allocation, pattern, sparsity)
    kd = yield from distill(net, task)
    W = net.prunable(prunable)
    generator = net.generator("first masks")
    S = {n: w.detach().abs() if start == "magnitude" else uniform_like(w, generator) for n, w in W.items()}
    net.masks = rank(S, sparsity)
    remaining = {n: int(M.sum()) // rank.pattern.unit for n, M in net.masks.items()}
    T = fit.steps_for(task.train_rows)
    updates = [k for k in range(interval, T, interval) if k < stop * T]
    if not updates:
        log.warning("method.interval=%d: the run has %d steps, so its masks never change", interval, T)
    at = {k / T: k for k in updates}
    train = weights(net, key, fit)

    def masks(t: float, hard: bool) -> Masks:
        if hard or t not in at:
            return net.masks
        with torch.no_grad():
            for n, w in W.items():
                w.mul_(net.masks[n])
        return {}

    def gradients(t: float) -> None:
        if t in at:
            G = {n: torch.zeros_like(w) if w.grad is None else w.grad for n, w in W.items()}
            net.masks = updated(rank, net.masks, W, G, remaining, dropped_share(t / stop, drop_fraction))
            for group in train:
                for x in group.tensors.values():
                    x.grad = None  # an update takes the place of the step

    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=train,
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        gradients=gradients,
        needs=kd.needs,
        settled=max(at, default=0.0),
        drawn=True,  # an update's forward pass has no masks, although the network has
    )


def dropped_share(u: float, alpha: float) -> float:
    """Return f = α/2 (1 + cos(π u)), the share of the remaining weights that is dropped. u = k / T_end, at most 1."""
    return alpha / 2 * (1 + math.cos(math.pi * u))


def updated(rank: Ranking, M: Masks, W: Tensors, G: Tensors, remaining: dict[str, int], f: float) -> dict[str, Tensor]:
    """Return the masks after one update: in each matrix the smallest |w| are dropped, and the largest |g| grown.

    Args:
        rank: its pattern may make blocks of the weights; its given masks limit where weights grow.
        M: the masks, bool, by name.
        W: the weights.
        G: the gradients of all weights, those of removed ones too.
        remaining: how many weights, or blocks, of each matrix its mask keeps.
        f: the share of them that is dropped, and grown; the number is rounded down.
    """
    dropped = {n: int(f * count) for n, count in remaining.items()}
    stays = _largest(rank, W, M, {n: remaining[n] - dropped[n] for n in M})
    grown = _largest(rank, G, {n: ~m for n, m in stays.items()}, dropped)
    return {n: stays[n] | grown[n] for n in M}


def _largest(rank: Ranking, x: Tensors, among: Masks, counts: dict[str, int]) -> dict[str, Tensor]:
    """Return True at the `counts` largest |x| of each matrix, all of them where `among` is True."""
    S = {n: x[n].detach().abs().masked_fill(~m, -math.inf) for n, m in among.items()}
    return rank.by_pattern(S, lambda reduced: TopV().keep(reduced, [counts[n] for n in reduced]))


def _refuse(allocation: str, pattern: str) -> None:
    """Raise BadInput for what has no meaning here."""
    if allocation == "score":
        raise BadInput(
            "method.allocation=score: RigL has no scores that train; allowed are uniform, global, erk, a run or a file"
        )
    if ":" in pattern:
        raise BadInput(f"method.pattern={pattern}: RigL drops and grows anywhere in a matrix; allowed are none and RxC")
