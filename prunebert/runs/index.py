"""Remember where each run of a working directory is, alone or as the cell of a sweep.

.prunebert/IDENTITY.json in the working directory names the directory of one run. Earlier versions kept one index beside
the dated directories of runs and one beside those of sweeps, outputs/.index and multirun/.index. Both are still read.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prunebert.errors import BadInput, describe_os_error
from prunebert.runs import artifacts, files, guard, made, reading

log = logging.getLogger(__name__)
NAME = ".prunebert"
EARLIER = ".index"
FOLDERS = ("outputs", "multirun")  # of dated directories, as conf/config.yaml has them
IGNORE = ".gitignore"


@dataclass
class Index:
    """What the index of a working directory knows of one run.

    Attributes:
        working_directory: where the command was given.
        directory: the directory that this start of the run was given.
        identity: the run's.
        ignores: whether this process made the index's .gitignore.
    """

    working_directory: Path
    directory: Path
    identity: str
    ignores: bool = field(default=False, init=False)

    @property
    def folder(self) -> Path:
        """The folder of the index."""
        return self.working_directory.absolute() / NAME

    @property
    def entry(self) -> Path:
        """The file that names the run's directory."""
        return self.folder / f"{self.identity}.json"

    @property
    def lock(self) -> Path:
        """The lock that a process holds which starts the run in a dated directory."""
        return self.folder / f"{self.identity}.lock"

    def prepare(self) -> bool:
        """Make the folder. Returns whether entries can be written there; warns in one line if not."""
        try:
            made.make(self.folder)
            if os.access(self.folder, os.W_OK):
                return True
            reason = "Permission denied"
        except OSError as error:
            reason = error.strerror or describe_os_error(error)
        log.warning("%s cannot be written to: %s; this run is not indexed", self.folder, reason)
        return False

    def find(self, within: Path | None = None) -> Path | None:
        """Return the run's directory, of several a finished one; None if the run is not known.

        A directory that the user named counts only while it holds the run's intact result. The user may start another
        run there, and only a command that names the directory trains in it.

        within: accept only directories below this one.
        """
        known = [root for root in self._known() if within is None or within.absolute() in root.parents]
        return next((root for root in known if artifacts.is_finished(root)), next(iter(known), None))

    def names(self, root: Path) -> bool:
        """Return whether the entry names `root`."""
        return self._named_by(self.entry) == root.absolute()

    def add(self, root: Path) -> None:
        """Write the entry. Call it under the lock. Raises OSError."""
        content = json.dumps({"identity": self.identity, "directory": os.path.relpath(root, self.folder)})
        files.write(self.folder, self.entry.name, content.encode())
        if not os.path.lexists(self.folder / IGNORE):
            files.write(self.folder, IGNORE, b"*\n")  # git lists nothing of the index
            self.ignores = True

    def remove(self) -> None:
        """Remove what `add` wrote. Call it under the lock."""
        self.entry.unlink(missing_ok=True)
        if self.ignores and not any(self.folder.glob("*.json")):
            (self.folder / IGNORE).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what processes that died left half-written. Call it under the lock."""
        for partial in self.folder.glob(f".{self.entry.name}.*"):
            partial.unlink(missing_ok=True)

    def _known(self) -> Iterator[Path]:
        beside = earlier_index(self.directory)
        folders = [self.folder, *([beside] if beside else []), *(self.folder.parent / n / EARLIER for n in FOLDERS)]
        for folder in dict.fromkeys(folders):
            root = self._named_by(folder / self.entry.name)
            if root and guard.is_run(root) and self._is_there(root):
                yield root

    def _is_there(self, root: Path) -> bool:
        if is_dated(root, self.working_directory):
            return True
        try:  # a lock and a line of the log are written there
            return os.access(root, os.W_OK) and artifacts.holds_result_of(root, self.identity)
        except BadInput:  # another run took its place
            return False

    def _named_by(self, entry: Path) -> Path | None:
        """Return the directory that an entry names; None if there is none, or if it is damaged, with a warning."""
        if not os.path.lexists(entry):
            return None
        try:
            content = reading.json_table(entry)
            if content["identity"] != self.identity:
                raise ValueError("it belongs to another run")
            return Path(os.path.normpath(entry.parent / content["directory"]))
        except (BadInput, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged and is made again: %s", entry, error)
            return None


def earlier_index(directory: Path) -> Path | None:
    """Return where earlier versions kept the index of a dated directory, or of one below it; None for others."""
    for time in (directory, *directory.parents):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", time.parent.name) and re.fullmatch(r"\d\d-\d\d-\d\d(-\d+)?", time.name):
            return time.parent.parent / EARLIER
    return None


def is_dated(directory: Path, working_directory: Path) -> bool:
    """Return whether a directory is dated or below a dated one. It is new at every start; the index finds its run."""
    inside = directory.absolute()
    if working_directory.absolute() in inside.parents:
        inside = inside.relative_to(working_directory.absolute())
    return earlier_index(inside) is not None
