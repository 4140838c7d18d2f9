"""Report what a command loads before it can work: torch's import alone may take many seconds.

The first report comes at once. A later one comes at once on a terminal, where it replaces the line before it, and after
a second elsewhere. All go to standard error. This module imports nothing slow.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prunebert.errors import visible
from prunebert.system import distributed

PATIENCE = 1.0  # seconds until a later report is printed where no line can be replaced
# The packages that begin a slow part of prunebert -> what that part imports. transformers only looks for scipy and
# scikit-learn, and a finder cannot tell a search from an import; so they are not listed.
SLOW = {"torch": "torch and transformers", "pandas": "pandas", "matplotlib": "matplotlib"}
ERASE = "\r\x1b[2K"  # the terminal's current line


class Loading:
    """The report on what is being loaded now.

    Attributes:
        prefix: begins every line where lines of several runs are mixed.
        hidden: how many progress bars are drawn at the moment; nothing is reported beside them.
    """

    def __init__(self) -> None:
        self.prefix = ""
        self.hidden = 0
        self._drawn = False  # whether a line that can be replaced is on the terminal
        self._timer: threading.Timer | None = None

    def show(self, what: str, at_once: bool = False) -> None:
        """Report `what` in place of the earlier report. at_once: do not wait, wherever the report goes."""
        self.clear()
        if self.hidden or not distributed.FIRST:
            return
        line = visible(f"{self.prefix}{what} …")
        if _replaces_lines():
            width = shutil.get_terminal_size().columns
            sys.stderr.write(line[: width - 1] + "\r")  # whatever is printed next begins in the first column
            sys.stderr.flush()
            self._drawn = True
        elif at_once:
            self._print(line)
        else:
            self._timer = threading.Timer(PATIENCE, self._print, [line])
            self._timer.daemon = True
            self._timer.start()

    def clear(self) -> None:
        """End the report. Call it before anything else is printed."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._drawn:
            self._drawn = False
            sys.stderr.write(ERASE)
            sys.stderr.flush()

    @contextmanager
    def beside_a_bar(self) -> Iterator[None]:
        """Report nothing while inside, because a progress bar is drawn."""
        self.clear()
        self.hidden += 1
        try:
            yield
        finally:
            self.hidden -= 1

    def _print(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


LOADING = Loading()  # one process has one terminal
show, clear, beside_a_bar = LOADING.show, LOADING.clear, LOADING.beside_a_bar


class Watcher:
    """A finder of modules that finds none: it reports the import of a slow package."""

    def __init__(self) -> None:
        self.reported: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Report the package `name` if it is slow. Python then asks the next finder."""
        if name in SLOW and name not in self.reported:
            show(f"loading {SLOW[name]}", at_once=not self.reported)
            self.reported.add(name)


def watch_imports() -> None:
    """Report the imports of slow packages from now on."""
    if not any(isinstance(finder, Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watcher())
        atexit.register(clear)


def _replaces_lines() -> bool:
    """Return whether both streams are the terminal, so that each line of either can replace the report."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
