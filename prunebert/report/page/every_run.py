"""List every run with its numbers, its command, its directory and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.report import origin
from prunebert.report.facts import SPARSITIES
from prunebert.report.page import links
from prunebert.report.page.page import Part, Section
from prunebert.report.page.provenance import commit
from prunebert.report.page.study import Study
from prunebert.report.page.tables import Cell, Table, number, without_constants
from prunebert.report.variants import DENOMINATORS
from prunebert.system.console import counted

TEXT = (
    "The sparsities are measured from the masks, under all four denominators. A command finds its finished run; with "
    "rerun=true it trains it again. Where a run is not at hand, the row of a results table stands for it."
)


def section(asked: Study) -> Section:
    """Return the section with a folded table for each table of runs."""
    parts = [
        Part(folded=f"{name}: {counted(len(runs), 'run')}", table=table(runs, asked.out)) for name, runs in asked.tables
    ]
    return Section("Every run", "runs", [Part(text=TEXT), *parts])


def table(runs: pd.DataFrame, out: Path) -> Table:
    """Return each run with its score, its measured sparsities, its commit, and the command that repeats it.

    Args:
        runs: the runs of one table.
        out: the folder of the page, to which links are relative.
    """
    columns = ["method", "sparsity", "seed", "score", "constant baseline", "seconds", *DENOMINATORS.values()]
    columns += ["whole model", "commit", "command, and directory"]
    rows = []
    for run in runs.to_dict("records"):
        line = [Cell(run["label"], kind="name"), number(run["sparsity"], "{:g}"), number(run["seed"], "{:d}")]
        line += [number(run["score"]), number(run["majority_score"]), number(run["seconds"], "{:,.1f}")]
        line += [number(run[key]) for key in SPARSITIES]
        rows.append([*line, Cell(commit(run)), Cell(run["command"], kind="code", below=_directory(run, out))])
    return without_constants(Table(columns, rows), ("constant baseline", "commit"))


def _directory(run: dict[str, Any], out: Path) -> Cell:
    """Return where the run is, with a link if that is a directory at hand."""
    own = run["directory"] if run["has_files"] else run["own_run"]
    return Cell(origin.described(run), link=links.to(own, out) if own else "")
