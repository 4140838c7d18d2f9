"""SMP, static model pruning (Jiang et al., "Pruning Pre-trained Language Models Without Fine-Tuning", ACL 2023).

Every weight stays as pre-trained. Only scores S are trained, which decide which weights are used:

    a = (W ⊙ M) x,   M = Top_v(S),   ∂L/∂S := ∂L/∂M = ∂L/∂W′ ⊙ W,  W′ = W ⊙ M       (§3, Eq. 3)
    SMP-S:  v_c^l = L · v · R(S_c^l) / Σ_l′ R(S_c^l′),   R(S) = mean σ(S/p)                 (Eq. 4)
    L = CE + λ(t) · mean over matrices of R(S),   λ_R = 400                                 (Eq. 6)
    s(t) = s_f - s_f (1 - t/N)³ for t < N, then s_f                                         (Eq. 5)

Deviations
----------
The paper and its released code disagree in these points:

- N. Paper §5.2: 7 epochs for > 70 % remaining, 3,500 steps for less. The code and its comment have it the other way
  round: the paper's sentence is swapped. `prune_steps=paper` is the code's rule (see `paper_steps`).
- λ(t). Paper: λ_R · s(t) / s_f, tied to the schedule (`penalty_ramp=sparsity`). Code: λ_R (1 - (1 - t/T)³) over the
  whole run T (`penalty_ramp=run`, default).
- R. The paper's is a sum, the code's a mean. Here it is a mean.
- Eq. 4 may allocate more than a whole matrix. The code then keeps that matrix dense and ends with too few weights. Here
  its share is capped at 1, the rest goes to the other layers of the same kind, and the configured sparsity is met.
- Best checkpoint (fit.keep=best). Here it is one at exactly the final sparsity. Their code takes the best of those
  within 0.01 of it, and prunes that one to the final sparsity. At 3 % on MNLI its candidates start at step 34,136,
  ours at N = 43,632.
- SQuAD at 3 %. The code runs 20 epochs with N = 22,650 (fit.epochs=20 method.prune_steps=22650) and ramps λ over 27,660
  of its steps. Here λ ramps over the whole run.
- STS-B with distillation. The code's KL over one logit is 0. Here it is a squared difference (distill/__init__.py).
- Training. SQuAD's softmax over padding, ε of AdamW, the clock, the counts and the batches differ from the code as
  [for movement pruning](movement.md#deviations-from-the-paper-and-its-code). The sizes are there too.
- Label words. They go through the whole masked-LM head (code), not a bare dot product with h_[CLS] (paper). See
  network/heads.py.

Cost
----
It trains the scores alone, one for each prunable weight. No weight and, with head=label_words, no head is trained. It
needs one training.

Citation
--------
Jiang et al., "Pruning Pre-trained Language Models Without Fine-Tuning", ACL 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.errors import BadInput, bad_choice
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.penalty import mean_sigmas, penalise
from prunebert.masks.top_v import Masks, Scores
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, NonNegative, Positive, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase


def smp(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    allocation: Text,
    temperature: Positive | Literal["paper"],
    score_lr: NonNegative,
    score_init: Literal["zero", "magnitude"],
    penalty: NonNegative,
    penalty_ramp: Annotated[Literal["run", "sparsity"], "read with penalty"],
    prune_steps: Count | Literal["paper"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Train the scores of the pre-trained weights. Phases: (teacher,) prune.

    allocation: "uniform" = SMP-L, "score" = SMP-S, "global" = the paper's ablation G.
    temperature: p of Eq. 4. "paper" is the code's rule: 4 at 70 % remaining and more, else 1. Its exceptions are at
        50 % without distillation: MNLI temperature=3; SQuAD temperature=4 prune_steps=5000.
    score_init: "zero" is the paper's S = 0. "magnitude" starts from S = |W| / mean |W|; it is not published, but learns
        within few steps.
    penalty: λ_R.
    prune_steps: N.
    head: a new head ("linear", the paper's ablation) trains at fit.head_lr.
    """
    key = net.add_head(task.form(), head)
    steps = fit.steps_for(task.train_rows)
    N = paper_steps(schedule.final, steps, task.span) if prune_steps == "paper" else prune_steps
    if not 1 <= N <= steps:
        raise BadInput(f"method.prune_steps={N}: the run has {steps} steps, so this must be between 1 and {steps}")
    if schedule.end != 1:
        raise BadInput(f"method.schedule.end={schedule.end}: SMP's schedule ends at method.prune_steps, in steps")
    schedule = replace(schedule, end=N / steps)
    p = (4.0 if schedule.final <= 0.3 else 1.0) if temperature == "paper" else temperature
    rank = ranking(
        net,
        prunable,
        allocation,
        pattern,
        schedule.final,
        strength=partial(mean_sigmas, temperature=p),  # Eq. 4
    )
    kd = yield from distill(net, task)
    S = initial_scores(net, prunable, score_init)

    def masks(t: float, hard: bool) -> Masks:
        M = rank(S, schedule(t))
        return M if hard else straight_through(M, S)

    def lam(t: float) -> float:
        return penalty * (1 - (1 - t) ** 3 if penalty_ramp == "run" else schedule(t) / (schedule.final or 1))

    new_head = (
        [] if net.heads[key].pretrained else [Group(name="head", tensors=net.head_parameters(key), lr=fit.head_lr)]
    )
    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[Group(name="scores", tensors=S, lr=score_lr), *new_head],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        penalty=lambda t: {"sparsity": penalise(S, lam(t))},
        needs=kd.needs,
        settled=schedule.end,
    )


def initial_scores(net: SubNetwork, prunable: str, init: str) -> Scores:
    """Return S = 0 (the released code's), or S = |W| / mean |W| of each matrix."""
    if init == "zero":
        return net.new_scores(prunable)
    if init == "magnitude":
        return {n: W.detach().abs() / W.detach().abs().mean() for n, W in net.prunable(prunable).items()}
    raise bad_choice("method.score_init", init, ["zero", "magnitude"])


def paper_steps(sparsity: float, steps: int, span: bool) -> int:
    """Return N as the released scripts set it for a run of `steps` steps. span: whether the task is SQuAD.

    | remaining  | GLUE           | SQuAD         |
    |------------|----------------|---------------|
    | up to 50 % | steps - 30,000 | steps - 5,000 |
    | 70 %       | 5,250          | 5,000         |
    | 80 %       | 3,500          | 5,000         |

    Those scripts stop with an assertion if the run is not longer than that. At 50 % or less this is every GLUE task but
    MNLI and QQP. Here N is then the fraction that it is of MNLI's run, 0.59 of the steps.
    """
    if sparsity >= 0.5:
        N = steps - (5_000 if span else 30_000)
    else:
        N = 5_000 if span else 5_250 if sparsity > 0.2 else 3_500
    return N if 0 < N <= steps else max(1, round(0.59 * steps))
