"""A run as a straight line: the method's phases, one after another, then everything it writes."""

from __future__ import annotations

import logging
import time
import zlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prunebert.network.models import Model
from prunebert.network.subnetwork import SubNetwork
from prunebert.result import FinishedRun, PhaseResult, code_state, write
from prunebert.runs.artifacts import Artifacts
from prunebert.system import distributed
from prunebert.system.console import counted
from prunebert.system.impl import Impl
from prunebert.system.names import brief
from prunebert.system.trackers import Guarded, Make, none
from prunebert.tasks.task import Task, constant_baseline
from prunebert.training.checkpoints import Checkpoints, NoCheckpoints
from prunebert.training.evaluate import evaluate
from prunebert.training.loop import Trained, train
from prunebert.training.phase import Method, Phase

log = logging.getLogger(__name__)
MAX_CLASSES = 200  # characters of the classes' names in the log


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How a run is carried out. Of these only `seed` is part of the run's identity."""

    impl: Impl  # device, precision, threads
    seed: int  # of data order, dropout and new heads
    labels: dict[str, Any]  # method, task, model, asked sparsity and settings worth a column, copied into the row
    checkpoints: Checkpoints | NoCheckpoints = field(default_factory=NoCheckpoints)  # of phases and training states
    tracking: Make = none  # where lines of metrics also go
    started: float | None = None  # when the command began, on time.perf_counter's clock; None: now


def run(method: Method, task: Task, model: Model, out: Artifacts, conditions: Conditions) -> dict[str, Any]:
    """Train and evaluate one sub-network and write all of `out`.

    Returns:
        What is in result.json. On a rank other than the first an empty dict: such a rank writes only metrics.jsonl.

    Raises:
        BadInput: task.score is none of the task's metrics, or what the method and the loop refuse.
    """
    started = time.perf_counter() if conditions.started is None else conditions.started
    code_state()  # now, because the user may commit or install while it trains
    impl, checkpoints = conditions.impl, conditions.checkpoints
    labels = conditions.labels | {"seed": conditions.seed}
    first_steps: list[float] = []  # seconds from the start until each phase's first line
    baseline = constant_baseline(task)  # first, because it refuses a metric that cannot score the task
    impl.start()
    tracker = Guarded(conditions.tracking, out.root, labels)

    def record(line: dict[str, Any]) -> None:
        first_steps.append(time.perf_counter() - started)
        out.record(line)
        tracker.log(line)

    net = SubNetwork(model, conditions.seed).to(impl.torch_device)
    if impl.compile:
        net.encoder.compile(dynamic=True)
    phases: list[PhaseResult] = []
    evaluation = None
    for i, phase in enumerate(method(net, task)):
        if i == 0:
            summary = ", ".join(f"{key} {labels[key]}" for key in ("method", "task", "model", "sparsity"))
            log.info("%s, seed %d, in %s", summary, conditions.seed, out.root)
            if classes := task.form().labels:
                log.info("classes: %s", brief(", ".join(map(str, classes)), MAX_CLASSES))
        if stored := checkpoints.restore_phase(phase, net):
            evaluation = None
            phases.append(PhaseResult(phase, Trained(**stored["trained"]), stored["score"]))
            continue
        log.info("phase %s: %s of %d", phase.name, counted(phase.planned, "step"), phase.fit.batch_size)

        def score(phase: Phase = phase) -> float:
            return evaluate(net, phase.task, phase.head, impl).score

        phase_seed = conditions.seed + zlib.crc32(phase.name.encode())  # the same whether or not a phase came before
        trained = train(net, phase, seed=phase_seed, impl=impl, record=record, score=score, checkpoints=checkpoints)
        evaluation_started = time.perf_counter()
        evaluation = evaluate(net, phase.task, phase.head, impl)
        trained = replace(trained, seconds_evaluating=time.perf_counter() - evaluation_started)
        phases.append(PhaseResult(phase, trained, evaluation.score))
        checkpoints.save_phase(phase, net, {"trained": asdict(trained), "score": evaluation.score})
        log.info("phase %s ends at %s %.4f", phase.name, phase.task.score, evaluation.score)
    if not distributed.FIRST:
        return {}
    if evaluation is None:  # the last phase, too, was finished before
        evaluation = evaluate(net, phases[-1].phase.task, phases[-1].phase.head, impl)
    until_first = first_steps[0] if first_steps else None
    row = write(FinishedRun(net, task, phases, evaluation, baseline, labels, impl, until_first, started), out)
    tracker.end(row)
    checkpoints.clear()
    return row
