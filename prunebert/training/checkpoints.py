"""Save and restore a run's finished phases and the latest states of the phase in training.

The folder checkpoint/ in the run's directory holds a file for each finished phase (what it trained, and its masks) and
at most two moments: states of the phase in training. All are removed when the run is complete. The files are tensor
files (runs/files.py): safetensors and JSON, no pickle. Each records the length and the hash of metrics.jsonl. For a
damaged file, or one whose metrics.jsonl was changed, there is a warning; then the older moment is used, or the phase
starts again.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from prunebert.errors import reason
from prunebert.network.models import Model
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Count, check_fields
from prunebert.runs import artifacts, files, heads, reading
from prunebert.system import distributed
from prunebert.system.signals import Request, Stopped
from prunebert.training.phase import Phase
from prunebert.training.state import Moment

log = logging.getLogger(__name__)
FACTS = {"identity", "phase", "metrics"}  # what every checkpoint records
Seconds = Annotated[float, "above 0, infinity included"]
MAX_MOMENTS = 2  # stored moments of the phase in training


@dataclass(frozen=True, kw_only=True)
class Every:
    """How often a moment is written; the two may be combined."""

    seconds: Seconds | None  # of training between two moments; None: never
    steps: Count | None  # between two moments; None: never

    def __post_init__(self) -> None:
        check_fields(self, "checkpoint")


class Checkpoints:
    """The checkpoints of the run in `root`. Of several ranks all read, the first writes.

    When a moment is restored, metrics.jsonl is cut back to its length at that moment.
    """

    def __init__(self, root: Path, identity: str, every: Every, request: Request, model: Model) -> None:
        self.folder, self.metrics = root / artifacts.CHECKPOINT, root / artifacts.METRICS
        self.identity, self.every, self.request = identity, every, request
        self.model = model  # its hash of heads is recorded once the run has read them
        self.last_time = time.monotonic()  # of the last moment; monotonic, so changes of the clock do not matter
        self.number = 0  # of the newest moment
        self.metrics_size = 0  # bytes of metrics.jsonl at the end of the last finished phase

    def resume(self, moment: Moment) -> tuple[int, float]:
        """Restore the newest readable moment of this phase.

        Returns (steps done, seconds they took); (0, 0.0) if there is no such moment.
        """
        self.last_time = time.monotonic()
        for file in sorted(self._moments(), reverse=True):
            self.number = max(self.number, int(file.stem.split("-")[1]))
            content = self._read(file)
            if content is None or content[1]["phase"] != moment.phase.name:
                continue
            tensors, facts = content
            if not self._holds_metrics_of(facts, file):
                continue
            _cut(self.metrics, facts["metrics"])
            moment.restore(tensors, facts["values"])
            log.info("phase %s goes on after step %d, from %s", moment.phase.name, facts["step"], file)
            return facts["step"], facts["seconds"]
        _cut(self.metrics, self.metrics_size)
        return 0, 0.0

    @contextmanager
    def delaying_signals(self) -> Iterator[None]:
        """Inside this context a signal takes effect at the next step."""
        self.request.patient = True
        try:
            yield
        finally:
            self.request.patient = False

    def save_if_due(self, step: int, moment: Moment, seconds: float) -> None:
        """Write a moment if one is due or a signal asked for the end. Call it after every step.

        Args:
            step: steps done in this phase.
            moment: the state to write.
            seconds: that the steps took.

        Raises:
            Stopped: a signal asked for the end.
        """
        elapsed = time.monotonic() - self.last_time
        due_by_time = self.every.seconds is not None and elapsed >= self.every.seconds
        due_by_step = self.every.steps is not None and step % self.every.steps == 0
        stopping = distributed.any_rank(self.request.by is not None)
        if not (due_by_time or due_by_step or stopping):
            return
        written = moment.phase.checkpointed and self._save(step, moment, seconds)
        if stopping:
            where = f"after step {step:,} of {moment.phase.planned:,} of phase {moment.phase.name}" + (
                "" if written else ", unsaved"
            )
            raise Stopped(self.request.by or "another rank", where)

    def _save(self, step: int, moment: Moment, seconds: float) -> bool:
        """Write a moment and remove the oldest. Returns whether it could be written."""
        self.number += 1
        facts = {"phase": moment.phase.name, "step": step, "seconds": seconds, **self._metrics_facts()}
        written = self._write(f"moment-{self.number:08d}", moment.tensors(), facts | {"values": moment.values()})
        self._remove(sorted(self._moments())[:-MAX_MOMENTS])
        self.last_time = time.monotonic()
        return written

    def save_phase(self, phase: Phase, net: SubNetwork, facts: dict[str, Any]) -> None:
        """Store what a phase trained, its masks, and `facts` about it; remove its moments."""
        metrics_facts = self._metrics_facts()
        self.metrics_size = int(metrics_facts["metrics"])
        tensors = {f"{g.name}.{n}": x for g in phase.train for n, x in g.tensors.items()}
        named = {f"trained.{n}": x for n, x in tensors.items()} | {f"masks.{n}": x for n, x in net.masks.items()}
        copies = {n: x.detach().to("cpu", copy=True).contiguous() for n, x in named.items()}
        self._write(f"phase-{phase.name}", copies, {"phase": phase.name, "facts": facts, **metrics_facts})
        self._remove(self._moments())
        if distributed.any_rank(self.request.by is not None):
            raise Stopped(self.request.by or "another rank", f"at the end of phase {phase.name}")

    def restore_phase(self, phase: Phase, net: SubNetwork) -> dict[str, Any] | None:
        """Restore what a finished phase trained, and its masks. Returns its facts; None if it has to be trained."""
        file = self.folder / f"phase-{phase.name}.safetensors"
        content = self._read(file) if file.exists() else None
        if content is None or not self._holds_metrics_of(content[1], file):
            return None
        tensors, facts = content
        device = next(net.parameters()).device
        with torch.no_grad():
            for group in phase.train:
                for n, x in group.tensors.items():
                    x.copy_(tensors[f"trained.{group.name}.{n}"])
        net.masks = {n.removeprefix("masks."): x.to(device) for n, x in tensors.items() if n.startswith("masks.")}
        net.eval()
        self.metrics_size = facts["metrics"]
        log.info("phase %s was finished before", phase.name)
        return dict(facts["facts"])

    def exist(self) -> bool:
        """Return whether there is a checkpoint to resume from."""
        return any(self.folder.glob("*.safetensors"))

    def clear(self) -> None:
        """Remove all checkpoints: the run is complete, or starts again."""
        if distributed.FIRST:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _remove(self, obsolete: list[Path]) -> None:
        for file in obsolete if distributed.FIRST else ():
            file.unlink(missing_ok=True)

    def _moments(self) -> list[Path]:
        return [f for f in self.folder.glob("moment-*.safetensors") if re.fullmatch(r"moment-\d+", f.stem)]

    def _write(self, name: str, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> bool:
        if not distributed.FIRST:
            return True
        file = self.folder / f"{name}.safetensors"
        origin = {"identity": self.identity} | ({heads.KEY: self.model.heads_read} if self.model.heads_read else {})
        try:
            self.folder.mkdir(exist_ok=True)
            files.write_tensors(file, tensors, json.dumps(facts | origin))
        except OSError as error:
            log.warning("the checkpoint %s could not be written: %s; training goes on", file, reason(error))
            return False
        return True

    def _metrics_facts(self) -> dict[str, int | str]:
        """Return the size of metrics.jsonl in bytes, and on the first rank its sha256."""
        size = self.metrics.stat().st_size if self.metrics.exists() else 0
        hashed = distributed.FIRST and size > 0
        return {"metrics": size} | ({"metrics_sha256": reading.sha256(self.metrics, size)} if hashed else {})

    def _holds_metrics_of(self, facts: dict[str, Any], file: Path) -> bool:
        """Return whether metrics.jsonl still begins as it was when the checkpoint `file` was written; warn if not.

        Checkpoints of earlier versions have no hash; then only the length is compared.
        """
        size = self.metrics.stat().st_size if self.metrics.is_file() else 0
        recorded = facts.get("metrics_sha256")
        if size < facts["metrics"]:
            log.warning("%s is shorter than when %s was written; that checkpoint is not used", self.metrics, file)
        elif recorded and reading.sha256(self.metrics, facts["metrics"]) != recorded:
            log.warning(
                "%s is damaged: it is not as when %s was written; that checkpoint is not used", self.metrics, file
            )
        else:
            return True
        return False

    def _read(self, file: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read a file's tensors and facts. Returns None, with a warning, if it is damaged or of another run."""
        try:
            tensors, text = files.read_tensors(file)
            facts = json.loads(text)
            if not isinstance(facts, dict) or not facts.keys() >= FACTS or not isinstance(facts["metrics"], int):
                raise ValueError("it does not record its identity, its phase and the length of the metrics")
        except (OSError, ValueError) as error:
            log.warning("the checkpoint %s is damaged and is not used: %s", file, error)
            return None
        if facts["identity"] != self.identity:
            log.warning("the checkpoint %s is of another configuration and is not used", file)
            return None
        return tensors, facts


def _cut(file: Path, size: int) -> None:
    """Cut a file back to `size` bytes, if it exists."""
    if file.exists() and distributed.FIRST:
        os.truncate(file, size)


class NoCheckpoints:
    """Stands in for Checkpoints where a run has no directory: it stores nothing."""

    def resume(self, moment: Moment) -> tuple[int, float]:
        """Return (0, 0.0): every phase starts at its first step."""
        return 0, 0.0

    def delaying_signals(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def save_if_due(self, step: int, moment: Moment, seconds: float) -> None:
        """Do nothing: no moment is ever due."""

    def save_phase(self, phase: Phase, net: SubNetwork, facts: dict[str, Any]) -> None:
        """Do nothing."""

    def restore_phase(self, phase: Phase, net: SubNetwork) -> dict[str, Any] | None:
        """Return None: every phase has to be trained."""
        return None

    def clear(self) -> None:
        """Do nothing."""
