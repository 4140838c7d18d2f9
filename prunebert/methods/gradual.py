"""GMP, gradual magnitude pruning (Zhu & Gupta 2017): remove the smallest weights little by little while training them.

    s(t) = s_f (1 - (1 - u)³),   M_t = Top_v(|W_t| ⊙ M_{t-1}) in every matrix,   f(x; W_t ⊙ M_t)

What is gone ranks last, so masks only shrink. As in SparseBERT's code the mask is made anew about 100 times a run and
not at every step (`updates`); that code's last tick comes at 99 % of the run, here the final one is at its end.

keep_pretrained=true: the survivors then go back to their pre-trained values and only a new head is trained, as AbP's
paper has its baselines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.top_v import Masks, keep_top
from prunebert.methods.magnitude import magnitude
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, train_head, weights


def gmp(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: Cubic,
    updates: int,
    scope: Literal["local", "global"],
    prunable: Prunable,
    head: Head,
    distill: Distill,
    keep_pretrained: bool,
    train_embeddings: bool = True,
) -> Iterator[Phase]:
    """Phases: (teacher,) prune(, head)."""
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    theta = net.snapshot(key) if keep_pretrained else {}
    net.masks = keep_top(magnitude(net, prunable), 0.0)
    memory = {"sparsity": 0.0}  # of the mask as it stands

    def tick(t: float) -> float:
        return 1.0 if t == 1 else math.floor(t * updates) / updates

    def masks(t: float, hard: bool) -> Masks:
        s = schedule(tick(t))
        if s > memory["sparsity"]:
            net.masks, memory["sparsity"] = keep_top(magnitude(net, prunable), s, scope), s
        return net.masks

    last = math.ceil(schedule.end * updates) / updates  # and where 0.58 · 100 is 57.99…, the next moment after it
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
