"""Directories before a run starts, and when none did: refused where another's results lie, left as they were."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.runs.artifacts import CHECKPOINT, CONFIG, LOCK, LOG, METRICS, QUEUE, RESULT, SWEEP, is_finished, runs
from prunebert.system.console import counted


def refuse_another(root: Path, same: Callable[[str], bool]) -> None:
    """Raise BadInput if a run of another configuration is in `root`, finished or with a checkpoint to go on from. same:
    of a config.yaml's text.
    """
    file = root / CONFIG / "config.yaml"
    there = "finished" if is_finished(root) else "stopped" if (root / CHECKPOINT).exists() else ""
    if there and not (file.is_file() and same(file.read_text("utf-8"))):
        raise BadInput(
            f"hydra.run.dir={root} holds a {there} run already ({RESULT if there == 'finished' else CHECKPOINT}), of "
            "another configuration; choose another directory"
        )


def refuse_another_sweep(root: Path, same: Callable[[str], bool]) -> None:
    """Raise BadInput if finished runs of another sweep lie below `root`: this one would write over their records. same:
    of a multirun.yaml's text.
    """
    done = [p for p in runs(root) if is_finished(p)] if root.is_dir() else []
    if done and not ((root / SWEEP).is_file() and same((root / SWEEP).read_text("utf-8"))):
        raise BadInput(
            f"hydra.sweep.dir={root} holds {counted(len(done), 'finished run')} already, of another sweep; choose "
            "another directory"
        )


def keep_record(root: Path) -> Callable[[], None]:
    """What makes a sweep's record, which Hydra is about to write, what it is now."""
    file = root / SWEEP
    before = file.read_bytes() if file.is_file() else None

    def back() -> None:
        if before is not None:
            file.write_bytes(before)

    return back


def discard_empty_sweep(root: Path) -> None:
    """Remove a sweep's directory if no cell of it was ever started: Hydra records a sweep before it reads its cells,
    submitit writes what it is about to submit. What is in the queue has a directory of its own.
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
    """Remove what Hydra laid down for a run that never started: its record, the log, then directories left empty."""
    if is_finished(root) or (root / METRICS).exists():
        return
    shutil.rmtree(root / CONFIG, ignore_errors=True)
    for left in (LOG, LOCK):
        (root / left).unlink(missing_ok=True)
    ours = [root, *list(root.parents)[:2]] if re.fullmatch(r"\d{4}-\d\d-\d\d", root.parent.name) else [root]
    for directory in ours:  # outputs/DATE/TIME; of a directory that the user named, that one alone
        if not directory.is_dir() or any(directory.iterdir()) or directory == Path.cwd():
            break
        directory.rmdir()
