"""The cells of a sweep that did not finish. Each reason is listed once, with the cells that ended by it."""

from __future__ import annotations

from dataclasses import dataclass

from prunebert.system.console import counted, say
from prunebert.system.table import say_wrapped

NAMED = 10  # cells that are named for one reason; `prunebert status` lists all


@dataclass(frozen=True)
class Failure:
    """Why a cell did not finish."""

    cell: str  # its directory within the sweep's
    reason: str


class Failures:
    """The failures of one sweep, grouped by reason."""

    def __init__(self) -> None:
        self.cells: dict[str, list[str]] = {}  # reason -> cells
        self.told: set[str] = set()

    def add(self, failure: Failure, tell: bool = False) -> None:
        """Count a failure. tell: print it now, unless its reason was told before."""
        self.cells.setdefault(failure.reason, []).append(failure.cell)
        if tell and failure.reason not in self.told:
            self.told.add(failure.reason)
            say(f"{failure.cell}: {failure.reason}")

    def show(self, what: str) -> None:
        """Print for each reason how many cells `what`, why, and which cells these are."""
        for reason, cells in self.cells.items():
            say(f"{counted(len(cells), 'cell')} {what}: {reason}")
            more = [f"and {len(cells) - NAMED} more"] if len(cells) > NAMED else []
            say_wrapped([*cells[:NAMED], *more], "  ")
