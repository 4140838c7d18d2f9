"""Home: the one directory of a run, whoever starts it, however often. What exists is done.

Dated directories (outputs/DATE/TIME, multirun/DATE/TIME/CELL) are new at every start, so beside them lies an index,
.index/IDENTITY.json, which says where the run with that identity was started first. A directory of the user's own
choice is its run's home itself. Whoever works on a run holds a lock; the system frees it should its owner die.
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
    """root: the run's directory. finished: whether it holds the finished result already."""

    root: Path
    finished: bool


@contextmanager
def claim_for_all_ranks(directory: Path, identity: str, rerun: bool) -> Iterator[Claim]:
    """`claim`, by the first of several ranks for all of them. Raises what it raises."""
    with ExitStack() as stack:
        own: Claim | None = None
        found: dict[str, Any] = {}
        try:
            if distributed.FIRST:
                own = stack.enter_context(claim(directory, identity, rerun))
                found = {"root": str(own.root.absolute()), "finished": own.finished}
        finally:
            found = distributed.broadcast(found)
        if not found:
            raise BadInput("the first rank could not begin")
        yield own or Claim(Path(found["root"]), found["finished"])


@contextmanager
def claim(directory: Path, identity: str, rerun: bool) -> Iterator[Claim]:
    """The home of the run `identity` that was started with `directory`, locked; another process that has it is waited
    for. rerun: `directory` becomes its home, whatever there was. Raises BadInput where nothing can be written.
    """
    index = _index(directory)
    folder = index or directory
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / (f"{identity}.lock" if index else artifacts.LOCK))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process works on this very run (%s); waiting for it", lock.lock_file)
            lock.acquire()
    except OSError as error:
        raise BadInput(f"{folder} cannot be written to: {error.strerror}") from error
    known = None
    try:
        root = directory
        if index:
            entry = index / f"{identity}.json"
            known = None if rerun else _known(entry, identity)
            root = known or directory
            if not known:
                where = os.path.relpath(directory, index)
                files.write(index, entry.name, json.dumps({"identity": identity, "directory": where}).encode())
        yield Claim(root, not rerun and artifacts.holds_result_of(root, identity))
    except BadInput:
        if index and not known and not (directory / artifacts.METRICS).exists():  # it never started
            for left in (entry, Path(lock.lock_file)):
                left.unlink(missing_ok=True)
            if not any(index.iterdir()):
                index.rmdir()
        raise
    finally:
        if not index and artifacts.is_finished(directory):  # whoever waits finds the result
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def find_run(directory: Path, identity: str) -> Path | None:
    """Where the run with that identity lies that would be started with `directory`; None if it never was. No lock."""
    if index := _index(directory):
        return _known(index / f"{identity}.json", identity)
    return directory if artifacts.is_started(directory) else None


def is_running(root: Path) -> bool:
    """Whether a process works on the run in `root` right now: whether its lock is held."""
    lock = root / artifacts.LOCK
    if index := _index(root):
        for entry in index.glob("*.json"):
            if (found := _known(entry, entry.stem)) and found.resolve() == root.resolve():
                lock = entry.with_suffix(".lock")
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _index(directory: Path) -> Path | None:
    """The index beside the dated directories that `directory` lies in; None if it lies in none."""
    for time in (directory, directory.parent):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", time.parent.name) and re.fullmatch(r"\d\d-\d\d-\d\d(-\d+)?", time.name):
            return time.parent.parent / INDEX
    return None


def _known(entry: Path, identity: str) -> Path | None:
    """The directory that an entry of the index tells, if it is there."""
    try:
        told = json.loads(entry.read_text("utf-8"))
        if told["identity"] != identity:
            raise ValueError("it is of another run")
        root = Path(os.path.normpath(entry.parent / told["directory"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged and is made anew: %s", entry, error)
        return None
    return root if root.is_dir() else None


def redirect(directory: Path, root: Path, sweep: bool) -> None:
    """This start's dated `directory` is not the run's home: the log goes there, a pointer stays of a sweep's cell."""
    logger = logging.getLogger()
    for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
        there = logging.FileHandler(root / artifacts.LOG, delay=True)
        there.setFormatter(handler.formatter)
        logger.removeHandler(handler)
        handler.close()
        logger.addHandler(there)
    if sweep:
        artifacts.write_pointer(directory, root)
    else:
        guard.discard(directory)
