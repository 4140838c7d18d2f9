"""Refuse a directory that holds files of the user's or another run, and clean up what died processes left in a run's.

A process removes only what it made itself, or what a run made whose lock it holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.runs import artifacts, reading, record
from prunebert.runs.artifacts import CHECKPOINT, CONFIG, LOCK, METRICS, QUEUE, RESULT, SWEEP, is_finished, runs
from prunebert.system.console import counted

NAMES = (
    *(RESULT, artifacts.TOPOLOGY, artifacts.MASKS, METRICS, artifacts.HEAD, artifacts.WEIGHTS, artifacts.DELTA),
    *(artifacts.PREDICTIONS, artifacts.LOG, artifacts.POINTER, CONFIG, LOCK, CHECKPOINT),
)


def refuse_foreign(root: Path, key: str) -> None:
    """Raise BadInput if `root` holds files with names of a run's files and is no run's directory.

    key: the key that named the directory.
    """
    names = [name for name in NAMES if not is_unused(root / name)]
    if names and not is_run(root):
        raise BadInput(
            f"{key}={root} holds {', '.join(sorted(names))} of another origin than a run of prunebert; choose another "
            "directory"
        )
    for name in (CONFIG, CHECKPOINT):
        if (root / name).is_symlink():
            raise BadInput(
                f"{key}={root} holds {name}, which is a link; a run would change files in the folder that it names; "
                "choose another directory"
            )


def refuse_shared(root: Path, key: str) -> None:
    """Raise BadInput if `root` is the root of the file system or of a repository, or a home directory.

    They hold much else, and their owner would not remove a run's files by removing the directory. A directory in which
    a run was started before is accepted. key: the key that named the directory.
    """
    place = Path(os.path.realpath(root))
    kind = (
        "the root of the file system"
        if place == place.parent
        else "your home directory"
        if place == Path(os.path.realpath(reading.home("~")))
        else "the root of a repository"
        if os.path.lexists(place / ".git")
        else ""
    )
    if kind and not is_run(root):
        raise BadInput(f"{key}={root} is {kind}; choose a directory for the run's files alone")


def is_run(root: Path) -> bool:
    """Return whether a run of prunebert was started in `root`, as its record shows."""
    return record.exists(root / CONFIG / "config.yaml")


def is_unused(path: Path) -> bool:
    """Return whether nothing is at `path`, or a lock or a record that a process left before its run began."""
    if not os.path.lexists(path):
        return True
    if path.suffix == ".lock" or path.name == LOCK:
        return path.is_file() and not path.is_symlink() and path.stat().st_size == 0
    return path.name == CONFIG and record.is_empty(path)


def refuse_another(root: Path, is_this: Callable[[str], bool], key: str) -> None:
    """Raise BadInput if `root` holds a run of another configuration, finished or with a checkpoint.

    Args:
        is_this: returns whether the text of a config.yaml means this run.
        key: the key that named the directory.
    """
    file = root / CONFIG / "config.yaml"
    state = "finished" if is_finished(root) else "stopped" if (root / CHECKPOINT).exists() else ""
    if state and not (file.is_file() and is_this(reading.yaml_text(file))):
        raise BadInput(
            f"{key}={root} already holds a {state} run ({RESULT if state == 'finished' else CHECKPOINT}) of another "
            "configuration; choose another directory"
        )


def refuse_rerun_of_another(root: Path, identity: str, is_this: Callable[[str], bool], key: str) -> None:
    """Raise BadInput if rerun=true would replace another run than the one that is asked for.

    Where the result cannot be read, and for a stopped run, the recorded configuration decides.

    Args:
        identity: of the run that is asked for.
        is_this: returns whether the text of a config.yaml means that run.
        key: the key that named the directory.
    """
    try:
        found = artifacts.result(root).get("identity") if is_finished(root) else None
    except BadInput:  # damaged: a rerun is what repairs it
        found = None
    if found is None:
        refuse_another(root, is_this, key)
    elif found != identity:
        raise BadInput(
            f"{key}={root} holds a finished run of another identity, which rerun=true does not replace; choose another "
            "directory, or remove this one first"
        )


def refuse_another_sweep(root: Path, is_this: Callable[[str], bool]) -> None:
    """Raise BadInput if this sweep would overwrite a multirun.yaml of the user's, or that of another sweep's results.

    is_this: returns whether the text of a multirun.yaml means this sweep.
    """
    if os.path.lexists(root / SWEEP) and not record.exists(root / SWEEP):
        raise BadInput(
            f"hydra.sweep.dir={root} holds {SWEEP} of another origin than a sweep of prunebert; choose another "
            "directory"
        )
    finished = [p for p in runs(root) if is_finished(p)] if root.is_dir() else []
    if finished and not ((root / SWEEP).is_file() and is_this(reading.yaml_text(root / SWEEP))):
        raise BadInput(
            f"hydra.sweep.dir={root} already holds {counted(len(finished), 'finished run')} of another sweep; choose "
            "another directory"
        )


def sweep_record(root: Path) -> bytes | None:
    """Return the content of a sweep's record; None if there is none."""
    return (root / SWEEP).read_bytes() if (root / SWEEP).is_file() else None


def discard_empty_sweep(root: Path, earlier: bytes | None, is_this: Callable[[str], bool]) -> None:
    """Restore or remove a sweep's record if none of its cells was ever started.

    Hydra records a sweep before it reads its cells, and submitit writes what it is about to submit. A job in the queue
    has a directory of its own, and then nothing is removed.

    Args:
        earlier: the record as it was before this process wrote its own; None if there was none.
        is_this: returns whether the text of a multirun.yaml means this sweep.
    """
    file, queue = root / SWEEP, root / QUEUE
    with suppress(OSError):  # gone, or no longer writable
        if any(p.is_dir() for p in queue.glob("*")) or any(is_run(p.parent) for p in root.rglob(CONFIG)):
            return
        cut_off = earlier is None and not record.exists(file)  # the disk was full when this process wrote it
        if not (cut_off or is_this(file.read_text("utf-8"))):
            return
        if earlier is not None:
            file.write_bytes(earlier)
            return
        for path in (*queue.glob("*.pkl"), *queue.glob("*submission_file_*.sh")):
            path.unlink()
        if queue.is_dir():
            queue.rmdir()
        file.unlink()


def remove_leftovers(root: Path) -> None:
    """Remove what processes that died left half-written in the run `root`; of a finished run its checkpoint, too.

    Call it under the run's lock: no other process writes there then. Files of other names stay.
    """
    finished = is_finished(root)
    partial = re.compile(rf"\.({'|'.join(re.escape(name) for name in (*NAMES, *record.FILES, 'probe'))})\.\d+")
    moment = re.compile(r"(moment-\d+|phase-.+)\.safetensors")
    checkpoint = root / CHECKPOINT
    with suppress(OSError):  # what cannot be removed is in nobody's way
        for folder in (root, root / CONFIG, checkpoint):
            for path in () if folder.is_symlink() or not folder.is_dir() else folder.iterdir():
                inside = folder == checkpoint and re.fullmatch(rf"\.{moment.pattern}\.\d+", path.name)
                done = folder == checkpoint and finished and moment.fullmatch(path.name)
                if (partial.fullmatch(path.name) or inside or done) and path.is_file() and not path.is_symlink():
                    path.unlink()
        if finished and checkpoint.is_dir() and not checkpoint.is_symlink():
            checkpoint.rmdir()  # unless the user put something there
