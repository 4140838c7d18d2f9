"""One run from a composed configuration: objects are built, a directory is claimed, and the run is carried out there.

Nothing here imports Hydra. The command line hands over the configuration as plain dicts and lists, and `build`, which
makes an object of a node with a `_target_`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import Diverged
from prunebert.runs import artifacts, guard, identity, inputs, standing
from prunebert.settings import labels as row_labels
from prunebert.settings import overlaps, unused
from prunebert.system import distributed, garbage, loading, signals

if TYPE_CHECKING:
    from prunebert.network.models import Model

log = logging.getLogger(__name__)
Build = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """How the command line asked for a run."""

    choices: dict[str, str]  # config group -> the option that was chosen
    words: list[str]  # Hydra's search path first, then the overrides of the run
    as_written: dict[str, Any]  # the whole configuration before interpolations are resolved
    sweep: Path | None  # the directory of the sweep that the run is a cell of
    working_directory: Path  # where the command was given
    started: float  # when the command began, on time.perf_counter's clock
    record: dict[str, str]  # what .hydra holds: name of the file -> YAML
    is_same: Callable[[str], bool]  # whether the text of a recorded configuration means this run
    varied: dict[str, str] = field(default_factory=dict)  # of a sweep's cell: the keys that the sweep varies


class Loaded:
    """The model and the task that were loaded last, for cells of a sweep that turn out to be finished.

    A run that trains changes them. It calls `forget` first, so the next cell loads its own. Files may change in the
    meantime, too, so nothing is used for longer than a minute.
    """

    LONGEST = 60.0  # seconds

    def __init__(self) -> None:
        self.key = ""
        self.objects: tuple[Any, Any] | None = None
        self.since = 0.0  # on time.monotonic's clock

    def forget(self) -> None:
        """Keep nothing."""
        self.objects = None

    def load(self, fields: dict[str, Any], choices: dict[str, str], impl: Any, build: Build) -> tuple[Any, Any]:
        """Return the Model and the Task of a resolved configuration. Raises what their constructors raise."""
        parts = [fields["model"], fields["task"], fields["augment"], str(impl.torch_device)]
        key = json.dumps(parts, sort_keys=True, default=repr)
        if self.objects and self.key == key and time.monotonic() - self.since < self.LONGEST:
            return self.objects
        self.forget()  # the memory of the earlier model
        loading.show(f"loading model={choices['model']}")
        model = build(fields["model"])
        if augment := build(fields["augment"]):
            augment = partial(augment, model=model, device=impl.torch_device)
        distributed.start(impl.torch_device)
        loading.show(f"reading task={choices['task']}")
        with distributed.in_turn():
            task = build(fields["task"])(tokenizer=model.tokenizer, positions=model.positions, augment=augment)
        objects = model, task
        self.key, self.objects, self.since = key, objects, time.monotonic()
        return objects


def carry_out(fields: dict[str, Any], request: Request, directory: Path, build: Build, loaded: Loaded) -> bool:
    """Run, or with dry=true describe, what a resolved configuration asks for.

    Returns whether anything was trained.

    Args:
        fields: the whole configuration, resolved, without Hydra's own part.
        directory: where Hydra started the run. The run may lie elsewhere, if it was started before.
        loaded: what earlier cells of the sweep loaded.

    Raises:
        BadInput: something in the configuration or its files cannot be used.
        signals.Stopped: a signal asked for the end; a checkpoint was written if training had begun.
    """
    inputs.check(fields)
    guard.refuse_foreign(directory, "hydra.run.dir" if request.sweep is None else "hydra.sweep.dir")
    with garbage.paused():  # the thousands of modules that are imported here stay
        _import_libraries()
        every, impl = build(fields["checkpoint"]), build(fields["impl"])
        model, task = loaded.load(fields, request.choices, impl, build)
        facts = task.facts()
        method = build(fields["method"])
    pruned = row_labels.prunes(fields["method"], str(request.as_written["method"]))
    for line in unused.of_run(fields, request.as_written, request.choices, [] if request.sweep else request.words):
        log.warning("%s", line)
    shared = [*_shared_data(fields, model.name), *overlaps.of_rows(facts, facts)]
    for line in shared:
        log.warning("%s", line)
    run_identity = identity.compute(fields, facts, model.weights_hash, model.unusual())
    labels = {"identity": run_identity, "model": model.name}
    labels |= row_labels.labels(fields, request.choices, request.words, pruned) | {"overlaps": shared}
    labels |= _origin_of_masks(fields["method"])
    if model.given:
        labels["sparsity"] = _sparsity_of(model, labels, pruned)
    if fields["dry"]:
        from prunebert.commands import dry_run

        loaded.forget()
        dry_run.show(fields, build, task, model, directory, labels, request.varied)
        return False
    from prunebert.commands import info
    from prunebert.runs import claim

    start = claim.Start(
        directory=directory,
        identity=run_identity,
        working_directory=request.working_directory,
        rerun=fields["rerun"],
        sweep=request.sweep,
        record=request.record,
        is_same=request.is_same,
        heads_hash=model.heads_hash,
    )
    with signals.heeded() as stop, claim.claim_for_all_ranks(start) as home:
        claim.redirect(start, home.root)
        if home.finished:
            row = artifacts.result(home.root)
            if row["task"] != labels["task"]:
                log.warning("this run finished as task.name=%s; rerun=true repeats it under the new name", row["task"])
            log.info("finished before (rerun=true repeats it): %s", info.line(row, home.root))
            return False
        from prunebert.run import Conditions, run
        from prunebert.system.trackers import none
        from prunebert.training.checkpoints import Checkpoints

        loaded.forget()
        checkpoints = Checkpoints(home.root, run_identity, every, stop, model)
        if fields["rerun"]:
            checkpoints.clear()
        conditions = Conditions(
            impl=impl,
            seed=fields["seed"],
            labels=labels,
            checkpoints=checkpoints,
            tracking=build(fields["tracking"]) if distributed.FIRST else none,
            started=request.started,
        )
        out = artifacts.Artifacts(home.root if distributed.FIRST else directory, resumed=checkpoints.exist())
        with _early_ends(checkpoints.clear, fields["rerun"] and request.sweep is None):
            row = run(method, task, model, out, conditions)
        if distributed.FIRST:
            log.info("%s", info.line(row, home.root))
    return True


def _import_libraries() -> None:
    """Import torch and transformers before the model and data are there. The garbage collector passes them over."""
    import transformers.modeling_utils  # noqa: F401

    garbage.pass_over_modules()


def _shared_data(fields: dict[str, Any], model: str) -> Iterator[str]:
    """Yield why scores may not be held-out scores: the model, or a run that this one starts from, saw the data."""
    evaluated = overlaps.evaluated_data(fields["task"])
    yield from overlaps.of_model(model, evaluated, fields["model"])
    method = fields["method"]
    starts = [method.get("masks"), method.get("upstream"), (method.get("distill") or {}).get("teacher")]
    for value in starts:
        if not isinstance(value, str):
            continue
        root = artifacts.resolve_pointer(Path(value).expanduser())
        if artifacts.is_finished(root):
            yield from overlaps.of_tasks(overlaps.trained_data(artifacts.result(root)), evaluated, fields["task"])


def _origin_of_masks(method: dict[str, Any]) -> dict[str, Any]:
    """Return {"masks_from": facts} if the method takes the masks of another run or of a file, else {}.

    The facts of a run are its method, task, seed, sparsity, identity, fit, distill and augment, and a hash of its
    settings without the seed. Those of a file are its name and a hash of its content.
    """
    value = method.get("masks")
    if not isinstance(value, str):
        return {}
    root = artifacts.resolve_pointer(Path(value).expanduser())
    if not artifacts.is_finished(root):
        return {"masks_from": {"file": root.name, "identity": identity.content_hash(value)}}
    facts = artifacts.result(root)
    keys = ("method", "task", "seed", "sparsity", "identity", "fit", "distill", "augment")
    found = {key: facts[key] for key in keys if key in facts}
    return {"masks_from": found | {"settings": identity.without_seed(facts)}}


def _sparsity_of(model: Model, labels: dict[str, Any], pruned: bool) -> float:
    """Return the sparsity of a run on a sparse checkpoint: the asked one, or the checkpoint's if the method prunes not.

    Raises BadInput if the asked one is below the checkpoint's.
    """
    from prunebert.network import zeros
    from prunebert.network.subnetwork import SubNetwork

    net, prunable = SubNetwork(model), labels["prunable"]
    if pruned:
        zeros.require_reachable(net, prunable, labels["sparsity"])
    return labels["sparsity"] if pruned else zeros.sparsity(net, prunable)


@contextmanager
def _early_ends(clear_checkpoints: Callable[[], None], rerun: bool) -> Iterator[None]:
    """Keep the checkpoints of a run that was stopped; delete those of one that diverged, as it would diverge again."""
    try:
        yield
    except Diverged:
        clear_checkpoints()
        raise
    except signals.Stopped as stopped:
        log.warning("stopped by %s %s; %s", stopped.by, stopped.where, standing.COMMAND.go_on(rerun))
        raise
