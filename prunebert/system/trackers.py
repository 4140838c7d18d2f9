"""Trackers: further receivers of the lines of metrics.jsonl. A tracker that raises an error gets no more lines."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from prunebert.ranges import Text

log = logging.getLogger(__name__)
EXTRAS = ("wandb", "trackio", "tensorboard")  # packages, each installed by the extra of its name


class Tracker(Protocol):
    """What a run calls to report its metrics."""

    def log(self, line: dict[str, Any]) -> None:
        """Report one line of metrics.jsonl."""

    def end(self, row: dict[str, Any]) -> None:
        """Report the content of result.json. Called once, when the run is complete."""


Make = Callable[[Path, dict[str, Any]], Tracker]  # (the run's directory, its labels) -> a tracker


class Guarded:
    """A tracker whose errors never stop the run. After its first error it is dropped, with one warning.

    A tracker may have an attribute `place`: the text that says where its lines go. It is reported at the start.
    """

    def __init__(self, make: Make, root: Path, labels: dict[str, Any]) -> None:
        self.tracker: Tracker | None = None
        self._try(lambda: setattr(self, "tracker", make(root, labels)))
        if place := getattr(self.tracker, "place", ""):
            log.info("tracking: %s", place)

    def log(self, line: dict[str, Any]) -> None:
        """Pass the line on, unless the tracker was dropped."""
        if tracker := self.tracker:
            self._try(lambda: tracker.log(line))

    def end(self, row: dict[str, Any]) -> None:
        """Pass the row on, unless the tracker was dropped."""
        if tracker := self.tracker:
            self._try(lambda: tracker.end(row))

    def _try(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a tracker is foreign code and may raise anything
            reason = f"{type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
                reason = f"the package {error.name} is not installed; pip install 'prunebert[{error.name}]'"
            log.warning("tracking failed and is off from here on; the run continues: %s", reason)
            self.tracker = None


class NoTracker:
    """A tracker that ignores everything."""

    def log(self, line: dict[str, Any]) -> None:
        """Ignore the line."""

    def end(self, row: dict[str, Any]) -> None:
        """Ignore the row."""


def none(root: Path, labels: dict[str, Any]) -> Tracker:
    """Make the tracker of tracking=none."""
    return NoTracker()


def numbers(line: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a line by name. Names of nested numbers are joined by dots."""
    for key, value in line.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)


class tensorboard:  # noqa: N801 - named as in the configuration
    """Write event files into the run's directory. Each phase's numbers are grouped under its name."""

    def __init__(self, root: Path, labels: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = str(root / "tensorboard")
        self.writer = SummaryWriter(folder)
        self.place = f"event files in {folder}; show them with: tensorboard --logdir {shlex.quote(folder)}"

    def log(self, line: dict[str, Any]) -> None:
        """Write each number of the line as one scalar."""
        for key, value in numbers({k: v for k, v in line.items() if k not in ("phase", "step")}):
            self.writer.add_scalar(f"{line['phase']}/{key}", value, line["step"])

    def end(self, row: dict[str, Any]) -> None:
        """Write the metrics and the measured sparsities, and close the file."""
        reported = {k: v for k, v in row.items() if k == "metrics" or k.startswith("sparsity_")}
        for key, value in numbers(reported):
            self.writer.add_scalar(f"result/{key}", value, row["steps"])
        self.writer.close()


class wandb:  # noqa: N801 - named as in the configuration
    """Report to Weights & Biases, or to a module with the same interface (trackio)."""

    def __init__(self, root: Path, labels: dict[str, Any], *, module: Text, project: Text) -> None:
        self.module: Any = import_module(module)
        directory = {"dir": str(root)} if module == "wandb" else {}
        name = f"{labels['method']}-{labels['task']}-{labels['sparsity']}-{labels['seed']}-{labels['identity'][:6]}"
        self.module.init(project=project, name=name, config=labels, **directory)
        self.place = f"run {name} of project {project} in {module}" + (f", files in {root}" if directory else "")

    def log(self, line: dict[str, Any]) -> None:
        """Report the line's numbers under its phase's name."""
        self.module.log({f"{line['phase']}/{k}": v for k, v in numbers(line)})

    def end(self, row: dict[str, Any]) -> None:
        """Report the result's metrics and score, and finish."""
        self.module.log({f"result/{k}": v for k, v in numbers({"metrics": row["metrics"], "score": row["score"]})})
        self.module.finish()
