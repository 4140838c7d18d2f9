"""Distillation: a teacher's word in a method's loss. `none` and `logits`; each may first fine-tune the teacher."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert import artifacts
from prunebert.fit import Fit
from prunebert.phase import Phase, finetune
from prunebert.subnetwork import Outputs, SubNetwork
from prunebert.tasks.task import Batch, Task

Terms = dict[str, Tensor]
# (student's outputs, batch, terms of the task) -> terms of the loss
Teaching = Callable[[Outputs, Batch, Terms], Terms]
Distill = Callable[[SubNetwork, Task], Generator[Phase, None, Teaching]]


def none(net: SubNetwork, task: Task) -> Generator[Phase, None, Teaching]:
    """No teacher: the loss is the task's."""
    yield from ()
    return lambda out, batch, terms: terms


def logits(
    net: SubNetwork, task: Task, *, fit: Fit, weight: float, temperature: float, teacher: str | None
) -> Generator[Phase, None, Teaching]:
    """(1-w) L_task + w T² KL(softmax(teacher/T) ‖ softmax(student/T)), batch mean (SMP's and movement pruning's code).

    SMP: w = 0.5, T = 2 (its Eq. 7 writes the reverse direction of what its code computes). Spans: the mean over start
    and end. Regression: T² KL over a single logit is 0 in the released code, so STS-B was never distilled there; here
    it is the squared difference of the two predictions.
    teacher: directory of a finished dense run, or null to fine-tune one first, as a phase of this run.
    """
    key = net.add_head(task, "linear")
    if teacher:
        theta = artifacts.load_weights(Path(teacher).expanduser(), net, task, key)
    else:
        before = net.snapshot(key)
        yield from finetune(net, task, key, fit, name="teacher")
        theta = net.snapshot(key)
        net.rewind(before, key)

    def teach(out: Outputs, batch: Batch, terms: Terms) -> Terms:
        with net.resting():
            target = net(batch, key, theta=theta)
        if task.regression:
            kd = F.mse_loss(out.logits.float(), target.logits.float())
        else:
            T = temperature
            student, teacher = (_rows(x, batch, task) / T for x in (out, target))
            kd = T * T * F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="batchmean")
        return {name: (1 - weight) * term for name, term in terms.items()} | {"kd_logits": weight * kd}

    return teach


def _rows(out: Outputs, batch: Batch, task: Task) -> Tensor:
    """[rows, choices]: the logits; for spans start and end as two rows over the tokens, pads excluded."""
    logits = out.logits.float()
    if not task.span:
        return logits
    pad = batch.inputs["attention_mask"] == 0
    return logits.transpose(1, 2).masked_fill(pad[:, None], torch.finfo(logits.dtype).min).flatten(0, 1)
