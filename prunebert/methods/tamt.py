"""TAMT, task-agnostic mask training (Liu et al., "Learning to Win Lottery Tickets in BERT Transfer via Task-agnostic
Mask Training", NAACL 2022). Read from its code; its text beyond the abstract [U].

    1. mask-training, on plain text, weights frozen:   M = 1[S > φ] in every matrix,   ∂L/∂S := ∂L/∂M
       S₀ = 2φ on the largest |W| of every matrix, as many as stay, else 0;   φ = 0.01 at first
       L = L_MLM,   or L_KD = mean over layers of mean over tokens of 1 - cos(h(W ⊙ M), h(W)),   or their sum
    2. finetune, on the task: all surviving weights under that mask, which is good for any number of tasks (masks=RUN)

Where its code is not followed: it sets φ anew every 1,000 (MLM) or 100 (KD) steps and lets the sparsity drift between;
here φ is the one that removes exactly s at every step, ties by position. Its KD teacher is not put into evaluation
mode; here it rests; and its optimizer of KD is BertAdam, without bias correction, here AdamW. As in the code the
pooler's scores get no gradient (nothing reads it), and with MLM the masked-LM head trains along, except for its
decoder, whose weights are those of the unmasked embeddings; with KD alone the text is read as it is (its code hides
one token of each). Left out: first scores drawn at random, fine-tuning on less data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.distill.likeness import likeness_task
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.top_v import Masks, TopV, keep_top
from prunebert.methods.magnitude import magnitude
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.reuse import masks_of
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, Terms, finetune

if TYPE_CHECKING:
    from prunebert.tasks.mlm import MaskedLM


def tamt(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: float,
    corpus: Callable[..., MaskedLM],
    objective: Literal["mlm", "kd", "mlm_kd"],
    mask_fit: Fit,
    mask_steps: int | Literal["paper"] | None,
    tau: float,
    masks: str | None,
    prunable: Prunable,
    head: Head,
    distill: Distill,
) -> Iterator[Phase]:
    """corpus: the text's masked-LM task, still to be loaded. mask_fit: of phase 1, its lr that of the scores.

    mask_steps: where phase 1 ends, null for the end of mask_fit's schedule; "paper" for the checkpoints it took (see
    `paper_steps`). tau: φ. masks: a finished run whose masks are taken instead of phase 1. distill: of phase 2.
    Phases: (teacher,) mask-training, finetune; with masks=RUN without mask-training.
    """
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    if masks:
        M = masks_of(masks, net, prunable, sparsity)
    else:
        text = corpus(tokenizer=net.model.tokenizer, positions=net.model.positions)
        yield mask_training(net, text, mask_fit, sparsity, objective, mask_steps, tau, prunable)
        M = net.masks
    yield from finetune(net, task, key, fit, masks=M, kd=kd)


def mask_training(
    net: SubNetwork,
    text: MaskedLM,
    fit: Fit,
    sparsity: float,
    objective: str,
    stop: int | Literal["paper"] | None,
    tau: float,
    prunable: str,
) -> Phase:
    """Phase 1: S alone learns (with MLM the head's transform and biases too). It scores by the words told, with KD
    alone by the cosine of the two networks' hidden states.
    """
    steps = fit.steps_for(text.train_rows)
    last = paper_steps(sparsity, steps) if stop == "paper" else steps if stop is None else stop
    if not 1 <= last <= steps:
        raise BadInput(f"method.mask_steps={last}: the phase has {steps} steps, so this must be between 1 and {steps}")
    S = net.new_scores(prunable)
    for n, M in keep_top(magnitude(net, prunable), sparsity).items():
        S[n] += 2 * tau * M
    goals = [text] if "mlm" in objective else []
    goals += [likeness_task(net, text)] if "kd" in objective else []
    key = net.add_head(goals[0].form(), "linear" if "mlm" in objective else "states")
    rank = TopV()

    def loss(out: Outputs, batch: Batch, t: float) -> Terms:
        return {name: term for goal in goals for name, term in goal.loss(out, batch).items()}

    def masks(t: float, hard: bool) -> Masks:
        M = rank(S, sparsity)
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
    """Where in a run of 27,920 steps its masks were taken: 11,000 at 50 %, then 14, 17, 20 and 22 thousand at 90 %.

    That is what IMP needs for the same sparsity at 10 % every 2,792 steps. A shorter run ends at the same fraction.
    """
    thousands = round((10 * sparsity - 1) * 2792, -3)
    return max(1, round(min(max(thousands, 1000), 27_920) / 27_920 * steps))
