"""GMP, gradual magnitude pruning (Zhu & Gupta 2017): remove the smallest weights step by step while training.

    s(t) = s_0 + (s_f - s_0) (1 - (1 - u)³),   M_t = Top_v(|W_t| ⊙ M_{t-1}) in every matrix,   f(x; W_t ⊙ M_t)

A removed weight ranks last, so masks only shrink.

keep_pretrained=true: afterwards the survivors are rewound to their pre-trained values and only a new head is trained,
as for the baselines in AbP's paper.

Deviations
----------
- The mask is updated about 100 times a run (`updates`), not at every step, as in SparseBERT's code. That code's last
  update comes at 99 % of the run; here it comes at the end.
- fit=paper is the magnitude baseline of movement pruning's code. SQuAD's softmax over padding, ε of AdamW, the clock,
  the counts and the batches differ from that code as
  [for movement pruning](movement.md#deviations-from-the-paper-and-its-code). The sizes are there too.

Cost
----
It trains all weights and a new head. fit=paper freezes the embeddings. It needs one training. keep_pretrained=true adds
a training of the head alone.

Citation
--------
Zhu & Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", arXiv 1710.01878,
2017.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.top_v import Masks
from prunebert.methods.magnitude import magnitude
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, train_head, weights


def gmp(
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
    keep_pretrained: bool,
    train_embeddings: Annotated[bool, "read without keep_pretrained"] = True,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Prune by magnitude, gradually. Phases: (teacher,) prune(, head).

    updates: how often the mask is updated.
    """
    rank = ranking(net, prunable, allocation, pattern, schedule.final)
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    theta = net.snapshot(key) if keep_pretrained else {}
    net.masks = rank(magnitude(net, prunable), 0.0)
    memory = {"sparsity": 0.0}  # of the current mask

    def tick(t: float) -> float:
        """Return the progress of the last update."""
        return 1.0 if t == 1 else math.floor(t * updates) / updates

    def masks(t: float, hard: bool) -> Masks:
        s = schedule(tick(t))
        if s > memory["sparsity"]:
            net.masks, memory["sparsity"] = rank(magnitude(net, prunable), s, within=net.masks), s
        return net.masks

    # The update at which the schedule ends. If rounding puts it below that (0.58 · 100 = 57.99…), the moment after it.
    last = math.ceil(schedule.end * updates) / updates
    yield Phase(
        name="prune",
        task=task,
        head=key,
        fit=fit,
        train=weights(net, key, fit, embeddings=train_embeddings),
        masks=masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        needs=kd.needs,
        settled=last if tick(last) >= schedule.end else math.nextafter(last, 1.0),
        memory=memory,
    )
    if keep_pretrained:
        net.rewind(theta, key)
        yield from train_head(net, task, key, fit, masks=net.masks, kd=kd)
