"""Fit a table into the width of a column or of a page: its font sizes, its columns and its parts.

The font sizes are absolute and widths are upper bounds (see `text.width`), so that no box is overfull, whatever the
class and its fonts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from string import ascii_lowercase

from prunebert.errors import BadInput, cut
from prunebert.report.export.grid import Cell, Column, Form, Grid, Row
from prunebert.report.export.text import lines, width

COLUMN, PAGE = "column", "page"
WIDTHS = {COLUMN: 199.0, PAGE: 344.0}  # points: LaTeX's article has 200 and 345, and no conference's class has less
MIN_WIDTH, MAX_COLUMN, MAX_WIDTH = (
    150.0,
    270.0,
    2000.0,
)  # points: the least that a table needs, the widest column of two, and more than any page has
# Font sizes of numbers and of standard deviations, and the points at each side of a column, tried in this order.
SIZES = ((9, 9, 3.0), (8, 8, 3.0), (8, 6, 3.0), (8, 6, 1.8))
LEADING = 1.2  # distance of lines, as a multiple of the size
NOTE_SIZE, SUPERSCRIPT = 7, 6
LABEL_SHARE = 0.4  # of the width, at most, for the labels of rows
TITLE_WIDTH = 46.0  # points of a column's title, at most, where its numbers are narrower
MAX_HEIGHT = 505.0  # points of a table's texts; the rest of a page of LaTeX's article, 45 points, is for rules and gaps
NUMBERING = "Table 100: Part 10 of 10."  # what LaTeX and a split add to a caption, at most
CAPTION_SIZE = 10
DECIMAL = re.compile(r"([+-]?)(\d+)(\.\d+)?")  # sign, whole number and decimals


@dataclass(frozen=True)
class Style:
    """How tables are written."""

    form: Form = field(default_factory=Form)
    room: float = WIDTHS[PAGE]  # points
    siunitx: bool = False

    @property
    def environment(self) -> str:
        """Return the float: of two columns, `table` fits into one, and `table*` spans both."""
        return "table" if self.room <= MAX_COLUMN else "table*"


@dataclass(frozen=True)
class Layout:
    """How a table is set."""

    number: int  # font size in points
    deviation: int  # that of the standard deviations
    separation: float  # points at each side of a column
    room: float  # points
    has_settings: bool  # whether labels have their settings, if short enough, or notes below the table have them

    @property
    def label_limit(self) -> float:
        """Return the largest width of a row's label in points."""
        return LABEL_SHARE * self.room


def room(text: str) -> float:
    """Return the width in points that the option --width names.

    Raises:
        BadInput: it is neither a name nor a width.
    """
    points = WIDTHS.get(text)
    if points is None:
        try:
            points = float(text)
        except ValueError:
            points = math.nan
    if not MIN_WIDTH <= points <= MAX_WIDTH:
        allowed = f"column, page, or points from {MIN_WIDTH:g} to {MAX_WIDTH:g}"
        raise BadInput(f"--width={cut(text)}: allowed are {allowed}")
    return points


def choose_layout(grid: Grid, style: Style) -> tuple[Layout, list[float]]:
    """Return the first layout in which the table fits, else the last one, and the widths of its columns in points."""
    for has_settings, (number, deviation, separation) in product((True, False), SIZES):
        layout = Layout(number, deviation, separation, style.room, has_settings)
        widths = column_widths(grid, layout)
        if sum(widths) <= style.room:
            break
    return layout, widths


def column_widths(grid: Grid, layout: Layout) -> list[float]:
    """Return an upper bound of the width of the row labels' column and of each other column, separation included."""
    labels = max((label_width(row, layout) for row in grid.rows), default=0.0)
    widths = [labels + layout.separation]
    for index, column in enumerate(grid.columns):
        content = content_width([row.cells[index] for row in grid.rows], layout)
        title = max(width(line, layout.number) for line in title_lines(column, content, layout))
        widths.append(max(content, title) + 2 * layout.separation)
    return widths


def content_width(cells: Sequence[Cell], layout: Layout) -> float:
    """Return the width of the widest cell: the number, the deviation and the marks, which are aligned separately."""
    number = max((_number_width(cell.text, layout.number, cell.mark == "best") for cell in cells), default=0)
    number = max(number, _aligned_width(cells, layout.number))
    deviations = [width(f"±{cell.deviation}", layout.deviation) for cell in cells if cell.deviation]
    marks = [width("≈" * (cell.mark == "tied"), SUPERSCRIPT) + _notes_width(cell.notes) for cell in cells]
    return number + max(deviations, default=0) + max(marks, default=0) + 1


def _number_width(text: str, size: int, bold: bool) -> float:
    return width(text.replace("-", "−"), size, bold)


def _aligned_width(cells: Sequence[Cell], size: int) -> float:
    """Return the width of decimals that siunitx aligns at their points: it has room for the widest of each part."""
    bold = any(cell.mark == "best" for cell in cells)
    parts = [found.groups("") for cell in cells if (found := DECIMAL.fullmatch(cell.text))]
    return sum(max(_number_width(text, size, bold) for text in texts) for texts in zip(*parts, strict=True))


def label_width(row: Row, layout: Layout) -> float:
    shown = row.label if shows_setting(row, layout) else row.name
    return min(layout.label_limit, width(shown, layout.number) + _notes_width(row.notes, 1))


def shows_setting(row: Row, layout: Layout) -> bool:
    """Return whether the whole label is short enough. Otherwise a note below the table has the setting."""
    return layout.has_settings and width(row.label, layout.number) <= layout.label_limit - _notes_width(row.notes)


def _notes_width(notes: Sequence[str], more: int = 0) -> float:
    return width("aa" * (len(notes) + more), SUPERSCRIPT)


def title_lines(column: Column, content: float, layout: Layout) -> list[str]:
    return lines(column.title, max(content, TITLE_WIDTH), layout.number)


def column_parts(columns: Sequence[Column], widths: Sequence[float], room: float) -> list[list[int]]:
    """Return as few parts as possible, of widths as equal as possible."""
    fewest = _greedy_parts(columns, widths, room)
    rooms = range(math.floor(room), 0, -1) if len(fewest) > 1 else ()
    for narrower in rooms:
        parts = _greedy_parts(columns, widths, narrower)
        if len(parts) > len(fewest):
            break
        fewest = parts
    return fewest


def _greedy_parts(columns: Sequence[Column], widths: Sequence[float], room: float) -> list[list[int]]:
    """Return the indices of the columns of each part; every part begins with the key columns."""
    keys = [index for index, column in enumerate(columns) if column.is_key]
    fixed = widths[0] + sum(widths[index + 1] for index in keys)
    parts: list[list[int]] = [[]]
    for index in range(len(columns)):
        if index in keys:
            continue
        used = fixed + sum(widths[other + 1] for other in parts[-1])
        if parts[-1] and used + widths[index + 1] > room:
            parts.append([])
        parts[-1].append(index)
    return [[*keys, *part] for part in parts]


def row_parts(grid: Grid, layout: Layout) -> list[list[Row]]:
    """Return the rows of each part. A part's caption, titles, rows and notes fit on a page.

    A part has a letter for each note. One row alone may be higher.
    """
    head = max((len(title_lines(column, 0, layout)) for column in grid.columns), default=1)  # in the narrowest columns
    room = MAX_HEIGHT - head * layout.number * LEADING
    room -= text_height(f"{NUMBERING} {grid.caption}", CAPTION_SIZE, layout.room)
    room -= sum(text_height(text, NOTE_SIZE, layout.room) for text in grid.marks)
    parts: list[list[Row]] = [[]]
    height, noted = 0.0, set[str]()
    for row in grid.rows:
        setting = () if shows_setting(row, layout) else (row.setting,)
        texts = {*setting, *row.notes, *(note for cell in row.cells for note in cell.notes)}
        own = text_height(row.name, layout.number, layout.label_limit)
        new = sum(text_height(text, NOTE_SIZE, layout.room) for text in texts - noted)
        too_high = height + own + new > room
        if parts[-1] and (too_high or len(noted | texts) > len(ascii_lowercase)):
            parts.append([])
            height, noted = 0.0, set()
            new = sum(text_height(text, NOTE_SIZE, layout.room) for text in texts)
        parts[-1].append(row)
        height += own + new
        noted |= texts
    return parts


def text_height(text: str, size: int, limit: float) -> float:
    """Return an upper bound of the height of a text in points, in lines of `limit` points, a quarter of them ragged."""
    return (1 + 1.25 * width(text, size) // limit) * size * LEADING
