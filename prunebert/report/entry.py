"""`prunebert report DIR…`: read the command line before the slow imports, then write the report."""

from __future__ import annotations

from pathlib import Path

from prunebert.errors import BadInput
from prunebert.report import rows
from prunebert.report.export import options as export
from prunebert.runs import reading
from prunebert.system.console import arguments
from prunebert.system.table import add_wide

DESCRIPTION = "Write report.html, summary.md, results.csv and .parquet, tables.tex and figures from finished runs."
DIRS = "runs, sweeps, or folders of them or of results tables; or a results.csv, .csv.gz or .parquet of a report"
BASELINE = "compare with this method or row, by its label; several with commas; default: magnitude, if it ran"


def main(words: list[str]) -> None:
    """Parse the command line `words`. Print one table, or write the report and print the page to open."""
    parser = arguments("report", DESCRIPTION)
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR", help=DIRS)
    parser.add_argument("--out", help="output folder; default: report/ in the first DIR, or beside it if file")
    parser.add_argument("--baseline", action="append", default=[], metavar="METHOD", help=BASELINE)
    parser.add_argument("--all-figures", action="store_true", help="draw every figure; of many runs, some are left out")
    export.add_options(parser)
    add_wide(parser)
    options = parser.parse_intermixed_args(words)
    for root in options.dirs:
        if not reading.is_folder(root) and not reading.is_file(root):
            raise BadInput(f"{root}: there is no such {'file' if rows.is_table(root) else 'directory'}")
    if options.out is not None and not options.out.strip():
        raise BadInput("--out=: must be a folder, and it is empty")
    choice, style = export.choice(options), export.style(options)
    if choice is not None:
        from prunebert.report.export import one

        one.show(options.dirs, choice)
        return
    from prunebert.report import terminal
    from prunebert.report.command import write

    report = write(
        options.dirs, None if options.out is None else Path(options.out), options.baseline, style, options.all_figures
    )
    terminal.show_scores(report.runs, options.wide)
    terminal.show_finding(report.finding)
    terminal.show_troubles(report.runs, report.troubles)
    terminal.show_repeats(report.repeats)
    terminal.show_file(report.file)
