"""Movement pruning, hard top-v (Sanh, Wolf & Rush 2020; read from the released code).

    M = Top_v(S) in every matrix,   ∂L/∂S := ∂L/∂M = ∂L/∂W′ ⊙ W,   W and S trained together,   S₀ = 0
    s(t) = s_f (1 - (1 - u)³)   after a dense warm-up, then held at s_f

The score of a removed weight is still trained, so the weight may recover. Word, position and type embeddings are
frozen, as in the released code, unless train_embeddings is true. With distill=logits the task's loss has weight 0.1 and
the teacher's 0.9, as in every distilled row of the authors' sheet, at temperature 2.

Deviations
----------
The released code differs from this in points of training. The sizes are of executed comparisons or computed:

- SQuAD. Its windows are padded to 384 tokens, and padding stays in the softmax of the span loss and of distillation.
  Here padding is left out. On random logits the cross-entropy is 6.89 with padding and 6.05 without.
- ε of AdamW. The code's AdamW (of transformers) does not correct ε for bias, as torch's does. After 20 steps of SMP,
  about 1,460 of 39,316 kept positions differ.
- Clock. The code's progress at a step is step/T, here (step + 1)/T. At 90 % sparsity the fraction remaining
  differs by at most 7e-5 in a run of 55,000 steps, and by at most 0.013 in one of 300.
- Counts. The code keeps int(v · n) of the n weights of each matrix. Here the largest remainders get the rest, so the
  total is exact. A matrix keeps at most one weight more. On BERT-base these are 34 of 8,493,466 weights at 10 %
  remaining, and 56 of 2,548,040 at 3 %.
- Batches. Every 50 batches of rows are sorted by length before they are cut into batches, and the batches are shuffled
  again. A batch therefore has texts of similar length. An epoch has every text once. On 600 rows of unequal length this
  leaves less than a fifth of the padding (tests/tasks/test_batching.py). Its effect on scores was not measured.

Cost
----
It trains the scores, one for each prunable weight, together with all weights but the embeddings, and a new head. It
needs one training.

Citation
--------
Sanh, Wolf & Rush, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.top_v import Masks, Scores
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import NonNegative, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, weights


def hard(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    score_lr: NonNegative,
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    train_embeddings: bool = False,
    pattern: Text = "none",
    score_init: Literal["zero", "magnitude"] = "zero",
) -> Iterator[Phase]:
    """Train scores and weights together. Phases: (teacher,) prune.

    score_init: "zero" is the paper's S = 0. "magnitude" starts from S = |W| / mean |W| of each matrix; it is not
        published.
    """
    key = net.add_head(task.form(), head)
    rank = ranking(net, prunable, allocation, pattern, schedule.final)
    kd = yield from distill(net, task)
    S = initial_scores(net, prunable, score_init)

    def masks(t: float, hard: bool) -> Masks:
        M = rank(S, schedule(t))
        return M if hard else straight_through(M, S)

    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=[*weights(net, key, fit, embeddings=train_embeddings), Group(name="scores", tensors=S, lr=score_lr)],
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        needs=kd.needs,
        settled=schedule.end,
    )


def initial_scores(net: SubNetwork, prunable: str, score_init: Literal["zero", "magnitude"]) -> Scores:
    """Return S = 0, or S = |W| / mean |W| of each matrix, in which every mean is 1."""
    if score_init == "zero":
        return net.new_scores(prunable)
    magnitudes = {n: W.detach().abs() for n, W in net.prunable(prunable).items()}
    return {n: magnitude / magnitude.mean() for n, magnitude in magnitudes.items()}
