"""Say where the numbers come from: what failed or is missing, commits, devices, versions, and the report's files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from prunebert import __version__
from prunebert.report.collect import Trouble
from prunebert.report.folder import EXEMPLARS
from prunebert.report.page import results_tables
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number
from prunebert.system.console import counted

COMMIT = 7  # characters
COUNTED = {  # what the first lines say of each kind of trouble; of others: "2 files are not in the tests."
    "did not finish": "{runs} did not finish.",
    "missing": "Some runs of a sweep never started.",
    "not used": "{runs} cannot be read.",
    "contradictory": "{rows} of results tables contradict the rows' own runs or each other, and are left out.",
    "replaced": "{runs} were made again later; only the later ones count.",
    "scores only": "Some runs have only their scores here: they come from a table, without masks and predictions.",
    "off target": "Some runs have another sparsity than was requested.",
    "not averaged": "Runs of one task and model were scored in different ways. They are not averaged together.",
    "several baselines": "Runs of one table have different scores of the constant baseline.",
    "mixed": "Some means are over runs of different commits or devices.",
}
FILES = {
    "summary.md": "findings, limits, a table and the commands, for a README, an issue or a lab book",
    "results.csv": "a row for each run",
    "results.parquet": "the same, with types",
    "tables.tex": "the tables for LaTeX",
    "figures": "all figures as PNG and PDF",
}


def section(asked: Study, troubles: list[Trouble]) -> Section:
    """Return the section; troubles: all that were met, also while the page was made."""
    text = f"The tables contain {counted(len(asked.runs), 'run')}"
    text += "." if troubles else ", every one that was started."
    failed = Part("What failed, is missing or cannot be trusted", text=text, table=_troubles(troubles))
    when = f"Written by prunebert {__version__} on {pd.Timestamp.now():%Y-%m-%d %H:%M}."
    made = Part("What made the numbers", text=when, table=_origins(asked.runs))
    parts = [failed, made, *results_tables.parts(asked.collected), Part("Files", table=_files(asked))]
    return Section("Provenance", "provenance", parts)


def count(troubles: list[Trouble]) -> str:
    """Say in one line what a reader must know about the runs, or "" if there are no troubles."""
    found = Counter(t.kind for t in troubles)
    return " ".join(
        COUNTED[kind].format(n=n, runs=counted(n, "run"), rows=counted(n, "row"))
        if kind in COUNTED
        else f"{counted(n, 'file')} {'is' if n == 1 else 'are'} {kind}."
        for kind, n in found.items()
    )


def commit(run: dict[str, Any]) -> str:
    """Name the state of the code that a run used, with seven characters of the commit."""
    name = str(run["git_commit"])[:COMMIT] or "installed package"
    return name + (" with local changes" if run["row"].get("git_dirty") else "")


def _troubles(troubles: list[Trouble]) -> Table | None:
    rows = [[Cell(t.kind), Cell(t.location, kind="long"), Cell(t.reason, kind="long")] for t in troubles]
    return Table(["problem", "where", "why"], rows) if rows else None


def _origins(runs: pd.DataFrame) -> Table:
    """Return how many runs used each commit, device and version of a package, the commonest first."""
    records = runs.to_dict("records")
    found: list[tuple[str, Iterable[str]]] = [
        ("commit", map(commit, records)),
        ("device", (run["device"] or "unknown" for run in records)),
    ]
    versions: dict[str, list[str]] = {}
    for run in records:
        recorded = run["row"].get("versions")
        for package, version in recorded.items() if isinstance(recorded, dict) else ():
            versions.setdefault(str(package), []).append(str(version))
    found += sorted(versions.items())
    rows = []
    for kind, names in found:
        counts = Counter(names).most_common()
        text = ", ".join(f"{name} ({counted(n, 'run')})" if len(counts) > 1 else name for name, n in counts)
        rows.append([Cell(kind), number(len(counts), "{:d}"), Cell(text, kind="long")])
    return Table(["what", "different", "values"], rows)


def _files(asked: Study) -> Table:
    has_exemplars = any(len(found.rows) for found in asked.functions.values())
    files = FILES | ({EXEMPLARS: "rows whose most frequent prediction changes with pruning"} if has_exemplars else {})
    return Table(["file", "content"], [[Cell(name, link=name), Cell(content)] for name, content in files.items()])
