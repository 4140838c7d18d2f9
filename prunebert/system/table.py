"""Tables on the terminal: one line for each row, at any width.

A column in which all rows agree becomes part of one line above the table. Where the rest is too wide, long texts are
shortened and the least useful columns are left out, and a line below the table names both. Numbers are never cut.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from prunebert.errors import visible
from prunebert.system.console import console, say
from prunebert.system.names import mark

LONGEST_CELL = 400  # characters
GAP = "  "  # between two columns
MISSING = "–"
Fact = tuple[str, str | Sequence[str]]  # a name, and what is said of it
NARROWEST = 8  # characters that a text keeps in the narrowest terminal


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str  # of one or several lines
    cells: Sequence[Any]  # one for each row; None: there is no value
    rank: int = 0  # of the columns above 0, the lowest get room first; 0 is always shown
    number: bool = False  # aligned on the right
    shortest: int = 0  # characters to which its texts may be shortened; 0: never shortened
    from_middle: bool = False  # names that differ at both ends are shortened in the middle
    shared: bool = False  # goes into the line above the table, where all rows agree

    @property
    def name(self) -> str:
        """Return the title in one line."""
        return self.title.replace("\n", " ")

    @property
    def width(self) -> int:
        """Return the width of its widest line, in terminal columns."""
        return max(map(cell_len, [*self.title.split("\n"), *self.cells]), default=0)

    def narrowed(self, width: int) -> Column:
        """Return the column with its texts shortened to `width`. Different texts stay different."""
        if not self.shortest or self.width <= width:
            return self
        texts = [str(text) for text in self.cells]
        cut = _distinct(texts, width) if self.from_middle else {text: _shortened(text, width) for text in texts}
        title = "\n".join(_shortened(line, width) for line in self.title.split("\n"))
        return replace(self, cells=[cut[text] for text in texts], title=title)


@dataclass(frozen=True)
class Layout:
    """What a table shows at some width."""

    columns: list[Column]
    shared: list[str] = field(default_factory=list)  # "seed 0": what all rows agree on
    left_out: list[str] = field(default_factory=list)  # titles of the columns that had no room
    shortened: list[str] = field(default_factory=list)  # titles of the columns whose texts were cut

    @property
    def width(self) -> int:
        """Return the width of its lines."""
        return sum(column.width for column in self.columns) + len(GAP) * (len(self.columns) - 1)

    def lines(self, rule: str = "─") -> list[str]:
        """Return the lines of the titles, a rule, and a line for each row."""
        height = max(column.title.count("\n") for column in self.columns) + 1
        titles = [["", *[""] * height, *column.title.split("\n")][-height:] for column in self.columns]
        rules = [rule * column.width for column in self.columns]
        rows = [*zip(*titles, strict=True), rules, *zip(*(column.cells for column in self.columns), strict=True)]
        return [GAP.join(map(_aligned, self.columns, row)).rstrip() for row in rows]


def arrange(columns: Sequence[Column], width: int | None) -> Layout:
    """Return the layout of a table.

    Args:
        columns: all columns, in their order. Their cells may be anything.
        width: of the terminal, in its columns; None: nothing is shortened or left out.
    """
    number_of_rows = len(columns[0].cells)
    shared, shown = [], []
    for column in columns:
        values = {_text(value) for value in column.cells if value is not None}
        if column.shared and len(values) < 2:
            shared += [f"{column.name} {value}" for value in values]
        else:
            cells = [MISSING if value is None else _text(value) for value in column.cells]
            title = "\n".join(map(visible, column.title.split("\n")))
            shown.append(replace(column, cells=cells, title=title))
    layout = Layout(shown or [replace(columns[0], cells=[""] * number_of_rows)], shared)
    if width is None:
        return layout
    kept: list[Column] = []
    for column in sorted(shown, key=lambda column: column.rank):
        if not column.rank or _least([*kept, column]) <= width:
            kept.append(column)
    left_out = [column.name for column in shown if column not in kept]
    shown = [column for column in shown if column in kept]
    narrow = [column.narrowed(limit) for column, limit in zip(shown, _widths(shown, width), strict=True)]
    shortened = [old.name for old, new in zip(shown, narrow, strict=True) if old.cells != new.cells]
    return Layout(narrow, shared, left_out, shortened)


def _least(columns: list[Column]) -> int:
    """Return the width of a table whose texts are as short as they may be."""
    widths = [min(column.width, column.shortest or column.width) for column in columns]
    return sum(widths) + len(GAP) * (len(columns) - 1)


def _widths(columns: list[Column], width: int) -> list[int]:
    """Return the width of each column. The widest texts lose characters first."""
    widths = [column.width for column in columns]
    limits = {index: column.shortest for index, column in enumerate(columns) if column.shortest}
    if _least(columns) > width:
        limits = dict.fromkeys(limits, NARROWEST)
    for _ in range(sum(widths) + len(GAP) * (len(columns) - 1) - width):
        able = [index for index, limit in limits.items() if widths[index] > limit]
        if not able:
            break
        widths[max(able, key=widths.__getitem__)] -= 1
    return widths


def show(columns: Sequence[Column], *, wide: bool = False, more: str = "a wider terminal shows all") -> None:
    """Print a table, with a line above it for what all rows agree on, and one below it for what had no room.

    Args:
        columns: the columns, in their order.
        wide: print all of it, at any width.
        more: how to see what is left out.
    """
    layout = arrange(columns, None if wide else width())
    if layout.shared:
        several = len(columns[0].cells) > 1
        say_wrapped(layout.shared, "all: " if several else "")
    screen = console()
    lines = layout.lines("-" if screen.options.ascii_only else "─")
    first_row = len(lines) - len(columns[0].cells)
    for number, line in enumerate(lines):
        text = Text(line, style="bold" if number < first_row - 1 else "")
        if number >= first_row:
            text.stylize("bold", 0, len(layout.columns[0].cells[number - first_row]))
        screen.print(text, soft_wrap=True)
    notes = [f"not shown: {', '.join(layout.left_out)}"] if layout.left_out else []
    notes += [f"shortened: {', '.join(layout.shortened)}"] if layout.shortened else []
    if notes:
        say_wrapped(f"{'; '.join(notes)} ({more})")


def width() -> int | None:
    """Return the terminal's width. In a file or a pipe it is the variable COLUMNS; None, no limit, without it."""
    if console().is_terminal:
        return console().width
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) else None


def say_wrapped(text: str | Sequence[str], label: str = "") -> None:
    """Print a text at the terminal's width, with `label` before its first line.

    Args:
        text: is wrapped between its words; its indentation is that of all lines. Of several texts each stays
            whole, with a comma between two.
        label: the text before. Further lines are as far from the left.
    """
    if isinstance(text, str):
        label, text = label + " " * (len(text) - len(text.lstrip(" "))), text.lstrip(" ")
    last = len(text) - 1
    parts = text.split(" ") if isinstance(text, str) else [f"{item}{',' * (i < last)}" for i, item in enumerate(text)]
    lines, limit, margin = [label], width(), " " * cell_len(label)
    for number, part in enumerate(map(visible, parts)):
        if limit and number and cell_len(f"{lines[-1]} {part}") > limit:
            lines.append(margin + part)
        else:
            lines[-1] += f" {part}" if number else part
    for line in lines:
        say(line)


def say_facts(facts: Sequence[Fact]) -> None:
    """Print lines with a name and a text, or several, each; the texts are aligned and wrapped as in `say_wrapped`."""
    margin = max((cell_len(name) for name, _ in facts), default=0) + len(GAP)
    for name, text in facts:
        say_wrapped(text, set_cell_size(name, margin))


def add_wide(parser: ArgumentParser) -> None:
    """Give a command the option --wide, the argument of `show`."""
    parser.add_argument("--wide", action="store_true", help="print whole lines, even if they are wider than the screen")


def _text(value: object) -> str:
    """Return a cell's text, in one line. A long one is cut to 400 characters."""
    text = visible(str(value))
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _aligned(column: Column, text: object) -> str:
    padding = " " * (column.width - cell_len(str(text)))
    return f"{padding}{text}" if column.number else f"{text}{padding}"


def _shortened(text: str, width: int, end: int = 0) -> str:
    """Return a text cut to `width`, of which the last `end` characters are its own last ones."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1 - end) + "…" + set_cell_size(text[::-1], end)[::-1]


def _distinct(texts: Sequence[str], width: int) -> dict[str, str]:
    """Return each text cut to `width`, so that different texts stay different.

    They lose their middle, what they begin with in common, or their beginning; or else they end with a hash.
    """
    first, last = min(texts), max(texts)
    common = next((i for i, letters in enumerate(zip(first, last, strict=False)) if len({*letters}) > 1), 0)
    ways: list[Callable[[str], str]] = [
        lambda text: _shortened(text, width, (width - 1) // 2),
        lambda text: _shortened(f"…{text[common:]}" if common > 1 else text, width),
        lambda text: _shortened(text, width, width - 1),
        lambda text: text if cell_len(text) <= width else _shortened(text, width - 6) + mark(text),
    ]
    cuts = ({text: way(text) for text in texts} for way in ways)
    return next((cut for cut in cuts if len({*cut.values()}) == len(cut)), {text: ways[-1](text) for text in texts})
