"""The only training loop. It trains what a Phase lists, under the Phase's masks, and knows no method."""

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
from prunebert.network.zeros import require_kept
from prunebert.system import distributed
from prunebert.system.impl import Impl
from prunebert.system.progress import Progress
from prunebert.training.checkpoints import Checkpoints, NoCheckpoints
from prunebert.training.phase import Phase
from prunebert.training.prefetch import prefetch
from prunebert.training.state import Best, Moment
from prunebert.training.step import LOWER, Stepper

log = logging.getLogger(__name__)
LOG_EVERY = 0.005  # fraction of the steps: 200 lines a phase; a phase of fewer steps logs each one


@dataclass(frozen=True)
class Trained:
    """The costs of a phase, and the step whose weights it kept."""

    steps: int
    seconds: float  # of the training steps, without evaluations
    parameters: int  # trained
    selected_step: int  # counted from 1; the last one unless fit.keep="best"
    history: dict[str, Any]  # of the masks, see History.facts
    seconds_evaluating: float = 0.0  # of the evaluation after the phase
    scores: int | None = None  # of the trained parameters, those outside the network; None: an earlier version's phase


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
    """Train one phase. At the end `net.masks` are its final hard masks, and the last line's sparsity is theirs.

    Args:
        record: writes one line of metrics.jsonl.
        score: returns the evaluation score of `net`, higher is better. Called every fit.eval_every steps.
            With fit.keep="best" it is also called at the end, and the best state since phase.settled is restored.
        checkpoints: gives the moment from which this phase resumes, bit for bit, and stores new ones. None: no
            checkpoints.

    Raises Diverged at the first loss that is not finite, Stopped after a signal, and BadInput where the masks bring
    back a weight that the checkpoint has removed (model.masks=zeros).
    """
    torch.manual_seed(seed)  # for dropout; data and heads have generators of their own
    steps, fit = phase.steps, phase.fit
    take_step = Stepper(net, phase, seed=seed, impl=impl)
    phase = take_step.phase
    best = Best(take_step.trained, net)
    checkpoints = checkpoints or NoCheckpoints()
    moment = Moment(net, phase, take_step.trained, take_step.optimizers, take_step.history, best)
    distributed.barrier()  # until rank 0 has stored the previous phase and removed its moments
    first_step, seconds_before = checkpoints.resume(moment)
    if distributed.any_rank(first_step != distributed.broadcast(first_step)):
        raise RuntimeError("the ranks read different checkpoints: put the run's directory on a file system they share")
    batches = prefetch(itertools.islice(phase.task.batches(fit.batch_size, seed), first_step, None), impl.torch_device)
    log_every = max(1, round(phase.planned * LOG_EVERY))
    start = time.perf_counter() - seconds_before  # moves forward by the time that evaluations take
    net.train(phase.dropout)
    with closing(batches), Progress(phase.name, phase.planned, first_step) as progress, checkpoints.delaying_signals():
        for step in range(first_step, phase.planned):
            t = (step + 1) / steps
            terms, masks = take_step(step, next(batches))
            is_last = step + 1 == phase.planned or phase.stop(t)
            is_logged = step % log_every == 0 or is_last
            if is_logged or impl.torch_device.type == "cpu":
                _check(terms, take_step.trained, phase.name, step, steps)
            if is_last:
                seconds = time.perf_counter() - start  # on a GPU the check above has waited for the step
                masks = net.masks = dict(phase.masks(1.0, True))
                take_step.history.end(masks)
            if is_logged:
                require_kept(masks, net.given)
                line = _line(take_step, step, t, masks, terms)
                record(line)
                progress.show(step + 1, sum(v for k, v in line.items() if k.startswith("loss_")), line["sparsity"])
            del masks  # no memory for them beside the next step's
            if is_last:
                break
            if fit.eval_every and (step + 1) % fit.eval_every == 0:
                net.masks = dict(phase.masks(t, True))
                evaluation_start = time.perf_counter()
                require_equal_masks(net.masks)
                current_score = distributed.broadcast(score())
                start += time.perf_counter() - evaluation_start
                record({"phase": phase.name, "step": step + 1, "t": t, "score": current_score})
                if fit.keep == "best" and t >= phase.settled:
                    best.offer(current_score, step + 1)
            checkpoints.save_if_due(step + 1, moment, time.perf_counter() - start)
    require_equal_masks(net.masks)
    steps_taken = selected_step = step + 1
    if fit.keep == "best":
        best.offer(distributed.broadcast(score()), steps_taken)
        selected_step = best.restore()
        net.masks = dict(phase.masks(1.0, True))
        kept = {"selected_step": selected_step, "score": best.score, "sparsity": sparsity(net.masks)}
        record({"phase": phase.name, "step": steps_taken, "t": t, **kept})
        log.info("kept step %d of %d, the best evaluation at the final sparsity", selected_step, steps_taken)
    net.eval()
    parameters, scores = take_step.end()
    return Trained(steps_taken, seconds, parameters, selected_step, take_step.history.facts(net.masks), scores=scores)


def _line(stepper: Stepper, step: int, t: float, masks: Masks, terms: dict[str, Tensor]) -> dict[str, Any]:
    """Return the line of metrics.jsonl for one training step. masks: those of the step, or the phase's final ones."""
    phase = stepper.phase
    place = {"phase": phase.name, "step": step + 1, "t": t}
    mask_facts = {"sparsity": sparsity(masks), "flips": stepper.history.flips()}
    lr = stepper.groups[0].lr * phase.fit.rate(step, phase.steps)
    return {**place, **mask_facts, "lr": lr, **{f"loss_{name}": float(x.detach()) for name, x in terms.items()}}


def _check(terms: dict[str, Tensor], trained: Mapping[str, Tensor], phase: str, step: int, steps: int) -> None:
    """Raise Diverged if the loss is not finite.

    On a GPU this runs only when logging, and ranking hides NaN there, so the trained tensors are checked too.
    """
    loss = torch.stack([value.detach().float() for value in terms.values()]).sum()
    on_gpu = loss.device.type != "cpu"
    when = f"{'at or before' if on_gpu else 'at'} step {step + 1} of {steps} of phase {phase}"
    if not torch.isfinite(loss):
        values = ", ".join(f"{name}={float(value.detach()):.4g}" for name, value in terms.items())
        raise Diverged(f"the loss is not finite {when} ({values}); {LOWER}")
    if on_gpu and torch.stack([x.detach().isnan().any() for x in trained.values()]).any():
        raise Diverged(f"a trained tensor became NaN {when}; {LOWER}")


def require_equal_masks(masks: Masks | Mapping[str, Tensor]) -> None:
    """Raise RuntimeError unless these masks are equal, bit for bit, on every rank."""
    if distributed.COUNT == 1:
        return
    masks_hash = hash_of(dict(masks))
    if distributed.any_rank(masks_hash != distributed.broadcast(masks_hash)):
        raise RuntimeError("the ranks' masks are not the same")
