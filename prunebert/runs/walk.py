"""Walk the folders below a directory, to find runs and sweeps by the names of their files."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from prunebert.errors import describe_os_error
from prunebert.runs import reading
from prunebert.system.countdown import Countdown

log = logging.getLogger(__name__)


def holding(root: Path, names: Collection[str]) -> Iterator[tuple[Path, set[str]]]:
    """Yield every folder below `root`, itself included, that holds one of `names`, and those names that it holds.

    Links to folders are not followed: they may lead in circles. A folder that cannot be read gives a warning. Hidden
    folders named by `names` are not entered.
    """
    if not reading.is_folder(root):
        return
    with Countdown("looking for runs", None, "folders") as countdown:
        for folder, folders, files in os.walk(root, onerror=lambda error: _warn(describe_os_error(error))):
            countdown.advance()
            if found := {*folders, *files}.intersection(names):
                folders[:] = [name for name in folders if name not in found or not name.startswith(".")]
                yield Path(folder), found


@cache
def _warn(message: str) -> None:
    """Warn once about a folder, although a command may walk it several times."""
    log.warning("left out: %s", message)
