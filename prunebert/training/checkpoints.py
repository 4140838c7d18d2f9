"""Checkpoints: a run's finished phases, and the last moments of the one in training. safetensors and JSON, no pickle.

checkpoint/ in the run's directory: a file for each finished phase (what it trained, and its masks), and at most two
moments of the phase in training, the newer one first. All vanish when the run is complete. Every file appears whole or
not at all and carries a checksum; one that does not fit is told, and the older moment, or the phase's start, is taken.
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
from typing import Any

import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts, files
from prunebert.system import distributed
from prunebert.system.signals import Request, Stopped
from prunebert.training.phase import Phase
from prunebert.training.state import Moment

log = logging.getLogger(__name__)
KEPT = 2  # moments of the phase in training


@dataclass(frozen=True, kw_only=True)
class Every:
    """How often a moment is written: after so many seconds of training, or every so many steps; null: never."""

    seconds: float | None
    steps: int | None

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise BadInput(f"checkpoint.seconds={self.seconds}: must be above 0, or null for never")
        if self.steps is not None and self.steps < 1:
            raise BadInput(f"checkpoint.steps={self.steps}: must be at least 1, or null for never")


class Checkpoints:
    """Those of the run in `root`, whose metrics.jsonl is cut back to where a moment had it. Of several ranks all read,
    the first writes."""

    def __init__(self, root: Path, identity: str, every: Every, request: Request) -> None:
        self.folder, self.metrics = root / artifacts.CHECKPOINT, root / artifacts.METRICS
        self.identity, self.every, self.request = identity, every, request
        self.last, self.number, self.sure = time.monotonic(), 0, 0

    def resume(self, moment: Moment) -> tuple[int, float]:
        """Put back the newest moment of this phase that can be read: (steps done, seconds they took); else (0, 0.0)."""
        self.last = time.monotonic()  # monotonic: a clock that goes backwards changes nothing
        for file in sorted(self._moments(), reverse=True):
            self.number = max(self.number, int(file.stem.split("-")[1]))
            found = self._read(file)
            if found is None or found[1]["phase"] != moment.phase.name:
                continue
            tensors, facts = found
            if not _cut(self.metrics, facts["metrics"]):
                log.warning("%s is shorter than %s says: it is not used", self.metrics, file)
                continue
            moment.put(tensors, facts["values"])
            log.info("phase %s goes on after step %d, from %s", moment.phase.name, facts["step"], file)
            return facts["step"], facts["seconds"]
        _cut(self.metrics, self.sure)
        return 0, 0.0

    @contextmanager
    def delaying_signals(self) -> Iterator[None]:
        """While inside, a signal waits for the next step."""
        self.request.patient = True
        try:
            yield
        finally:
            self.request.patient = False

    def save_if_due(self, step: int, moment: Moment, seconds: float) -> None:
        """Once a step: write a moment where one is due or the end is asked for; raises Stopped in the latter case."""
        now = time.monotonic()
        timely = self.every.seconds is not None and now - self.last >= self.every.seconds
        counted = self.every.steps is not None and step % self.every.steps == 0
        asked = distributed.any_rank(self.request.by is not None)
        if not (timely or counted or asked):
            return
        self.number += 1
        size = self.metrics.stat().st_size if self.metrics.exists() else 0
        facts = {"phase": moment.phase.name, "step": step, "seconds": seconds, "metrics": size}
        written = self._write(f"moment-{self.number:08d}", moment.tensors(), facts | {"values": moment.values()})
        self._forget(sorted(self._moments())[:-KEPT])
        self.last = time.monotonic()
        if asked:
            where = f"after step {step} of phase {moment.phase.name}" + ("" if written else ", unsaved")
            raise Stopped(self.request.by or "another rank", where)

    def save_phase(self, phase: Phase, net: SubNetwork, facts: dict[str, Any]) -> None:
        """Keep what a phase trained, its masks, and `facts` about it; its moments go."""
        self.sure = self.metrics.stat().st_size if self.metrics.exists() else 0
        tensors = {f"{g.name}.{n}": x for g in phase.train for n, x in g.tensors.items()}
        named = {f"trained.{n}": x for n, x in tensors.items()} | {f"masks.{n}": x for n, x in net.masks.items()}
        copies = {n: x.detach().to("cpu", copy=True).contiguous() for n, x in named.items()}
        self._write(f"phase-{phase.name}", copies, {"phase": phase.name, "facts": facts, "metrics": self.sure})
        self._forget(self._moments())
        if distributed.any_rank(self.request.by is not None):
            raise Stopped(self.request.by or "another rank", f"at the end of phase {phase.name}")

    def restore_phase(self, phase: Phase, net: SubNetwork) -> dict[str, Any] | None:
        """Put back what a finished phase trained, and its masks; returns its facts. None if it has to be trained."""
        file = self.folder / f"phase-{phase.name}.safetensors"
        found = self._read(file) if file.exists() else None
        if found is None:
            return None
        tensors, facts = found
        device = next(net.parameters()).device
        with torch.no_grad():
            for group in phase.train:
                for n, x in group.tensors.items():
                    x.copy_(tensors[f"trained.{group.name}.{n}"])
        net.masks = {n.removeprefix("masks."): x.to(device) for n, x in tensors.items() if n.startswith("masks.")}
        net.eval()
        self.sure = facts["metrics"]
        log.info("phase %s was finished before", phase.name)
        return dict(facts["facts"])

    def exist(self) -> bool:
        """Whether there is something to go on from."""
        return any(self.folder.glob("*.safetensors"))

    def clear(self) -> None:
        """The run is complete, or begins anew."""
        if distributed.FIRST:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _forget(self, old: list[Path]) -> None:
        for file in old if distributed.FIRST else ():
            file.unlink(missing_ok=True)

    def _moments(self) -> list[Path]:
        return [f for f in self.folder.glob("moment-*.safetensors") if re.fullmatch(r"moment-\d+", f.stem)]

    def _write(self, name: str, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> bool:
        if not distributed.FIRST:
            return True
        file = self.folder / f"{name}.safetensors"
        try:
            self.folder.mkdir(exist_ok=True)
            files.write_tensors(file, tensors, json.dumps(facts | {"identity": self.identity}))
        except OSError as error:
            log.warning("the checkpoint %s could not be written: %s; training goes on", file, error.strerror)
            return False
        return True

    def _read(self, file: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and facts of a file; None, which is told, if it is damaged or of another run."""
        try:
            tensors, text = files.read_tensors(file)
            facts = json.loads(text)
        except (OSError, ValueError) as error:
            log.warning("the checkpoint %s is damaged and is not used: %s", file, error)
            return None
        if facts["identity"] != self.identity:
            log.warning("the checkpoint %s is of another configuration and is not used", file)
            return None
        return tensors, facts


def _cut(file: Path, size: int) -> bool:
    """Cut a file back to `size` bytes; False if it is shorter than that."""
    if (file.stat().st_size if file.exists() else 0) < size:
        return False
    if file.exists() and distributed.FIRST:
        os.truncate(file, size)
    return True


class NoCheckpoints:
    """No checkpoints at all: what training without a run's directory asks instead."""

    def resume(self, moment: Moment) -> tuple[int, float]:
        """From the start."""
        return 0, 0.0

    def delaying_signals(self) -> AbstractContextManager[None]:
        """No signal is waited for."""
        return nullcontext()

    def save_if_due(self, step: int, moment: Moment, seconds: float) -> None:
        """None is ever due."""

    def save_phase(self, phase: Phase, net: SubNetwork, facts: dict[str, Any]) -> None:
        """Nothing is kept."""

    def restore_phase(self, phase: Phase, net: SubNetwork) -> dict[str, Any] | None:
        """No phase was."""
        return None

    def clear(self) -> None:
        """Nothing to clear."""
