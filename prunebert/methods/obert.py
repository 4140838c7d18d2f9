"""oBERT, the Optimal BERT Surgeon (Kurtic et al., EMNLP 2022; read from its code and recipes, not from its text).

Train, and a few times remove the weights whose removal raises the loss least to second order, correcting the others:

    F = λI + 1/m Σ g gᵀ in blocks of B weights,   g = ∂L/∂W of a batch, in evaluation mode
    ρ_i = w_i² / (2 [F⁻¹]_ii),   M ← Top_v(ρ) over all matrices,   w ← w - F⁻¹ (w ⊙ gone / diag F⁻¹)

`gone` is 1 at the weights that this event removes. A removed weight ranks last, has no gradient and keeps its value;
only remaining weights are corrected. masks/fisher.py has F⁻¹. With block=1 no weight is corrected: F couples none.

The events are spread evenly from schedule.start to schedule.end; a single one is at the end. The first removes
init_sparsity, or all if that is less. Events on one step count once. An event that would remove nothing is left out.

An event reads m batches of gradient_batch rows. Where the blocks of all weights need more than `memory`, it reads the
same batches in several passes, one part of the blocks in each: n parts take 2n - 1 passes, for ρ and then for the
correction. The results are the same.

Deviations
----------
- Adam's moments begin at 0 after each event. The authors' framework keeps them.
- Each part between two events reads the training rows in an order of its own, from the first row on.
- Whether the authors' gradients include the teacher's term is not known to us. Here they are those of the training
  loss, the teacher's term included.
- F⁻¹ is kept as a root, L Lᵀ. It is the same update, and stays positive in float32. On random blocks of 50 weights with
  16 gradients of standard deviation 1, the plain form ends with the eigenvalue -1.1 in place of 0.30.
- SQuAD's batch, weight decay and the teacher's training are not known to us. SQuAD has batch 16, weight decay is 0, and
  the teacher is that of plain fine-tuning.
- SQuAD's softmax over padding, ε of AdamW and the batches differ as
  [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
It trains all weights and a new head. It needs one training and, for each event, m forward and backward passes for each
pass over the batches. The blocks take weights × B × 4 bytes: on BERT-base 17 GB at B = 50. At memory=8 these are three
parts and five passes, at memory=17 one pass. Its time on BERT-base was not measured. An interrupted event starts again
from its first batch.

Citation
--------
Kurtic et al., "The Optimal BERT Surgeon: Scalable and Accurate Second-Order Pruning for Large Language Models", EMNLP
2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.errors import BadInput
from prunebert.fit import BatchSize, Fit
from prunebert.masks.fisher import InverseFisher, Spans, split
from prunebert.masks.ranking import Ranking
from prunebert.methods.magnitude import magnitude
from prunebert.network.interface import Batch
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, Fraction, Positive, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import Cubic, ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, finetune


def obert(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    init_sparsity: Fraction,
    events: Count,
    gradients: Count,
    gradient_batch: BatchSize,
    block: Count,
    damping: Positive,
    memory: Positive,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    allocation: Text,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Train and prune in turn. Phases: (teacher,) train-1, fisher-1, train-2, fisher-2, …, train-K.

    init_sparsity: the sparsity of the first event, at most the final one.
    gradients, gradient_batch: m, and the rows of the batch of each.
    block, damping: B and λ of F.
    memory: for the blocks of F, in GB. It changes the number of passes, and no result.
    """
    if schedule.initial:
        raise BadInput(f"method.schedule.initial={schedule.initial:g}: set method.init_sparsity in its place")
    schedule = replace(schedule, initial=min(init_sparsity, schedule.final))
    key = net.add_head(task.form(), head)
    rank = ranking(net, prunable, allocation, pattern, schedule.final)
    kd = yield from distill(net, task)
    W = net.prunable(prunable)
    net.masks = rank(magnitude(net, prunable), 0.0)
    parts = split(W, block, memory)
    batches: Any = FirstBatches(task, gradients)
    total = gradients * (2 * len(parts) - 1)  # backward passes of an event
    reading = Fit(epochs=1, steps=total, batch_size=gradient_batch, lr=0.0, head_lr=0.0, clip=math.inf)

    def event(name: str, sparsity: float) -> Phase:
        """Return the phase that reads the gradients, and prunes at its end."""
        fisher = InverseFisher(W, block=block, damping=damping, count=gradients)
        operation = surgery(net, W, rank, sparsity, fisher, parts)

        def see(t: float) -> None:
            if round(t * total) == 1:
                next(operation)
            fisher.see({n: w.grad for n, w in W.items() if w.grad is not None})

        def end_pass(t: float) -> None:
            if round(t * total) % gradients == 0:
                next(operation, None)

        return Phase(
            name=name,
            task=batches,
            head=key,
            fit=reading,
            train=[Group(name="weights", tensors=W, lr=0.0, optimizer="sgd")],
            masks=lambda t, hard: net.masks,
            loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
            gradients=see,
            after=end_pass,
            dropout=False,
            needs=kd.needs,
            checkpointed=False,
        )

    steps = fit.steps_for(task.train_rows)
    done, k = 0, 0
    for k, (step, sparsity) in enumerate(sparsities(schedule, events, steps).items(), 1):
        if step > done:
            part = fit.part(done, step, steps)
            yield from finetune(net, task, key, part, name=f"train-{k}", masks=net.masks, kd=kd)
        yield event(f"fisher-{k}", sparsity)
        done = step
    yield from finetune(net, task, key, fit.part(done, steps, steps), name=f"train-{k + 1}", masks=net.masks, kd=kd)


def sparsities(schedule: Cubic, events: int, steps: int) -> dict[int, float]:
    """Return the sparsity after each event: by the number of steps before it, below `steps`.

    Of several events on one step the last counts. An event that removes nothing is left out.
    """
    by_step: dict[int, float] = {}
    for k in range(1, events + 1):
        t = schedule.end if k == events else schedule.start + (schedule.end - schedule.start) * (k - 1) / (events - 1)
        by_step[min(math.floor(t * steps + 1e-6), steps - 1)] = schedule(t)
    removed, rising = 0.0, {}
    for step, sparsity in by_step.items():
        if sparsity > removed:
            removed = rising[step] = sparsity
    return rising


def surgery(
    net: SubNetwork, W: Mapping[str, Tensor], rank: Ranking, sparsity: float, fisher: InverseFisher, parts: list[Spans]
) -> Iterator[None]:
    """Prune to a sparsity and correct the remaining weights. Each `yield` is a pass: m gradients go into `fisher`."""
    M, diagonal, correction = net.masks, _like(W), _like(W)
    for spans in parts:
        fisher.start(spans)
        yield
        _fill(diagonal, fisher.diagonal(), spans)
    rho = {n: (w.square() / (2 * diagonal[n])).masked_fill(~M[n], -math.inf) for n, w in W.items()}
    kept = rank(rho, sparsity)
    x = {n: w / diagonal[n] * (M[n] & ~kept[n]) for n, w in W.items()}  # w ⊙ gone / diag F⁻¹
    for spans in reversed(parts):
        if spans is not parts[-1]:  # the last part of the first round is still there
            fisher.start(spans)
            yield
        _fill(correction, fisher.times(x), spans)
    for n, w in W.items():
        w.sub_(correction[n] * kept[n])
    net.masks = kept
    fisher.start({})  # frees the blocks: a run keeps its phases


def _like(W: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: torch.empty_like(w, requires_grad=False) for n, w in W.items()}


def _fill(into: dict[str, Tensor], flat: dict[str, Tensor], spans: Spans) -> None:
    """Write the values of one part of the blocks into whole matrices."""
    for n, span in spans.items():
        into[n].view(-1)[span] = flat[n]


class FirstBatches:
    """A task whose batches are the first `count` of another's, again and again. All else is the other's."""

    def __init__(self, task: Task, count: int) -> None:
        self.task, self.count = task, count

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """Yield training batches without end, as Task.batches."""
        while True:
            yield from islice(self.task.batches(batch_size, seed), self.count)
