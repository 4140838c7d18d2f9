"""The record of a run's configuration, .hydra/, and its log, run.log. Both are written under the run's lock.

Hydra would write them before anything is checked or locked. conf/ therefore turns Hydra's own record off, and the log's
lines are held back until the run has its directory.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import MemoryHandler
from pathlib import Path

from prunebert.errors import BadInput, describe_os_error
from prunebert.runs import artifacts, files, reading, schema
from prunebert.system.console import OneLine

FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")  # config.yaml makes a directory one of prunebert's
Texts = Mapping[str, str]  # name of a file in .hydra -> YAML


def write(root: Path, texts: Texts) -> None:
    """Write the record of the run in `root`. Raises OSError."""
    (root / artifacts.CONFIG).mkdir(exist_ok=True)
    for name, text in texts.items():
        files.write(root / artifacts.CONFIG, name, text.encode())


def remove(root: Path) -> None:
    """Remove the record and the log from `root`, config.yaml last: until then they are known to be prunebert's."""
    end_log()
    paths = [root / artifacts.LOG, *(root / artifacts.CONFIG / name for name in reversed(FILES))]
    with suppress(OSError):  # the directory is gone, or cannot be written to any longer
        for path in paths:
            path.unlink(missing_ok=True)
        (root / artifacts.CONFIG).rmdir()


def exists(file: Path) -> bool:
    """Return whether `file` is the configuration of one of prunebert's runs or sweeps."""
    try:
        content = reading.yaml_content(file, dict)
    except BadInput:
        return False
    return bool(content.keys() >= schema.RECORDED)


def is_empty(folder: Path) -> bool:
    """Return whether a folder .hydra holds nothing but what a process left that died while it wrote there."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(re.fullmatch(rf"\.({'|'.join(FILES)})\.\d+", path.name) for path in folder.iterdir())


class _Log(logging.FileHandler):
    """Appends to run.log. Where that fails, as on a full disk, it warns once and the run goes on."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace", delay=True)
        self.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        self.failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is logging's
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.failed:
            self.failed = True
            reason = error.strerror or describe_os_error(error)
            sys.stderr.write(f"prunebert: {self.baseFilename}: {reason}; the log is not complete\n")

    def _open(self) -> TextIOWrapper:
        files.detach(Path(self.baseFilename))
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # the file cannot be opened, which logging does outside of its own handling
            self.handleError(record)


def held_back() -> MemoryHandler:
    """Return a handler that holds a run's lines back until `begin_log`, and then hands them on at once."""
    return MemoryHandler(capacity=1, flushOnClose=False)


def begin_log(root: Path) -> None:
    """Write the lines of the log that were held back, and all later ones, to run.log in `root`."""
    for handler in _handlers():
        handler.setTarget(_Log(root / artifacts.LOG))
        handler.flush()


def end_log() -> None:
    """Write no further line to run.log."""
    for handler in _handlers():
        if handler.target:
            handler.target.close()
        handler.setTarget(None)


def has_log() -> bool:
    """Return whether lines go to a run.log already."""
    return any(handler.target for handler in _handlers())


def _handlers() -> list[MemoryHandler]:
    return [h for h in logging.getLogger().handlers if isinstance(h, MemoryHandler)]
