"""Distillation: a teacher's word in a method's loss. Each option may first fine-tune the teacher (teacher.py)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator

import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.distill.teacher import teacher as teacher_of
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.task import Task
from prunebert.training.phase import ALONE, Phase, Teaching, Terms

log = logging.getLogger(__name__)
Distill = Callable[[SubNetwork, Task], Generator[Phase, None, Teaching]]


def none(net: SubNetwork, task: Task) -> Generator[Phase, None, Teaching]:
    """No teacher: the loss is the task's."""
    yield from ()
    return ALONE


def logits(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    weight: float,
    temperature: float,
    teacher: str | None,
    shared: str | None = None,
    cached: bool = False,
) -> Generator[Phase, None, Teaching]:
    """(1-w) L_task + w T² KL(softmax(teacher/T) ‖ softmax(student/T)), batch mean (SMP's and movement pruning's code).

    SMP: w = 0.5, T = 2 (its Eq. 7 writes the reverse direction of what its code computes). Spans: the mean over start
    and end. Regression: T² KL over a single logit is 0 in the released code, so STS-B was never distilled there; here
    it is the squared difference of the two predictions. teacher, shared, cached: see teacher.py.
    """
    _check_logits(task, teacher, temperature)
    ask = yield from teacher_of(net, task, fit=fit, source=teacher, shared=shared, cached=cached)

    def terms(out: Outputs, batch: Batch, of_task: Terms) -> Terms:
        target = ask(batch, ())
        if task.regression:
            kd = F.mse_loss(out.logits.float(), target.logits.float())
        else:
            T = temperature
            student, goal = (_rows(x, batch, task, T) for x in (out, target))
            kd = T * T * F.kl_div(student.log_softmax(-1), goal.softmax(-1), reduction="batchmean")
        return {name: (1 - weight) * term for name, term in of_task.items()} | {"kd_logits": weight * kd}

    return Teaching(terms)


def tinybert(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    attention: float,
    hidden: float,
    logits: float,
    temperature: float,
    teacher: str | None,
    shared: str | None,
) -> Generator[Phase, None, Teaching]:
    """Σ_layers MSE(attention scores) + Σ_{layers + 1} MSE(hidden states) + soft cross-entropy of the logits, weighted.

    TinyBERT's losses (Jiao et al. 2020, Eq. 7-10) as SparseBERT's code has them, student and teacher of one size, so
    nothing is projected: scores before the softmax, entries at or below -100 (padding) set to 0; the embeddings'
    output is among the hidden states; the cross-entropy -p_teacher log p_student is a mean over batch × classes.
    Instead of the task's loss, but for regression, where the task's squared error stands for the logits' term. Spans:
    start and end are rows of their own.
    """
    _check_logits(task, teacher, temperature)
    ask = yield from teacher_of(net, task, fit=fit, source=teacher, shared=shared)
    needs = ("hidden", "attention")

    def terms(out: Outputs, batch: Batch, of_task: Terms) -> Terms:
        target = ask(batch, needs)
        found = {
            "kd_attention": attention * _mse(map(_unpadded, out.attention), map(_unpadded, target.attention)),
            "kd_hidden": hidden * _mse(out.hidden, target.hidden),
        }
        if task.regression:
            return found | {name: logits * term for name, term in of_task.items()}
        student, goal = (_rows(x, batch, task, temperature) for x in (out, target))
        entries = 2 * int(batch.inputs["attention_mask"].sum()) if task.span else student.numel()  # pads are no classes
        return found | {"kd_logits": logits * -(goal.softmax(-1) * student.log_softmax(-1)).sum() / entries}

    return Teaching(terms, needs)


def hidden_cosine(
    net: SubNetwork, task: Task, *, fit: Fit, weight: float, teacher: str | None, shared: str | None
) -> Generator[Phase, None, Teaching]:
    """L_task + w · mean over layers of mean over tokens of (1 - cos(h_student, h_teacher)): TAMT's, for any task."""
    ask = yield from teacher_of(net, task, fit=fit, source=teacher, shared=shared)

    def terms(out: Outputs, batch: Batch, of_task: Terms) -> Terms:
        return of_task | {"kd_hidden": weight * cosine(out, ask(batch, ("hidden",)), batch)}

    return Teaching(terms, ("hidden",))


def cosine(student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
    """mean over layers of mean over tokens of (1 - cos(h_student, h_teacher)); the embeddings' output is no layer.

    TAMT's code counts padding as tokens too; here it is left out.
    """
    real = batch.inputs["attention_mask"].bool()
    return torch.stack([1 - cosines[real].mean() for cosines in token_cosines(student, teacher)]).mean()


def token_cosines(student: Outputs, teacher: Outputs) -> list[Tensor]:
    """Return cos(h_student, h_teacher) of every token, [batch, length] for each layer, padding included."""
    pairs = zip(student.hidden[1:], teacher.hidden[1:], strict=True)
    return [F.cosine_similarity(s.float(), t.float(), dim=-1) for s, t in pairs]


def _check_logits(task: Task, teacher: str | None, temperature: float) -> None:
    if teacher == "pretrained" and not task.masked_lm:
        log.warning("distill.teacher=pretrained: its head is new, so its logits teach nothing; give a finished run")
    if not temperature > 0:
        raise BadInput(f"distill.temperature={temperature}: must be above 0")


def _mse(student, teacher) -> Tensor:
    return torch.stack([F.mse_loss(s.float(), t.float()) for s, t in zip(student, teacher, strict=True)]).sum()


def _unpadded(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores <= -1e2, 0.0)


def _rows(out: Outputs, batch: Batch, task: Task, temperature: float) -> Tensor:
    """[rows, choices]: logits / T; for spans start and end as two rows over the tokens, pads excluded."""
    logits = out.logits.float() / temperature
    if not task.span:
        return logits
    pad = batch.inputs["attention_mask"] == 0
    return logits.transpose(1, 2).masked_fill(pad[:, None], torch.finfo(logits.dtype).min).flatten(0, 1)
