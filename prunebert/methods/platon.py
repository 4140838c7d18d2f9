"""PLATON (Zhang et al., ICML 2022): remove the weights whose importance is small and certain, and let them come back.

Read from its released code. At every step, after the optimizer has moved the weights:

    I = |w · ∂L/∂w|,  averaged over ΔT steps (`interval`)                                the sensitivity
    Ī ← β₁ Ī + (1 - β₁) I
    Ū ← β₂ Ū + (1 - β₂) |I - Ī|,  with the new Ī                                         the uncertainty
    M = Top_v(Ī · Ū) over all matrices together,   W ← W ⊙ M in place
    s(t) = s_f (1 - (1 - u)³)

Masks are computed every ΔT steps, and at every step from schedule.end on. The forward pass between them reads W itself:
a removed weight is set to 0, then trained on, and its importance decides whether it comes back. The run ends with a
ranking, so the removed weights of the result are 0.

Deviations
----------
- The released code also prunes the biases whose names match those of the matrices. On BERT-base these are 82,944
  biases beside 84,934,656 weights. Here the matrices alone are pruned.
- Where fewer than ΔT steps come before schedule.end, the first average has these steps only. A run of 2 steps
  (fit=smoke) therefore ranks by what it has seen.
- Ī and Ū start at 0.
- Adamax is torch's, with ε = 1e-8. The value of the released code is not known.
- Where a script's value is not known, fit=paper has MNLI's: the batches of QQP, QNLI and SST-2, and QQP's warm-up.
- The paper's table of results was not read. The report therefore has no published number of this method.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head. It needs one training. Ī, Ū and the running sum of I hold three numbers for each
prunable weight. On BERT-base these are 3 · 84,934,656 · 4 bytes, or 1.0 GB.

Citation
--------
Zhang, Zuo, Liang, Bukharin, He, Chen & Zhao, "PLATON: Pruning Large Transformer Models with Upper Confidence Bound of
Weight Importance", ICML 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.top_v import Masks, Scores
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Fraction, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, weights

SUM, SENSITIVITY, UNCERTAINTY = "sum", "sensitivity", "uncertainty"  # Σ I, Ī and Ū: begin the names in a memory
Smoothing = Annotated[float, "above 0 and below 1"]  # at 0 Ī is I, so Ū and all scores are 0
Memory = dict[str, Any]  # also `steps`: those in the sum, and `averages`: how often Ī and Ū were updated


def platon(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    beta1: Smoothing,
    beta2: Fraction | Literal["paper"],
    interval: Count,
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Train the weights and set the least important ones to 0 on the way. Phases: (teacher,) prune.

    beta1, beta2: β₁ and β₂. "paper" is the script's rule for MNLI, see `paper_beta2`.
    interval: ΔT, in steps.
    """
    key = net.add_head(task.form(), head)
    W = net.prunable(prunable)
    rank = ranking(net, prunable, allocation, pattern, schedule.final)
    b2 = paper_beta2(schedule.final) if beta2 == "paper" else beta2
    kd = yield from distill(net, task)
    net.masks = rank({n: w.detach().abs() for n, w in W.items()}, 0.0)
    memory: Memory = {}

    def masks(t: float, hard: bool) -> Masks:
        return net.masks if hard else {}

    def after(t: float) -> None:
        observe(memory, W)
        is_last_part = t >= schedule.end
        if memory["steps"] == interval or (is_last_part and not memory["averages"]):
            average(memory, W, beta1, b2)
        elif not is_last_part:
            return
        net.masks = rank(scores(memory, W), schedule(t))
        for n, w in W.items():
            w.masked_fill_(~net.masks[n], 0)

    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[replace(group, optimizer="adamax") for group in weights(net, key, fit)],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        after=after,
        needs=kd.needs,
        settled=schedule.end,
        drawn=True,
        memory=memory,
    )


def observe(memory: Memory, W: Mapping[str, Tensor]) -> None:
    """Add I = |w · ∂L/∂w| of this step to the sum. A weight without a gradient has I = 0."""
    if not memory:
        memory |= {"steps": 0, "averages": 0}
        memory |= {f"{part}.{n}": torch.zeros_like(w) for part in (SUM, SENSITIVITY, UNCERTAINTY) for n, w in W.items()}
    memory["steps"] += 1
    for n, w in W.items():
        if w.grad is not None:
            memory[f"{SUM}.{n}"].add_((w * w.grad).abs_())


def average(memory: Memory, W: Mapping[str, Tensor], beta1: float, beta2: float) -> None:
    """Update Ī and then Ū by the mean of I over the steps in the sum, and start a new sum."""
    for n in W:
        now = memory[f"{SUM}.{n}"].div_(memory["steps"])
        mean = memory[f"{SENSITIVITY}.{n}"].mul_(beta1).add_(now, alpha=1 - beta1)
        memory[f"{UNCERTAINTY}.{n}"].mul_(beta2).add_((now - mean).abs_(), alpha=1 - beta2)
        now.zero_()
    memory["steps"] = 0
    memory["averages"] += 1


def scores(memory: Memory, W: Mapping[str, Tensor]) -> Scores:
    """Return S = Ī · Ū of every matrix."""
    return {n: memory[f"{SENSITIVITY}.{n}"] * memory[f"{UNCERTAINTY}.{n}"] for n in W}


def paper_beta2(sparsity: float) -> float:
    """Return β₂ of the released script for MNLI: 0.95 at 80 % removed, 0.9 at 85 %, 0.85 at 90 %.

    The values in between are ours: 0.95 up to 80 %, 0.9 up to 85 % and 0.85 above.
    """
    return 0.95 if sparsity <= 0.8 else 0.9 if sparsity <= 0.85 else 0.85
