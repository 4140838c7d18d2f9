"""Find the one directory of a run and lock it, however often and by whomever the run is started.

A dated directory (outputs/DATE/TIME, multirun/DATE/TIME/CELL) is new at every start. The index of the working
directory therefore records where each run was first started (index.py). A directory that the user named is itself the
directory of its run; the index names it once the run is finished. A process that works on a run holds a lock; the
system frees the lock when the process dies.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from prunebert.errors import BadInput, Diverged, describe_os_error
from prunebert.runs import artifacts, guard, heads, made, record
from prunebert.runs.index import Index, is_dated
from prunebert.system import distributed
from prunebert.system.console import short
from prunebert.system.signals import Stopped

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a run, as the command line asked for it."""

    directory: Path  # that this start was given
    identity: str
    working_directory: Path  # of the command; its index names the run's directory
    rerun: bool  # make `directory` the run's directory, even if the index names another or the run is finished
    sweep: Path | None  # the directory of the sweep that the run is a cell of
    record: Mapping[str, str]  # what .hydra holds: name of the file -> YAML
    is_same: Callable[[str], bool]  # whether the text of a config.yaml means this run
    heads_hash: Callable[[], str]  # of the checkpoint's heads, which is read only where a run recorded its own

    @property
    def key(self) -> str:
        """The key that named the directory."""
        return "hydra.run.dir" if self.sweep is None else "hydra.sweep.dir"


@dataclass(frozen=True)
class Claim:
    """A run's directory, locked for this process."""

    root: Path
    finished: bool  # it already holds the run's result


@contextmanager
def claim_for_all_ranks(start: Start) -> Iterator[Claim]:
    """Let the first rank `claim` the run, and yield the same Claim on every rank. Raises what `claim` raises."""
    with ExitStack() as stack:
        claimed: Claim | None = None
        message: dict[str, Any] = {}
        try:
            if distributed.FIRST:
                claimed = stack.enter_context(claim(start))
                message = {"root": str(claimed.root.absolute()), "finished": claimed.finished}
        finally:
            message = distributed.broadcast(message)
        if not message:
            raise BadInput("the first rank could not begin")
        yield claimed or Claim(Path(message["root"]), message["finished"])


@contextmanager
def claim(start: Start) -> Iterator[Claim]:
    """Lock the directory of a run, write the run's record there and yield it. Waits while another process holds it.

    A run that ends before it has begun to train leaves nothing that was not there before.

    Raises:
        BadInput: the directory cannot be written to, holds the user's own files under the names of a run's files, or
            holds another run, finished or stopped.
        OSError: the record cannot be written.
    """
    index = Index(start.working_directory, start.directory, start.identity)
    dated = is_dated(start.directory, start.working_directory)
    with ExitStack() as locks:
        indexing = dated and index.prepare()
        if indexing:
            locks.enter_context(_locked(index.lock, start.key))
            index.remove_leftovers()
        indexed = None if start.rerun else _indexed(index, start, dated)
        root = indexed or start.directory
        guard.refuse_foreign(root, start.key)  # .lock may be the user's, too
        locks.enter_context(_locked(root / artifacts.LOCK, start.key))
        guard.refuse_foreign(root, start.key)
        if start.rerun:
            guard.refuse_rerun_of_another(root, start.identity, start.is_same, start.key)
        else:
            if not indexed:
                guard.refuse_another(root, start.is_same, start.key)
            heads.refuse_another(root, start.heads_hash)
        finished = not start.rerun and artifacts.holds_result_of(root, start.identity)
        guard.remove_leftovers(root)
        recorded, began = guard.is_run(root), False
        try:
            if not finished:
                record.write(root, start.record)
            record.begin_log(root)
            if indexing and not indexed:
                index.add(root)
            began = True
            yield Claim(root, finished)
        except BaseException as error:
            refused = isinstance(error, BadInput | Stopped) and not isinstance(error, Diverged)
            if not (_has_trained(root) or recorded) and (refused or not began):
                if indexing and not indexed:
                    index.remove()
                if isinstance(error, Stopped) or start.sweep is None:
                    record.remove(root)
            raise
        if not (dated or index.names(root)):
            _index_named(index, start, root)


def _indexed(index: Index, start: Start, dated: bool) -> Path | None:
    """Return the directory that the index names for a start; None if the run's directory is the start's own.

    A directory that the user named is the run's own. In a sweep, another of its cells may have done the same run.
    """
    if dated:
        return index.find()
    if guard.is_run(start.directory):
        return None
    if start.sweep and (cell := index.find(start.sweep)):
        return cell
    if (other := index.find()) and artifacts.is_finished(other):
        log.info("finished before in %s; trained again, because %s names another directory", short(other), start.key)
    return None


def _index_named(index: Index, start: Start, root: Path) -> None:
    """Index a finished run in a directory that the user named, unless another directory has the run."""
    if not (artifacts.is_finished(root) and index.prepare()):
        return
    try:
        with _locked(index.lock, start.key, wait=False):
            if start.rerun or not index.find():
                index.add(root)
    except Timeout:
        pass  # another process works on the same run in a dated directory, and has indexed it
    except OSError as error:  # the result is there; only other directories' starts do not find it
        log.warning("%s: this run is not indexed", describe_os_error(error))


def record_failure(directory: Path, texts: Mapping[str, str]) -> bool:
    """Record a cell of a sweep that could not begin, and begin its log, for `prunebert status`.

    Returns whether that was done. It is not done where another process works, in a finished or stopped run, and among
    files of the user's.
    """
    if record.has_log():
        return True
    try:
        guard.refuse_foreign(directory, "hydra.sweep.dir")
        with _locked(directory / artifacts.LOCK, "hydra.sweep.dir", wait=False):
            guard.refuse_foreign(directory, "hydra.sweep.dir")
            if _has_trained(directory):
                return False
            record.write(directory, texts)
            record.begin_log(directory)
            return True
    except (BadInput, Timeout, OSError):
        return False


def _has_trained(root: Path) -> bool:
    return artifacts.is_started(root) or (root / artifacts.CHECKPOINT).exists()


@contextmanager
def _locked(file: Path, key: str, wait: bool = True) -> Iterator[None]:
    """Hold the lock `file` and remove it at the end. filelock notices a lock whose file was removed and takes another.

    Raises BadInput, which names `key`, if its folder cannot be written to; Timeout where it is held and not wait.
    """
    lock = FileLock(file)
    waiting = False
    while True:
        if not guard.is_unused(file):  # filelock would empty it
            raise BadInput(
                f"{key}={file.parent} holds {file.name}, which is no lock of prunebert; choose another directory"
            )
        try:
            made.make(file.parent)
            lock.acquire(timeout=-1 if waiting else 0)
            status = file.stat()
            break
        except Timeout:
            if not wait:
                raise
            log.info("another process works on this run (%s); waiting for it", file)
            waiting = True
        except FileNotFoundError:  # another process removed the empty folder
            lock.release()
        except OSError as error:
            raise BadInput(f"{key}={file.parent} cannot be written to: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # the directory is gone, or cannot be written to any longer
            if os.path.samestat(file.stat(), status):
                file.unlink()
        lock.release()


def find_run(directory: Path, identity: str) -> Path | None:
    """Return the directory that `claim` would yield, without locking it; None if the run never started."""
    if is_dated(directory, Path.cwd()):
        return Index(Path.cwd(), directory, identity).find()
    return directory if artifacts.is_started(directory) else None


def is_running(root: Path) -> bool:
    """Return whether a process works on the run in `root` now, as its lock shows."""
    if not (root / artifacts.LOCK).is_file() or not guard.is_unused(root / artifacts.LOCK):
        return False
    try:
        with FileLock(root / artifacts.LOCK, timeout=0):
            return False
    except Timeout:
        return True


def redirect(start: Start, root: Path) -> None:
    """Leave a pointer to `root` in a sweep's cell, because the run is there and not in this start's dated directory.

    Outside of sweeps the directory stays empty and is removed at the end.
    """
    if start.sweep and distributed.FIRST and root.absolute() != start.directory.absolute():
        record.write(start.directory, start.record)
        artifacts.write_pointer(start.directory, root)
