"""The one training loop. It trains what a Phase lists, under the Phase's masks, and knows no method."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunebert.errors import Diverged
from prunebert.masks.top_v import Masks, sparsity
from prunebert.network.models import hash_of
from prunebert.network.subnetwork import SubNetwork
from prunebert.system import distributed
from prunebert.system.impl import Impl
from prunebert.system.progress import Progress
from prunebert.training.checkpoints import Checkpoints, NoCheckpoints
from prunebert.training.phase import Phase
from prunebert.training.prefetch import ahead
from prunebert.training.state import Best, Moment
from prunebert.training.step import LOWER, Stepper

log = logging.getLogger(__name__)
LOG_EVERY = 0.005  # of the steps: 200 lines a phase, more only where that is less than one step


@dataclass(frozen=True)
class Trained:
    """What a phase cost: steps, seconds of its training steps alone, parameters trained, and which step is kept.

    history: of its masks (see History.facts). seconds_evaluating: of the evaluation after it.
    """

    steps: int
    seconds: float
    parameters: int
    selected_step: int
    history: dict[str, Any]
    seconds_evaluating: float = 0.0


def train(
    net: SubNetwork,
    phase: Phase,
    *,
    seed: int,
    impl: Impl,
    record: Callable[[dict[str, Any]], None],
    score: Callable[[], float],
    checkpoints: Checkpoints | NoCheckpoints | None = None,
) -> Trained:
    """Run `phase` to its end; `net.masks` are then its final hard masks.

    record: takes one line of metrics.jsonl. score: the evaluation score of `net` as it stands (higher is better), asked
    every fit.eval_every steps; with fit.keep="best" the best state since phase.settled is put back at the end.
    checkpoints: where a moment of this phase may lie from which it goes on, bit for bit, and where new ones go. Raises
    Diverged at the first loss that is not finite, Stopped where a signal asked for it.
    """
    torch.manual_seed(seed)  # dropout; data and heads have generators of their own
    steps, fit = phase.steps, phase.fit
    take = Stepper(net, phase, seed=seed, impl=impl)
    best = Best(take.trained)
    checkpoints = checkpoints or NoCheckpoints()
    moment = Moment(net, phase, take.trained, take.optimizers, take.history, best)
    distributed.barrier()  # the first has by now put away what the phase before left
    first, before = checkpoints.resume(moment)
    if distributed.any_rank(first != distributed.broadcast(first)):
        raise RuntimeError("the ranks do not read the same checkpoint: is the run's directory on a file system of one?")
    batches = ahead(itertools.islice(phase.task.batches(fit.batch_size, seed), first, None), impl.torch_device)
    log_every = max(1, round(phase.planned * LOG_EVERY))
    began = time.perf_counter() - before
    net.train()
    with closing(batches), Progress(phase.name, phase.planned, first) as progress, checkpoints.delaying_signals():
        for step in range(first, phase.planned):
            t = (step + 1) / steps
            terms, told = take(step, next(batches))
            last = step + 1 == phase.planned or phase.stop(t)
            if step % log_every == 0 or last or impl.torch_device.type == "cpu":
                _check(terms, take.trained, phase.name, step, steps)
            if step % log_every == 0 or last:
                line = _line(phase, step, t, told, take.groups[0].lr * fit.rate(step, steps), terms)
                record(line)
                progress.show(step + 1, sum(v for k, v in line.items() if k.startswith("loss_")), line["sparsity"])
            if last:
                break
            if fit.eval_every and (step + 1) % fit.eval_every == 0:
                net.masks = dict(phase.masks(t, True))
                paused = time.perf_counter()
                same(net.masks)
                value = distributed.broadcast(score())
                began += time.perf_counter() - paused
                record({"phase": phase.name, "step": step + 1, "t": t, "score": value})
                if fit.keep == "best" and t >= phase.settled:
                    best.offer(value, step + 1)
            checkpoints.save_if_due(step + 1, moment, time.perf_counter() - began)
    seconds = time.perf_counter() - began  # the last step's loss was read, so a GPU is done too
    net.masks = dict(phase.masks(1.0, True))
    same(net.masks)
    done = selected = step + 1
    if fit.keep == "best":
        best.offer(distributed.broadcast(score()), done)
        selected = best.restore()
        net.masks = dict(phase.masks(1.0, True))
        log.info("kept step %d of %d, the best of the evaluations at the final sparsity", selected, done)
    net.eval()
    return Trained(done, seconds, take.end(), selected, take.history.facts(net.masks))


def _line(phase: Phase, step: int, t: float, masks: Masks, lr: float, terms: dict[str, Tensor]) -> dict[str, Any]:
    losses = {f"loss_{name}": float(value.detach()) for name, value in terms.items()}
    return {"phase": phase.name, "step": step + 1, "t": t, "sparsity": sparsity(masks), "lr": lr, **losses}


def _check(terms: dict[str, Tensor], trained: Mapping[str, Tensor], phase: str, step: int, steps: int) -> None:
    """The loss; on a GPU, which is asked only when it is logged and ranks NaN without a word, what is trained too."""
    loss = torch.stack([value.detach().float() for value in terms.values()]).sum()
    later = loss.device.type != "cpu"
    when = f"{'at or before' if later else 'at'} step {step + 1} of {steps} of phase {phase}"
    if not torch.isfinite(loss):
        values = ", ".join(f"{name}={float(value.detach()):.4g}" for name, value in terms.items())
        raise Diverged(f"the loss is not finite {when} ({values}); {LOWER}")
    if later and torch.stack([x.detach().isnan().any() for x in trained.values()]).any():
        raise Diverged(f"what is trained became NaN {when}; {LOWER}")


def same(masks: Masks | Mapping[str, Tensor]) -> None:
    """Raise RuntimeError unless these masks are bit for bit the same on every rank."""
    if distributed.COUNT == 1:
        return
    own = hash_of(dict(masks))
    if distributed.any_rank(own != distributed.broadcast(own)):
        raise RuntimeError("the ranks' masks are not the same")
