"""TAMT, task-agnostic mask training (Liu et al. 2022).

"Learning to Win Lottery Tickets in BERT Transfer via Task-agnostic Mask Training", NAACL 2022. Read from its code; its
text beyond the abstract is not verified.

    1. mask-training, on plain text, weights frozen:   M = 1[S > φ] in every matrix,   ∂L/∂S := ∂L/∂M
       S₀ = 2φ on the largest |W| of every matrix, as many as stay, else 0;   φ = 0.01 at first
       L = L_MLM,   or L_KD = mean over layers of mean over tokens of 1 - cos(h(W ⊙ M), h(W)),   or their sum
    2. finetune, on the task: all surviving weights under that mask, which serves any number of tasks (masks=RUN)

Deviations
----------
Its code is not followed in these points:

- It updates φ every 1,000 (MLM) or 100 (KD) steps, and the sparsity drifts in between. Here φ removes exactly s at
  every step; ties are broken by position.
- Its KD teacher is not put into evaluation mode. Here it is.
- Its optimizer for KD is BertAdam, without bias correction. Here it is AdamW.
- With KD alone its code masks one token of each text. Here the text is unchanged.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).
- Random initial scores and fine-tuning on less data are left out.

These points are as in the code:

- The pooler's scores get no gradient, because nothing reads the pooler.
- With MLM the masked-LM head is trained too, except its decoder's matrix, a copy of the unmasked embeddings.

Cost
----
Phase 1 trains the scores, one for each prunable weight; with MLM the masked-LM head too. Phase 2 trains all weights and
a new head. Phase 1 is as long as mask_fit and phase 2 as long as fit. The masks of phase 1 serve any number of tasks.

Citation
--------
Liu et al., "Learning to Win Lottery Tickets in BERT Transfer via Task-agnostic Mask Training", NAACL 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.distill.likeness import likeness_task
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.top_v import Masks, Scores
from prunebert.methods.magnitude import magnitude
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Fraction, Positive, Text
from prunebert.runs.reuse import masks_of, ranking
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, Terms, finetune

if TYPE_CHECKING:
    from prunebert.tasks.mlm import MaskedLM


def tamt(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    corpus: Annotated[Callable[..., MaskedLM], "read without masks"],
    objective: Annotated[Literal["mlm", "kd", "mlm_kd"], "read without masks"],
    mask_fit: Annotated[Fit, "read without masks"],
    mask_steps: Annotated[Count, "read without masks"] | Literal["paper"] | None,
    tau: Annotated[Positive, "read without masks"],
    masks: Text | None,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    allocation: Annotated[Text, "read without masks"] = "uniform",
    pattern: Annotated[Text, "read without masks"] = "none",
) -> Iterator[Phase]:
    """Train masks on plain text, then fine-tune. Phases: (teacher,) mask-training, finetune.

    corpus: loads the text's masked-LM task.
    mask_fit: the fit of phase 1; its lr is that of the scores.
    mask_steps: the last step of phase 1; null for the end of mask_fit's schedule, "paper" for `paper_steps`.
    tau: φ.
    masks: a finished run whose masks are used; phase 1 is left out.
    distill: of phase 2.
    """
    key = net.add_head(task.form(), head)
    if masks:
        M = masks_of(masks, net, prunable, sparsity)
    else:
        text = corpus(tokenizer=net.model.tokenizer, positions=net.model.positions)
        first, rank = (ranking(net, prunable, allocation, pattern, sparsity) for _ in range(2))
    kd = yield from distill(net, task)
    if not masks:
        S = initial_scores(first(magnitude(net, prunable), sparsity), net.new_scores(prunable), tau)
        last = last_step(mask_steps, mask_fit.steps_for(text.train_rows), sparsity)
        yield mask_training(net, text, S, mask_fit, partial(rank, sparsity=sparsity), objective, last)
        M = net.masks
    yield from finetune(net, task, key, fit, masks=M, kd=kd)


def initial_scores(largest: Masks, S: Scores, tau: float) -> Scores:
    """Return S₀ = 2φ on the largest |W| of every matrix, as many as stay, else 0.

    Args:
        largest: the masks of these |W|.
        S: zeros, changed in place.
        tau: φ.
    """
    for n, M in largest.items():
        S[n] += 2 * tau * M
    return S


def last_step(stop: int | Literal["paper"] | None, steps: int, sparsity: float) -> int:
    """Return the last step of phase 1 out of `steps`. stop: mask_steps."""
    last = paper_steps(sparsity, steps) if stop == "paper" else steps if stop is None else stop
    if not 1 <= last <= steps:
        raise BadInput(f"method.mask_steps={last}: the phase has {steps} steps, so this must be between 1 and {steps}")
    return last


def mask_training(
    net: SubNetwork,
    text: MaskedLM,
    S: Scores,
    fit: Fit,
    cut: Callable[[Scores], Masks],
    objective: str,
    last: int,
) -> Phase:
    """Return phase 1: only S is trained; with MLM the head's transform and biases too.

    Its score is the accuracy of the predicted words. With KD alone it is the cosine of both networks' hidden states.

    Args:
        net: the network.
        text: its masked-LM task.
        S: S₀.
        fit: the fit of phase 1.
        cut: gives M from S.
        objective: "mlm", "kd" or "mlm_kd".
        last: the step at which the phase ends.
    """
    goals = [text] if "mlm" in objective else []
    goals += [likeness_task(net, text)] if "kd" in objective else []
    key = net.add_head(goals[0].form(), "linear" if "mlm" in objective else "states")

    def loss(out: Outputs, batch: Batch, t: float) -> Terms:
        return {name: term for goal in goals for name, term in goal.loss(out, batch).items()}

    def masks(t: float, hard: bool) -> Masks:
        M = cut(S)
        return M if hard else straight_through(M, S)

    transform = {n: p for n, p in net.head_parameters(key).items() if n != "words"} if "mlm" in objective else {}
    return Phase(
        name="mask-training",
        task=goals[0],
        head=key,
        fit=fit,
        train=[
            Group(name="scores", tensors=S, lr=fit.lr, weight_decay=fit.weight_decay),
            Group(name="head", tensors=transform, lr=fit.head_lr),
        ],
        masks=masks,
        loss=loss,
        needs=("hidden",) if "kd" in objective else (),
        until=last,
    )


def paper_steps(sparsity: float, steps: int) -> int:
    """Return the step at which the paper takes its masks, in a run of `steps` steps.

    Of 27,920 steps these are 11, 14, 17, 20 and 22 thousand at 50, 60, 70, 80 and 90 %. IMP needs as many for the same
    sparsity, at 10 % every 2,792 steps. A shorter run ends at the same fraction.
    """
    thousands = round((10 * sparsity - 1) * 2792, -3)
    return max(1, round(min(max(thousands, 1000), 27_920) / 27_920 * steps))
