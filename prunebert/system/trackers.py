"""Trackers: where the lines of metrics.jsonl go besides. At its first error a tracker is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """log: one line of metrics.jsonl. end: result.json's row, when the run is complete."""

    def log(self, line: dict[str, Any]) -> None: ...

    def end(self, row: dict[str, Any]) -> None: ...


Make = Callable[[Path, dict[str, Any]], Tracker]


class Guarded:
    """Asks a tracker, made from the run's directory and labels, until it raises anything."""

    def __init__(self, make: Make, root: Path, labels: dict[str, Any]) -> None:
        self.tracker: Tracker | None = None
        self._try(lambda: setattr(self, "tracker", make(root, labels)))

    def log(self, line: dict[str, Any]) -> None:
        """As Tracker has it."""
        if tracker := self.tracker:
            self._try(lambda: tracker.log(line))

    def end(self, row: dict[str, Any]) -> None:
        """As Tracker has it."""
        if tracker := self.tracker:
            self._try(lambda: tracker.end(row))

    def _try(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a tracker is a stranger's code
            log.warning("tracking gave up, the run goes on: %s: %s", type(error).__name__, error)
            self.tracker = None


class Nothing:
    """No tracker."""

    def log(self, line: dict[str, Any]) -> None:
        """Nothing."""

    def end(self, row: dict[str, Any]) -> None:
        """Nothing."""


def none(root: Path, labels: dict[str, Any]) -> Tracker:
    """tracking=none."""
    return Nothing()


def numbers(line: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a line, nested names dotted."""
    for key, value in line.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)


class tensorboard:  # noqa: N801 - named as in the configuration
    """Event files in the run's directory; a phase's numbers under its name."""

    def __init__(self, root: Path, labels: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(root / "tensorboard"))

    def log(self, line: dict[str, Any]) -> None:
        """One scalar a number."""
        for key, value in numbers({k: v for k, v in line.items() if k not in ("phase", "step")}):
            self.writer.add_scalar(f"{line['phase']}/{key}", value, line["step"])

    def end(self, row: dict[str, Any]) -> None:
        """The metrics and sparsities."""
        kept = {k: v for k, v in row.items() if k == "metrics" or k.startswith("sparsity_")}
        for key, value in numbers(kept):
            self.writer.add_scalar(f"result/{key}", value, row["steps"])
        self.writer.close()


class wandb:  # noqa: N801 - named as in the configuration
    """Weights & Biases, or a module with its interface (trackio)."""

    def __init__(self, root: Path, labels: dict[str, Any], *, module: str, project: str) -> None:
        self.module: Any = import_module(module)
        where = {"dir": str(root)} if module == "wandb" else {}
        name = f"{labels['method']}-{labels['task']}-{labels['sparsity']}-{labels['seed']}-{labels['identity'][:6]}"
        self.module.init(project=project, name=name, config=labels, **where)

    def log(self, line: dict[str, Any]) -> None:
        """The line's numbers under its phase's name."""
        self.module.log({f"{line['phase']}/{k}": v for k, v in numbers(line)})

    def end(self, row: dict[str, Any]) -> None:
        """The numbers of the result, then the end."""
        self.module.log({f"result/{k}": v for k, v in numbers({"metrics": row["metrics"], "score": row["score"]})})
        self.module.finish()
