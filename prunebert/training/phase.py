"""A Phase describes one stretch of training completely.

A method is a generator of phases. The training loop knows nothing else of a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from prunebert.fit import Fit
from prunebert.masks.top_v import Masks
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.network.zeros import completed
from prunebert.tasks.task import Task

Method = Callable[[SubNetwork, Task], Iterator["Phase"]]
Terms = dict[str, Tensor]  # the named terms of a loss, each a scalar


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors that train together: one learning rate, one optimizer."""

    name: str  # of the group; it prefixes the tensors' names in a checkpoint
    tensors: Mapping[str, Tensor]  # by name
    lr: float  # the largest; Fit.rate scales it at every step
    weight_decay: float = 0.0  # of sgd and adamax it is added to the gradient
    optimizer: Literal["adamw", "sgd", "adamax"] = "adamw"  # sgd is plain gradient descent
    eps: float = 1e-8  # AdamW's and Adamax's ε


@dataclass(frozen=True)
class Teaching:
    """A teacher's change to the loss."""

    terms: Callable[[Outputs, Batch, Terms], Terms]  # (student's outputs, batch, the task's terms) -> the loss's terms
    needs: tuple[str, ...] = ()  # the student's outputs that it reads besides the logits: "hidden", "attention"

    def __call__(self, out: Outputs, batch: Batch, terms: Terms) -> Terms:
        return self.terms(out, batch, terms)


def never(t: float) -> bool:
    """Return False: at no progress does a phase end early."""
    return False


def nothing(t: float) -> None:
    """Do nothing at any progress."""


ALONE = Teaching(lambda out, batch, terms: terms)  # no teacher


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training. The progress `t` is in (0, 1]: steps taken, the current one included, over all steps.

    Attributes:
        name: of the phase, as in result.json ("prune", "teacher", "finetune").
        task: the task that gives batches and evaluates.
        head: the key of the head that the forward pass uses.
        fit: number of steps, batch size, learning rates, evaluations.
        train: the groups of tensors that receive a gradient; no other tensor does.
        masks: masks(t, hard) -> the masks at progress t. hard=True: exact 0/1. hard=False: what the forward pass sees;
            they may carry a gradient to scores. Both have the same values unless the method's paper has others.
            Nobody may write to the returned tensors later.
        loss: loss(out, batch, t) -> named terms of the loss; the loop adds them up and logs them.
        penalty: penalty(t) -> more terms, those that need no batch. Called once a step, after the loss's backward pass.
            A term carries a gradient, or its gradient has already been added to that of the trained tensors.
        gradients: gradients(t), called once a step, when the gradients of all ranks are averaged and clipped and no
            tensor has moved. It may read, change or remove gradients. A tensor without one does not move.
        after: after(t), called once a step, when the tensors have moved. Their gradients are still there.
        dropout: False: the phase trains in evaluation mode, without dropout.
        needs: the outputs that the loss reads besides the logits: "hidden", "attention".
        settled: the progress from which the sparsity is final. The best step is chosen from there on.
        until: the step after which the phase ends although its schedules go on; None: fit's last step.
        stop: stop(t) -> whether the phase ends early. Called after every step.
        drawn: masks(t, False) are random samples, so the sparsity is measured on the hard masks.
        memory: what masks and loss carry from one step to the next, besides `train` and net.masks: numbers and tensors
            by name. Checkpoints save and restore it.
        checkpointed: False: no checkpoint is written inside the phase. After an interruption it starts again, so its
            hooks may carry what is too large for a checkpoint.
    """

    name: str
    task: Task
    head: str
    fit: Fit
    train: list[Group]
    masks: Callable[[float, bool], Masks]
    loss: Callable[[Outputs, Batch, float], Terms]
    penalty: Callable[[float], Terms] = lambda t: {}
    gradients: Callable[[float], None] = nothing
    after: Callable[[float], None] = nothing
    dropout: bool = True
    needs: tuple[str, ...] = ()
    settled: float = 0.0
    until: int | None = None
    stop: Callable[[float], bool] = never
    drawn: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    checkpointed: bool = True

    @property
    def steps(self) -> int:
        """Return the number of optimizer steps over which the progress runs from 0 to 1."""
        return self.fit.steps_for(self.task.train_rows)

    @property
    def planned(self) -> int:
        """Return the number of optimizer steps that the phase takes unless `stop` ends it earlier."""
        return min(self.until or self.steps, self.steps)


def keeping_given(phase: Phase, given: Masks) -> Phase:
    """Return a phase under the masks that the checkpoint came with. It masks what the phase itself leaves dense.

    given: SubNetwork.given. A phase whose own masks bring back a weight is refused in training (zeros.require_kept).
    """
    if not given:
        return phase
    last: dict[bool, tuple[Masks, Masks]] = {}  # the phase's masks and the completed ones: the same object comes again

    def masks(t: float, hard: bool) -> Masks:
        own = phase.masks(t, hard)
        if hard not in last or last[hard][0] is not own:
            last[hard] = own, completed(own, given)
        return last[hard][1]

    return replace(phase, masks=masks)


def weights(net: SubNetwork, head: str, fit: Fit, *, embeddings: bool = True) -> list[Group]:
    """Return groups of all weights: the pre-trained ones at fit.lr and the head at fit.head_lr.

    Weight decay applies to matrices only, as in BERT.

    Args:
        embeddings: False freezes everything below the first layer.
    """
    encoder = net.parameters_of("pretrained")
    if not embeddings:
        encoder = {n: p for n, p in encoder.items() if not n.removeprefix(net.prefix).startswith("embeddings")}
    matrices = {n: p for n, p in encoder.items() if p.ndim > 1}
    vectors = {n: p for n, p in encoder.items() if p.ndim <= 1}
    return [
        Group(name="weights", tensors=matrices, lr=fit.lr, weight_decay=fit.weight_decay),
        Group(name="biases", tensors=vectors, lr=fit.lr),
        _head_group(net, head, fit),
    ]


def finetune(
    net: SubNetwork,
    task: Task,
    head: str,
    fit: Fit,
    *,
    name: str = "finetune",
    masks: Masks | None = None,
    kd: Teaching = ALONE,
) -> Iterator[Phase]:
    """Yield one phase that trains every pre-trained weight and the head under fixed masks. Many methods share it.

    Args:
        masks: the fixed masks; None trains under those that the checkpoint came with, usually none.
        kd: what a teacher adds to the task's loss.
    """
    fixed_masks = masks or {}
    yield Phase(
        name=name,
        task=task,
        head=head,
        fit=fit,
        train=weights(net, head, fit),
        masks=lambda t, hard: fixed_masks,
        loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
        needs=kd.needs,
    )


def train_head(
    net: SubNetwork, task: Task, head: str, fit: Fit, *, masks: Masks | None = None, kd: Teaching = ALONE
) -> Iterator[Phase]:
    """Yield `finetune`'s phase with a frozen encoder: only the head is trained. The phase is called "head"."""
    for phase in finetune(net, task, head, fit, name="head", masks=masks, kd=kd):
        yield replace(phase, train=[_head_group(net, head, fit)])


def _head_group(net: SubNetwork, head: str, fit: Fit) -> Group:
    return Group(name="head", tensors=net.head_parameters(head), lr=fit.head_lr)
