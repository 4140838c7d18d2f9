"""Distillation options: each adds a teacher's loss terms, and may fine-tune the teacher first (teacher.py)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.distill.teacher import teacher as teacher_of
from prunebert.fit import Fit
from prunebert.network.interface import IGNORED, Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import NonNegative, Positive, Probability, Text
from prunebert.tasks.task import Task
from prunebert.training.phase import ALONE, Phase, Teaching, Terms

log = logging.getLogger(__name__)
Distill = Callable[[SubNetwork, Task], Generator[Phase, None, Teaching]]


def none(net: SubNetwork, task: Task) -> Generator[Phase, None, Teaching]:
    """Use no teacher: the loss is the task's."""
    yield from ()
    return ALONE


def logits(
    net: SubNetwork,
    task: Task,
    *,
    fit: Annotated[Fit, "read without teacher"],
    weight: Probability,
    temperature: Positive,
    teacher: Text | None,
    shared: Text | None = None,
    cached: bool = False,
) -> Generator[Phase, None, Teaching]:
    """(1-w) L_task + w T² KL(softmax(teacher/T) ‖ softmax(student/T)), batch mean (SMP's and movement pruning's code).

    SMP: w = 0.5, T = 2. Its Eq. 7 writes the reverse of the direction that its code computes.
    Spans: the mean over start and end. Labels of words: the mean over the words' first tokens.
    Spans: the mean over start and end.
    Several labels: the mean over rows and labels of T² KL between the two distributions (label, no label), whose
    probabilities are sigmoid(±z/T).
    Regression: the squared difference of the two predictions. In the released code T² KL over a single logit is 0, so
    STS-B was never distilled there.

    Args:
        net: the network to prune, which also becomes the teacher if it is fine-tuned first.
        task: the task to learn and to teach.
        fit: the training of a teacher that is fine-tuned first.
        weight: w.
        temperature: T, above 0.
        teacher, shared, cached: where the teacher and its logits come from; see teacher.teacher.
    """
    _warn_of_untrained_logits(task, teacher)
    teach = yield from teacher_of(net, task, fit=fit, source=teacher, shared=shared, cached=cached)

    def terms(out: Outputs, batch: Batch, task_terms: Terms) -> Terms:
        target = teach(batch, ())
        if task.regression:
            kd = F.mse_loss(out.logits.float(), target.logits.float())
        else:
            T = temperature
            student, target_rows = (_rows(x, batch, task, T) for x in (out, target))
            divergence = F.kl_div(student.log_softmax(-1), target_rows.softmax(-1), reduction="sum")
            kd = T * T * (divergence / max(1, len(student)))  # the words of a batch may have no token
        return {name: (1 - weight) * term for name, term in task_terms.items()} | {"kd_logits": weight * kd}

    return Teaching(terms)


def tinybert(
    net: SubNetwork,
    task: Task,
    *,
    fit: Annotated[Fit, "read without teacher"],
    attention: NonNegative,
    hidden: NonNegative,
    logits: NonNegative,
    temperature: Positive,
    teacher: Text | None,
    shared: Text | None,
) -> Generator[Phase, None, Teaching]:
    """Σ_layers MSE(attention scores) + Σ_{layers + 1} MSE(hidden states) + soft cross-entropy of the logits, weighted.

    TinyBERT's losses (Jiao et al. 2020, Eq. 7-10) as SparseBERT's code has them. Student and teacher have one size, so
    nothing is projected.
    - Attention: scores before the softmax; entries at or below -100 (padding) are set to 0.
    - Hidden states: the embeddings' output is one of them.
    - Logits: -p_teacher log p_student, a mean over batch × classes. Spans: start and end are separate rows. Labels of
      words: the words' first tokens are the rows. Of several labels, each is a row of two classes: the label and its
      absence, whose logit is 0.

    These terms replace the task's loss. Regression has no logits term: it keeps the task's squared error instead.

    Args:
        net: the network to prune, which also becomes the teacher if it is fine-tuned first.
        task: the task to learn and to teach.
        fit: the training of a teacher that is fine-tuned first.
        attention: weight of the attention scores; 0 for families where they depend on relative positions.
        hidden: weight of the hidden states.
        logits: weight of the logits, or of the task's squared error.
        temperature: divides both logits; above 0.
        teacher, shared: where the teacher comes from; see teacher.teacher.
    """
    _warn_of_untrained_logits(task, teacher)
    needs: tuple[str, ...] = ("hidden", "attention")
    if attention:
        net.require_attention_scores()
    elif not net.model.family.scores:
        needs = ("hidden",)
    teach = yield from teacher_of(net, task, fit=fit, source=teacher, shared=shared)

    def terms(out: Outputs, batch: Batch, task_terms: Terms) -> Terms:
        target = teach(batch, needs)
        layer_terms = {"kd_hidden": hidden * _mse(out.hidden, target.hidden)}
        if "attention" in needs:
            scores = (map(_unpadded, x.attention) for x in (out, target))
            layer_terms = {"kd_attention": attention * _mse(*scores), **layer_terms}
        if task.regression:
            return layer_terms | {name: logits * term for name, term in task_terms.items()}
        student, target_rows = (_rows(x, batch, task, temperature) for x in (out, target))
        # padding is not a class
        entries = 2 * int(batch.inputs["attention_mask"].sum()) if task.span else max(1, student.numel())
        cross_entropy = -(target_rows.softmax(-1) * student.log_softmax(-1)).sum()
        return layer_terms | {"kd_logits": logits * cross_entropy / entries}

    return Teaching(terms, needs)


def hidden_cosine(
    net: SubNetwork,
    task: Task,
    *,
    fit: Annotated[Fit, "read without teacher"],
    weight: NonNegative,
    teacher: Text | None,
    shared: Text | None,
) -> Generator[Phase, None, Teaching]:
    """L_task + w · mean over layers of mean over tokens of (1 - cos(h_student, h_teacher)): TAMT's, for any task."""
    teach = yield from teacher_of(net, task, fit=fit, source=teacher, shared=shared)

    def terms(out: Outputs, batch: Batch, task_terms: Terms) -> Terms:
        return task_terms | {"kd_hidden": weight * cosine_distance(out, teach(batch, ("hidden",)), batch)}

    return Teaching(terms, ("hidden",))


def cosine_distance(student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
    """Return the mean over layers of the mean over tokens of (1 - cos(h_student, h_teacher)).

    The embeddings' output does not count as a layer. Padding is left out; TAMT's code counts it as tokens.
    """
    real = batch.inputs["attention_mask"].bool()
    return torch.stack([1 - cosines[real].mean() for cosines in token_cosines(student, teacher)]).mean()


def token_cosines(student: Outputs, teacher: Outputs) -> list[Tensor]:
    """Return cos(h_student, h_teacher) of every token, [batch, length] for each layer, padding included."""
    pairs = zip(student.hidden[1:], teacher.hidden[1:], strict=True)
    return [F.cosine_similarity(s.float(), t.float(), dim=-1) for s, t in pairs]


def _warn_of_untrained_logits(task: Task, teacher: str | None) -> None:
    if teacher == "pretrained" and not task.masked_lm:
        log.warning(
            "distill.teacher=pretrained: its head is untrained, so its logits teach nothing; give a finished run"
        )


def _mse(student, teacher) -> Tensor:
    return torch.stack([F.mse_loss(s.float(), t.float()) for s, t in zip(student, teacher, strict=True)]).sum()


def _unpadded(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores <= -1e2, 0.0)


def _rows(out: Outputs, batch: Batch, task: Task, temperature: float) -> Tensor:
    """Return logits / T as [rows, choices]. For spans start and end are two rows over the tokens, without padding.

    For labels of words a row is a word's first token, which is what the task's loss reads. Of several labels, each is a
    row with the label's logit and 0, because softmax([z, 0]) is sigmoid(z) and its complement.
    """
    logits = out.logits.float() / temperature
    if getattr(task, "tokens", False):  # a class of the user's may lack these two
        return logits[batch.labels != IGNORED]
    if getattr(task, "multilabel", False):
        return torch.stack([logits, torch.zeros_like(logits)], -1).flatten(0, 1)
    if not task.span:
        return logits
    pad = batch.inputs["attention_mask"] == 0
    return logits.transpose(1, 2).masked_fill(pad[:, None], torch.finfo(logits.dtype).min).flatten(0, 1)
