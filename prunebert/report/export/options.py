"""The options of `prunebert report` for tables: how tables.tex is written, and which table --format prints."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field

from prunebert.errors import BadInput, bad_choice, cut
from prunebert.report.export.fit import Style, room
from prunebert.report.export.grid import Form

FORMATS = ("markdown", "csv", "latex")
MAX_DECIMALS = 6
WRITES_ONLY = ("out", "baseline", "all_figures")  # options of the report that change no table of --format


@dataclass(frozen=True)
class Choice:
    """Which table is printed, and how."""

    format: str  # one of FORMATS
    sparsity: float | None = None  # None: all
    table: str | None = None  # the name of a task or of a table; None: all
    metric: str | None = None  # None: the main metric
    style: Style = field(default_factory=Style)


def add_options(parser: ArgumentParser) -> None:
    """Give the command the options for tables."""
    parser.add_argument(
        "--format", metavar="FORMAT", help="print one table, markdown, csv or latex, and write no report"
    )
    parser.add_argument("--sparsity", metavar="S", help="with --format: only this sparsity; default: all")
    parser.add_argument("--table", metavar="NAME", help="with --format: only this task; default: all")
    parser.add_argument("--metric", metavar="M", help="with --format and one task: this metric; default: the main one")
    parser.add_argument("--decimals", metavar="N", default="1", help="decimals of scores in percent; default: 1")
    parser.add_argument(
        "--width", metavar="W", default="page", help="of LaTeX tables: page, column, or points; default: page"
    )
    parser.add_argument("--siunitx", action="store_true", help="align LaTeX tables with the package siunitx")


def style(options: Namespace) -> Style:
    """Return how tables are written.

    Raises:
        BadInput: --decimals or --width is not allowed.
    """
    if options.decimals not in map(str, range(MAX_DECIMALS + 1)):
        raise BadInput(f"--decimals={cut(options.decimals)}: allowed are whole numbers from 0 to {MAX_DECIMALS}")
    return Style(Form(int(options.decimals)), room(options.width), options.siunitx)


def choice(options: Namespace) -> Choice | None:
    """Return which table is printed, or None without --format.

    Raises:
        BadInput: a value is not allowed, or an option has no effect beside the others.
    """
    if options.format is None:
        for name in ("sparsity", "table", "metric"):
            if (value := getattr(options, name)) is not None:
                raise BadInput(f"--{name}={cut(value)} needs --format={'|'.join(FORMATS)}; a report has all tables")
        return None
    if options.format not in FORMATS:
        raise bad_choice("--format", options.format, FORMATS)
    for name in WRITES_ONLY:
        if value := getattr(options, name):
            given = ",".join(value) if isinstance(value, list) else str(value)
            option = f"--{name}={cut(given)}" if value is not True else f"--{name.replace('_', '-')}"
            raise BadInput(f"{option} has no effect with --format, which prints scores and writes no file")
    return Choice(options.format, _sparsity(options.sparsity), options.table, options.metric, style(options))


def _sparsity(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadInput(f"--sparsity={cut(text)}: allowed are fractions from 0 to 1 that runs have")
    return value
