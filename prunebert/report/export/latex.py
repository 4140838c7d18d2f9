"""Write a table as LaTeX. A table that is too wide even in the smallest size is split: its columns, then its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_lowercase

from prunebert.report.export.fit import (
    DECIMAL,
    LEADING,
    NOTE_SIZE,
    Layout,
    Style,
    choose_layout,
    column_parts,
    content_width,
    label_width,
    row_parts,
    shows_setting,
    title_lines,
)
from prunebert.report.export.grid import MISSING, Cell, Grid, Row
from prunebert.report.export.text import escape

NEW_LINE = "\n"


def to_latex(grid: Grid, style: Style, label: str) -> str:
    """Return the table, or its parts, as environments `table`, or `table*` if it needs a page's width.

    Args:
        grid: the table.
        style: the width and the packages.
        label: LaTeX's label; a part's has its number too.
    """
    layout, widths = choose_layout(grid, style)
    parts_of_columns = column_parts(grid.columns, widths, style.room)
    parts_of_rows = row_parts(grid, layout)
    parts = [(rows, indices) for rows in parts_of_rows for indices in parts_of_columns]
    texts = []
    for part, (rows, indices) in enumerate(parts, 1):
        columns = [grid.columns[index] for index in indices]
        shown = [Row(row.name, row.setting, [row.cells[index] for index in indices], row.notes) for row in rows]
        is_split = len(parts) > 1
        caption = f"{grid.caption} Part {part} of {len(parts)}." if is_split else grid.caption
        piece = Grid(grid.name, caption, columns, shown, grid.remarks if part == 1 else (), grid.origin)
        texts.append(_table(piece, style, layout, f"{label}-{part}" if is_split else label))
    return "\n".join(texts)


def unique_labels(names: Sequence[str]) -> list[str]:
    """Return a LaTeX label for each name, of safe characters. Equal ones get a number."""
    labels: list[str] = []
    for name in names:
        label = "tab:" + (re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[:60] or "table")
        number = 2
        unique = label
        while unique in labels:
            unique, number = f"{label}-n{number}", number + 1
        labels.append(unique)
    return labels


class _Notes:
    """The notes below a table: a letter for each text."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def mark(self, texts: Sequence[str], sign: str = "") -> str:
        """Return LaTeX for the letters of the texts, with `sign` before them; "" if there are none."""
        for text in texts:
            self.letters.setdefault(text, ascii_lowercase[len(self.letters)])
        marks = [sign, *(self.letters[text] for text in texts)]
        shown = ",".join(mark for mark in marks if mark)
        return rf"\textsuperscript{{{shown}}}" if shown else ""

    def text(self) -> list[str]:
        return [rf"\textsuperscript{{{letter}}}~{escape(text, breaks=True)}" for text, letter in self.letters.items()]


def _table(grid: Grid, style: Style, layout: Layout, label: str) -> str:
    """Return one table environment that fits."""
    notes = _Notes()
    rows = [_row_label(row, layout, notes) for row in grid.rows]
    columns = [[_pieces(row.cells[index], notes) for row in grid.rows] for index in range(len(grid.columns))]
    specs, titles, bodies = [], [], []
    for index, column in enumerate(grid.columns):
        title = title_lines(column, content_width([row.cells[index] for row in grid.rows], layout), layout)
        has_rest = any(rest for _, rest in columns[index])
        as_numbers = style.siunitx and not column.is_key and _are_decimals([row.cells[index] for row in grid.rows])
        specs.append(_spec([row.cells[index] for row in grid.rows], has_rest, as_numbers))
        span = 1 + has_rest
        titles.append([rf"\multicolumn{{{span}}}{{r}}{{{escape(line)}}}" for line in title])
        bodies.append([_body(number, rest, has_rest, as_numbers) for number, rest in columns[index]])
    height = max(map(len, titles), default=1)
    empty = [rf"\multicolumn{{{1 + any(rest for _, rest in column)}}}{{r}}{{}}" for column in columns]
    heads = [[*[blank] * (height - len(title)), *title] for title, blank in zip(titles, empty, strict=True)]
    lines_of_head = [" & ".join(["", *line]) + r" \\" for line in zip(*heads, strict=True)]
    lines_of_body = [" & ".join([name, *cells]) + r" \\" for name, *cells in zip(rows, *bodies, strict=True)]
    limit = layout.label_limit
    is_wide = any(label_width(row, layout) >= limit for row in grid.rows)
    foot = [*(escape(text, breaks=True) for text in grid.marks), *(f"{note}." for note in notes.text())]
    return "\n".join(
        [
            *(f"% {escape(remark)}" for remark in grid.remarks),
            rf"\begin{{{style.environment}}}",
            r"\centering",
            r"\emergencystretch=\linewidth",
            r"\setlength{\belowcaptionskip}{4pt}",
            rf"\caption{{{escape(grid.caption, breaks=True)}}}",
            rf"\label{{{label}}}",
            _font(layout.number),
            rf"\setlength{{\tabcolsep}}{{{layout.separation:g}pt}}",
            rf"\def\sd#1{{{{{_font(layout.deviation)}$\pm$#1}}}}",
            *([r"\sisetup{detect-weight,mode=text}"] if style.siunitx else []),
            rf"\begin{{tabular}}{{@{{}}{f'p{{{limit:.0f}pt}}' if is_wide else 'l'}{''.join(specs)}@{{}}}}",
            r"\toprule",
            *lines_of_head,
            r"\midrule",
            *lines_of_body,
            r"\bottomrule",
            r"\end{tabular}",
            *([r"\par\smallskip", rf"{{{_font(NOTE_SIZE)}\raggedright {NEW_LINE.join(foot)}\par}}"] if foot else []),
            rf"\end{{{style.environment}}}",
            "",
        ]
    )


def _font(size: float) -> str:
    return rf"\fontsize{{{size}}}{{{size * LEADING:g}}}\selectfont"


def _row_label(row: Row, layout: Layout, notes: _Notes) -> str:
    """Return the label of a row. A long setting becomes a note."""
    whole = shows_setting(row, layout)
    texts = [*([row.setting] if row.setting and not whole else []), *row.notes]
    shown = row.label if whole else row.name
    is_wide = label_width(row, layout) >= layout.label_limit
    return (r"\raggedright " if is_wide else "") + escape(shown, breaks=is_wide) + notes.mark(texts)


def _pieces(cell: Cell, notes: _Notes) -> tuple[str, str]:
    """Return LaTeX of the number, and of what follows it: the deviation and the marks."""
    number = escape(cell.text.replace("-", "−"))
    if cell.mark == "best":
        number = rf"\bfseries {number}"
    deviation = rf"\sd{{{escape(cell.deviation)}}}" if cell.deviation else ""
    return number, deviation + notes.mark(cell.notes, r"$\approx$" if cell.mark == "tied" else "")


def _are_decimals(cells: Sequence[Cell]) -> bool:
    """Return whether siunitx can align the cells: plain decimals, and cells without a value."""
    return all(cell.text == MISSING or DECIMAL.fullmatch(cell.text) for cell in cells)


def _spec(cells: Sequence[Cell], has_rest: bool, as_numbers: bool) -> str:
    """Return the column specification of a column, and of that for what follows its numbers."""
    rest = "@{}l" if has_rest else ""
    if not as_numbers:
        return f"r{rest}"
    numbers = [cell.text for cell in cells if cell.text != MISSING]
    signed = "-" if any(number[0] in "+-" for number in numbers) else ""
    whole = max((len(number.lstrip("+-").partition(".")[0]) for number in numbers), default=1)
    decimals = max((len(number.partition(".")[2]) for number in numbers), default=0)
    return f"S[table-format={signed}{whole}.{decimals}]{rest}"


def _body(number: str, rest: str, has_rest: bool, as_numbers: bool) -> str:
    """Return the one or two cells of a value."""
    if as_numbers:
        number = number.replace("$-$", "-") if re.search(r"\d", number) else f"{{{number}}}"
    return f"{number} & {rest}" if has_rest else number
