"""SparseBERT (Xu et al., "Rethinking Network Pruning – under the Pre-train and Fine-tune Paradigm", NAACL 2021).

It prunes the pre-trained network while distilling from the fine-tuned one. Read from its code and slides; its text is
not verified.

    teacher: BERT fine-tuned on the task; student: pre-trained BERT, pruned by gradual magnitude,
    M_t = Top_v(|W_t| ⊙ M_{t-1}) in every matrix, s(t) = s_f (1 - (1 - t)³), about 100 updates; a mask never regrows
    L = Σ_layers MSE(attention scores) + Σ_{layers + 1} MSE(hidden states) + CE(teacher's, student's logits), 1:1:1

The loss does not use the labels. For regression the last term is the squared error (see distill.tinybert).

Deviations
----------
The code is not followed in these points:

- Its teacher is never put into evaluation mode and teaches with dropout. Here the teacher is in evaluation mode.
- Its classifier applies a ReLU to the pooled output, which its own teacher lacks. Here both have BERT's head.
- Its last update comes at 99 % of the run. Here it comes at the end.
- It trains on data augmented as in TinyBERT. Here that is augment=mlm, off by default.
- Its optimizer is BertAdam. It clips each tensor's gradient to norm 1, has ε = 1e-6 and no bias correction, and decays
  the head's weights too. Over 1,000 steps it moves weights 2.2 times as far as AdamW, the optimizer here.
- It pads every text to 128 tokens on all tasks. The first two terms of the loss are means over all positions, padding
  too, so their weight beside the logits depends on it. On one toy batch (a mean of 15.5 tokens, padded to 24) the
  attention term is 0.189. Padded to the batch's longest text, it is 1.122. fit=paper pads like the code
  (task.padding=max_length). The other budgets pad to the longest text.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head. It needs two trainings: the teacher's (teacher_fit), unless a finished one is
given, and the student's (fit). With augment=mlm an epoch grows with the number of rows.

Citation
--------
Xu et al., "Rethinking Network Pruning – under the Pre-train and Fine-tune Paradigm", NAACL 2021.
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


def sparsebert(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    updates: Count,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    allocation: Text = "uniform",
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Prune by magnitude, gradually, under distillation. Phases: teacher, prune."""
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
