"""Recognise the files of an earlier report, which a new one may replace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.report import rows
from prunebert.report.export.document import FIRST_WORDS
from prunebert.runs import artifacts
from prunebert.system import outputs
from prunebert.system.console import counted

KINDS = (  # the first words of the figures' names
    *("score", "forest", "cost", "density", "budget", "overlap", "elsewhere", "hubs", "agreement", "spectra"),
    *("calibration", "subgroups", "transfer"),
)
FIGURE = re.compile(rf"(({'|'.join(KINDS)})-.*|tuning)\.(png|pdf)")

EXEMPLARS = "exemplars.csv"
SUMMARY = "summary.md"
SUMMARY_BEGINS = "<!-- Written by prunebert report."
EXEMPLAR_COLUMNS = (
    *("table", "method", "sparsity", "dense", "split", "id", "text", "true_label"),
    *("dense_prediction", "dense_votes", "pruned_prediction", "pruned_votes"),
)


def refuse_unusable(out: Path) -> None:
    """Refuse an output folder that cannot be written to, or that has a file of the user's where a report's belongs.

    Raises:
        BadInput: the folder is refused.
    """
    recognise = {
        "report.html": _is_page,
        "results.csv": _is_table,
        "results.parquet": _is_table,
        SUMMARY: outputs.begins_with(SUMMARY_BEGINS),
        "tables.tex": outputs.begins_with(FIRST_WORDS),
        EXEMPLARS: outputs.begins_with(",".join(EXEMPLAR_COLUMNS), ",".join(f'"{x}"' for x in EXEMPLAR_COLUMNS)),
    }
    outputs.refuse_unusable(out, recognise)
    if (out / artifacts.RESULT).exists() or (out / artifacts.CONFIG).exists():
        raise BadInput(f"--out={out}: this is the directory of a run; choose another folder")
    figures = out / "figures"
    if figures.is_symlink() or (figures.exists() and not figures.is_dir()):
        raise BadInput(f"--out={out}: {figures} is not a folder of a report; choose another folder")
    if figures.is_dir() and not (out / "report.html").is_file():
        outputs.refuse_unusable(
            out, {f"figures/{file.name}": lambda _: False for file in figures.iterdir() if FIGURE.match(file.name)}
        )


def replaced(out: Path) -> list[Path]:
    """Return the absolute paths of the tables that an earlier report left in `out`, and that a new one replaces.

    Their runs are read again, if they are still there.
    """
    return [(out / name).resolve() for name in ("results.csv", "results.parquet") if (out / "report.html").is_file()]


def refuse_to_replace(out: Path, tables: Iterable[Path]) -> None:
    """Refuse an output folder in which a report would replace a table that it reads.

    Raises:
        BadInput: the folder is refused.
    """
    written = {(out / name).resolve() for name in ("results.csv", "results.parquet")}
    for table in tables:
        if table.resolve() in written:
            raise BadInput(f"--out={out}: the report reads {table} and would replace it; choose another folder")


def refuse_to_lose(out: Path, roots: Iterable[Path], identities: Set[str]) -> None:
    """Refuse an output folder with the table of another person's report, whose runs are nowhere else.

    That is a table of which no run is read, or one in a folder that was named to be read. In the folder of an earlier
    report, runs may have been deleted.

    Args:
        out: the output folder.
        roots: the folders and tables that were named.
        identities: of all runs that were found.

    Raises:
        BadInput: the folder is refused.
    """
    file = next((file for file in replaced(out) if file.is_file()), None)
    if file is None:
        return
    try:
        names, lines = rows.read(file)
    except BadInput:
        return  # a damaged table has nothing to lose
    column = names.index("identity") if "identity" in names else None
    known = [str(line[column]) for line in lines if column is not None and len(line) == len(names)]
    lost = [identity for identity in known if identity and identity not in identities]
    is_root = out.resolve() in {root.resolve() for root in roots}
    if lost and (is_root or len(lost) == len(known)):
        problem = f"{out / file.name} has {counted(len(lost), 'row')} of runs that are not among those read"
        raise BadInput(
            f"--out={out}: {problem}, and would be replaced; choose another folder, or read the table itself"
        )


def remove_figures(out: Path, kept: Set[str]) -> None:
    """Remove the figures of an earlier report that the report in `out` does not draw again, so that none is stale."""
    for file in (out / "figures").iterdir():
        if FIGURE.match(file.name) and file.stem not in kept:
            file.unlink()


def _is_page(file: Path) -> bool:
    with file.open("rb") as stream:
        return b"<title>prunebert report</title>" in stream.read(4096)


def _is_table(file: Path) -> bool:
    """Return whether a file is a results table with the columns that every report adds."""
    try:
        return set(rows.column_names(file)) >= rows.REPORT_COLUMNS
    except BadInput:
        return False
