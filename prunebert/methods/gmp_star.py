"""GMP★ (Kurtic & Alistarh 2022): gradual magnitude pruning, tuned. The baseline that later papers ask for.

It is [gradual magnitude pruning](gmp.md) with a schedule that starts late and ends early, many small updates, and a
teacher that replaces the labels:

    s(t) = s_f (1 - (1 - u)³) from epoch 2 to epoch 20 of 30,  an update every 0.01 epoch (3,000 updates a run)
    M_t = Top_v(|W_t| ⊙ M_{t-1}) in every matrix,   f(x; W_t ⊙ M_t)
    L = T² KL(teacher ‖ student) on the logits,  T = 2: hardness 1, the labels are not used

The mask of epoch 20 is kept for the last 10 epochs.

Deviations
----------
The paper's abstract was read and not its text. It says that the method is "only second to oBERT". The values are those
of the authors' recipe bert-base-12layers_prune90 in sparseml, for SQuAD. What these two do not say is ours:

- Learning rate: 5e-5 in the recipe. Its course is not known. Here it falls linearly to 0. fit.decay=cyclic has cycles.
- Ranking: whether within each matrix or over all is not known. Here it is within each, as Zhu & Gupta rank.
- Initial sparsity: the recipe starts at 0. schedule.initial=0.7 jumps to 0.7 at the start, as oBERT does.
- Tasks other than SQuAD: their settings are not known. Here they have SQuAD's, with batches of 32 as oBERT's MNLI.
- Teacher: its training is not known. Here it is that of plain fine-tuning, and on SQuAD that of movement pruning.
- For regression the term is the squared difference of the two predictions ([distillation](../distillation.md)).
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head. It needs two trainings: the teacher's (teacher_fit), unless a finished one is
given, and the student's (fit). distill=none needs one.

Citation
--------
Kurtic & Alistarh, "GMP★: Well-Tuned Gradual Magnitude Pruning Can Outperform Most BERT-Pruning Methods",
arXiv 2210.06384, 2022.
"""

from __future__ import annotations

from collections.abc import Iterator

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.methods.gradual import gmp
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Text
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase


def gmp_star(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    updates: Count,
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Prune by magnitude in many small updates, under distillation. Phases: (teacher,) prune."""
    yield from gmp(
        net,
        task,
        fit=fit,
        schedule=schedule,
        updates=updates,
        allocation=allocation,
        pattern=pattern,
        prunable=prunable,
        head=head,
        distill=distill,
        keep_pretrained=False,
    )
