"""Phase: one stretch of training, complete. A method is a generator of phases; the loop knows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from prunebert.fit import Fit
from prunebert.masks.top_v import Masks
from prunebert.network.interface import Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.task import Task

Method = Callable[[SubNetwork, Task], Iterator["Phase"]]


Terms = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors that are trained together, at one learning rate, by AdamW or by plain gradient descent."""

    name: str
    tensors: Mapping[str, Tensor]
    lr: float
    weight_decay: float = 0.0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    eps: float = 1e-8  # of AdamW


@dataclass(frozen=True)
class Teaching:
    """What a teacher makes of a loss: (student's outputs, batch, the task's terms) -> terms of the loss.

    needs: what it reads of the student's outputs besides the logits.
    """

    terms: Callable[[Outputs, Batch, Terms], Terms]
    needs: tuple[str, ...] = ()

    def __call__(self, out: Outputs, batch: Batch, terms: Terms) -> Terms:
        return self.terms(out, batch, terms)


ALONE = Teaching(lambda out, batch, terms: terms)  # no teacher


@dataclass(frozen=True, kw_only=True)
class Phase:
    """name: of the stretch ("prune", "teacher", "finetune"). task, head, fit: whose batches, which head, what budget.

    train: only these tensors receive a gradient. masks(t, hard): the masks at progress t in [0, 1], which nobody writes
    to later; with hard=False they may carry a gradient to scores, and their values are those of hard=True wherever the
    method's paper has it so.
    loss(out, batch, t): named terms, which the loop adds up and logs; needs: what it reads of the outputs besides the
    logits. penalty(t): more terms, those that need no batch; asked once a step, after the loss's backward pass. They
    carry a gradient, or it has been added to that of what is trained already. settled: the progress from which the
    sparsity is the final one; a best step is looked for only from there on. until: the step after which it ends though
    its schedules go on (null: fit's last). stop(t): asked after every step, ends it early. drawn: masks(t, False) are
    random draws, so that what is removed is told from the hard ones.
    memory: what masks and loss remember from one step to the next, besides tensors in `train` and net.masks: numbers
    and tensors by name, kept and given back by checkpoints.
    """

    name: str
    task: Task
    head: str
    fit: Fit
    train: list[Group]
    masks: Callable[[float, bool], Masks]
    loss: Callable[[Outputs, Batch, float], Terms]
    penalty: Callable[[float], Terms] = lambda t: {}
    needs: tuple[str, ...] = ()
    settled: float = 0.0
    until: int | None = None
    stop: Callable[[float], bool] = lambda t: False
    drawn: bool = False
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Optimizer steps over which progress runs from 0 to 1."""
        return self.fit.steps_for(self.task.train_rows)

    @property
    def planned(self) -> int:
        """Optimizer steps that will be taken, unless `stop` ends the phase before."""
        return min(self.until or self.steps, self.steps)


def weights(net: SubNetwork, head: str, fit: Fit, *, embeddings: bool = True) -> list[Group]:
    """Every pre-trained weight at fit.lr (weight decay on matrices only, as BERT), and the head at fit.head_lr.

    embeddings=False leaves everything below the first layer frozen.
    """
    encoder = net.parameters_of("pretrained")
    if not embeddings:
        encoder = {n: p for n, p in encoder.items() if not n.removeprefix(net.prefix).startswith("embeddings")}
    matrices = {n: p for n, p in encoder.items() if p.ndim > 1}
    rest = {n: p for n, p in encoder.items() if p.ndim <= 1}
    return [
        Group(name="weights", tensors=matrices, lr=fit.lr, weight_decay=fit.weight_decay),
        Group(name="biases", tensors=rest, lr=fit.lr),
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
        masks: the fixed masks; None trains the dense network.
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
