"""The cells of a sweep that did not finish. One reason is told once, with the cells that ended by it."""

from __future__ import annotations

from dataclasses import dataclass

from prunebert.system.console import counted, say

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
        """Print a line for each reason: how many cells `what`, which, and the reason unless it was told before."""
        for reason, cells in self.cells.items():
            names = ", ".join(cells[:NAMED]) + (f" and {len(cells) - NAMED} more" if len(cells) > NAMED else "")
            number = f"{counted(len(cells), 'cell')} " if len(cells) > 1 else ""
            ending = "for the reason above" if reason in self.told else reason
            say(f"{what}: {number}{names}: {ending}")
