"""Phase: one stretch of training, complete. A method is a generator of phases; the loop knows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from prunebert.fit import Fit
from prunebert.masks import Masks
from prunebert.subnetwork import Outputs, SubNetwork
from prunebert.tasks.task import Batch, Task

Method = Callable[[SubNetwork, Task], Iterator["Phase"]]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors that are trained together, at one learning rate."""

    name: str
    tensors: Mapping[str, Tensor]
    lr: float
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Phase:
    """name: of the stretch ("prune", "teacher", "finetune"). task, head, fit: whose batches, which head, what budget.

    train: only these tensors receive a gradient. masks(t, hard): the masks at progress t in [0, 1]; with hard=False
    they may carry a gradient to scores, and their values are those of hard=True wherever the method's paper has it so.
    loss(out, batch, t): named terms, which the loop adds up and logs. settled: the progress from which the sparsity is
    the final one; a best step is looked for only from there on.
    """

    name: str
    task: Task
    head: str
    fit: Fit
    train: list[Group]
    masks: Callable[[float, bool], Masks]
    loss: Callable[[Outputs, Batch, float], dict[str, Tensor]]
    settled: float = 0.0

    @property
    def steps(self) -> int:
        """Optimizer steps of the phase."""
        return self.fit.steps_for(self.task.train_rows)


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
        Group(name="head", tensors=net.head_parameters(head), lr=fit.head_lr),
    ]


def finetune(
    net: SubNetwork, task: Task, head: str, fit: Fit, *, name: str = "finetune", masks: Masks | None = None
) -> Iterator[Phase]:
    """Train all weights on the task under fixed masks (none: dense). A phase many methods share."""
    fixed = masks or {}
    yield Phase(
        name=name,
        task=task,
        head=head,
        fit=fit,
        train=weights(net, head, fit),
        masks=lambda t, hard: fixed,
        loss=lambda out, batch, t: task.loss(out, batch),
    )
