"""Refuse to overwrite another run's directory; clean up after a run that never started."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.runs.artifacts import CHECKPOINT, CONFIG, LOCK, LOG, METRICS, QUEUE, RESULT, SWEEP, is_finished, runs
from prunebert.system.console import counted


def refuse_another(root: Path, is_this: Callable[[str], bool]) -> None:
    """Raise BadInput if `root` holds a run of another configuration, finished or with a checkpoint.

    is_this: returns whether the text of a config.yaml means this run.
    """
    file = root / CONFIG / "config.yaml"
    state = "finished" if is_finished(root) else "stopped" if (root / CHECKPOINT).exists() else ""
    if state and not (file.is_file() and is_this(file.read_text("utf-8"))):
        raise BadInput(
            f"hydra.run.dir={root} already holds a {state} run ({RESULT if state == 'finished' else CHECKPOINT}) of "
            "another configuration; choose another directory"
        )


def refuse_another_sweep(root: Path, is_this: Callable[[str], bool]) -> None:
    """Raise BadInput if `root` holds finished runs of another sweep, whose record this sweep would overwrite.

    is_this: returns whether the text of a multirun.yaml means this sweep.
    """
    finished = [p for p in runs(root) if is_finished(p)] if root.is_dir() else []
    if finished and not ((root / SWEEP).is_file() and is_this((root / SWEEP).read_text("utf-8"))):
        raise BadInput(
            f"hydra.sweep.dir={root} already holds {counted(len(finished), 'finished run')} of another sweep; choose "
            "another directory"
        )


def keep_record(root: Path) -> Callable[[], None]:
    """Read a sweep's record and return a function that restores it after Hydra has overwritten it."""
    file = root / SWEEP
    content = file.read_bytes() if file.is_file() else None

    def restore() -> None:
        if content is not None and file.parent.is_dir():
            file.write_bytes(content)

    return restore


def discard_empty_sweep(root: Path) -> None:
    """Remove a sweep's directory if none of its cells was ever started.

    Hydra records a sweep before it reads its cells, and submitit writes what it is about to submit. A job in the queue
    has a directory of its own, and then nothing is removed.
    """
    queue = root / QUEUE
    if not root.is_dir() or {p.name for p in root.iterdir()} - {QUEUE} != {SWEEP}:
        return
    if queue.is_dir() and any(p.is_dir() for p in queue.iterdir()):
        return
    shutil.rmtree(queue, ignore_errors=True)
    (root / SWEEP).unlink()
    discard(root)


def discard(root: Path) -> None:
    """Remove what Hydra wrote for a run that never started: its record, the log, and directories left empty."""
    if is_finished(root) or (root / METRICS).exists():
        return
    shutil.rmtree(root / CONFIG, ignore_errors=True)
    for name in (LOG, LOCK):
        (root / name).unlink(missing_ok=True)
    dated = re.fullmatch(r"\d{4}-\d\d-\d\d", root.parent.name)
    for directory in [root, *list(root.parents)[:2]] if dated else [root]:  # outputs/DATE/TIME, or what the user named
        if not directory.is_dir() or any(directory.iterdir()) or directory == Path.cwd():
            break
        directory.rmdir()
