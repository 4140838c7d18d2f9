"""Find the one directory of a run and lock it, however often and by whomever the run is started.

A dated directory (outputs/DATE/TIME, multirun/DATE/TIME/CELL) is new at every start. An index beside the dated
directories therefore records where each run was first started: .index/IDENTITY.json names the directory. A directory
that the user named is itself the directory of its run. A process that works on a run holds a lock; the system frees the
lock when the process dies.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from prunebert.errors import BadInput
from prunebert.runs import artifacts, files, guard
from prunebert.system import distributed

log = logging.getLogger(__name__)
INDEX = ".index"


@dataclass(frozen=True)
class Claim:
    """A run's directory, locked for this process."""

    root: Path
    finished: bool  # it already holds the run's result


@contextmanager
def claim_for_all_ranks(directory: Path, identity: str, rerun: bool) -> Iterator[Claim]:
    """Let the first rank `claim` the run, and yield the same Claim on every rank. Raises what `claim` raises."""
    with ExitStack() as stack:
        claimed: Claim | None = None
        message: dict[str, Any] = {}
        try:
            if distributed.FIRST:
                claimed = stack.enter_context(claim(directory, identity, rerun))
                message = {"root": str(claimed.root.absolute()), "finished": claimed.finished}
        finally:
            message = distributed.broadcast(message)
        if not message:
            raise BadInput("the first rank could not begin")
        yield claimed or Claim(Path(message["root"]), message["finished"])


@contextmanager
def claim(directory: Path, identity: str, rerun: bool) -> Iterator[Claim]:
    """Lock the directory of a run and yield it. Waits while another process holds it.

    Args:
        directory: the directory that this start of the run was given.
        identity: the run's identity.
        rerun: make `directory` the run's directory, even if the index names another or the run is finished.

    Raises:
        BadInput: the directory cannot be written to, or holds the result of another identity.
    """
    index = _index(directory)
    folder = index or directory
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / (f"{identity}.lock" if index else artifacts.LOCK))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process works on this run (%s); waiting for it", lock.lock_file)
            lock.acquire()
    except OSError as error:
        raise BadInput(f"{folder} cannot be written to: {error.strerror}") from error
    indexed = None
    try:
        root = directory
        if index:
            entry = index / f"{identity}.json"
            indexed = None if rerun else _indexed_directory(entry, identity)
            root = indexed or directory
            if not indexed:
                relative = os.path.relpath(directory, index)
                files.write(index, entry.name, json.dumps({"identity": identity, "directory": relative}).encode())
        yield Claim(root, not rerun and artifacts.holds_result_of(root, identity))
    except BadInput:
        if index and not indexed and not (directory / artifacts.METRICS).exists():  # the run never started
            for file in (entry, Path(lock.lock_file)):
                file.unlink(missing_ok=True)
            if not any(index.iterdir()):
                index.rmdir()
        raise
    finally:
        if not index and artifacts.is_finished(directory):  # a waiting process will find the result
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def find_run(directory: Path, identity: str) -> Path | None:
    """Return the directory that `claim` would yield, without locking it; None if the run never started."""
    if index := _index(directory):
        return _indexed_directory(index / f"{identity}.json", identity)
    return directory if artifacts.is_started(directory) else None


def is_running(root: Path) -> bool:
    """Return whether a process works on the run in `root` now, as its lock shows."""
    lock = root / artifacts.LOCK
    if index := _index(root):
        for entry in index.glob("*.json"):
            directory = _indexed_directory(entry, entry.stem)
            if directory and directory.resolve() == root.resolve():
                lock = entry.with_suffix(".lock")
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _index(directory: Path) -> Path | None:
    """Return the index beside the dated directory that is `directory` or its parent; None if neither is dated."""
    for time in (directory, directory.parent):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", time.parent.name) and re.fullmatch(r"\d\d-\d\d-\d\d(-\d+)?", time.name):
            return time.parent.parent / INDEX
    return None


def _indexed_directory(entry: Path, identity: str) -> Path | None:
    """Return the directory that an entry of the index names; None if there is no entry or no such directory."""
    try:
        content = json.loads(entry.read_text("utf-8"))
        if content["identity"] != identity:
            raise ValueError("it belongs to another run")
        root = Path(os.path.normpath(entry.parent / content["directory"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged and is made again: %s", entry, error)
        return None
    return root if root.is_dir() else None


def redirect(directory: Path, root: Path, sweep: bool) -> None:
    """Continue the log in `root`, because the run is there and not in this start's dated `directory`.

    A cell of a sweep keeps `directory`, with a pointer to `root` in it; otherwise `directory` is removed.
    """
    logger = logging.getLogger()
    for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
        new_handler = logging.FileHandler(root / artifacts.LOG, delay=True)
        new_handler.setFormatter(handler.formatter)
        logger.removeHandler(handler)
        handler.close()
        logger.addHandler(new_handler)
    if sweep:
        artifacts.write_pointer(directory, root)
    else:
        guard.discard(directory)
