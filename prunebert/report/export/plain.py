"""Write a table as Markdown or as CSV."""

from __future__ import annotations

import re

import pandas as pd
from rich.cells import cell_len

from prunebert.errors import visible
from prunebert.report import rows
from prunebert.report.export.grid import Cell, Grid

SPECIAL = re.compile(r"([\\|*`<>\[\]#~]|(?<![^\W_])_|_(?![^\W_]))")


def to_markdown(grid: Grid) -> str:
    """Return the table in Markdown, its columns aligned, with the caption above and the notes below."""
    titles = ["method", *(column.title for column in grid.columns)]
    lines = [[_escape(title) for title in titles]]
    notes: list[str] = []
    for row in grid.rows:
        notes += [f"{row.label}: {', '.join(row.notes)}"] if row.notes else []
        lines.append([_escape(row.label), *map(_cell, row.cells)])
    widths = [max(3, *(cell_len(line[k]) for line in lines)) for k in range(len(titles))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [
        " | ".join(_padded(text, width, k) for k, (text, width) in enumerate(zip(line, widths, strict=True)))
        for line in (lines[0], rule, *lines[1:])
    ]
    foot = [_escape(text) for text in (*grid.marks, *notes)]
    texts = [_escape(grid.caption), "", *(f"| {line} |" for line in aligned)]
    return "\n".join([*texts, *(["", *(f"- {text}" for text in foot)] if foot else [])])


def to_csv(grid: Grid) -> str:
    """Return the table as CSV in full precision. A mean, its standard deviation and its seeds are columns each."""
    names = ["method", *(name for column in grid.columns for name in column.names)]
    lines = [[row.label, *(number for cell in row.cells for number in cell.numbers)] for row in grid.rows]
    table = pd.DataFrame(lines, columns=names).astype({name: "Int64" for name in names if name.endswith(" seeds")})
    return rows.as_csv(table)


def _cell(cell: Cell) -> str:
    text = f"{cell.text} ± {cell.deviation}" if cell.deviation else cell.text
    text = f"**{text}**" if cell.mark == "best" else text
    return f"{text} ≈" if cell.mark == "tied" else text


def _padded(text: str, width: int, column: int) -> str:
    padding = " " * (width - cell_len(text))
    return f"{padding}{text}" if column else f"{text}{padding}"


def _escape(text: str) -> str:
    return SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))
