"""Write tables.tex: every table of a report, ready for a paper's \\input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from prunebert.report.export import elsewhere, scores
from prunebert.report.export.fit import Style
from prunebert.report.export.grid import Grid
from prunebert.report.export.latex import to_latex, unique_labels
from prunebert.report.statistics.ranking import Ranking

FIRST_WORDS = "% Written by `prunebert report`"
PACKAGES = ("booktabs", "siunitx")
SPARE = 12  # tables for which LaTeX has room beside a paper's own
ROOM = "\\extrafloats{{{0}}}\\maxdeadcycles={0}00 % so many tables may wait for their page\n\n"


def document(
    runs: pd.DataFrame, gaps: Mapping[str, pd.DataFrame], rankings: Sequence[Ranking], style: Style | None = None
) -> str:
    """Return tables.tex.

    Args:
        runs: the runs of all tables.
        gaps: the differences to the baselines by table, see `statistics.differences.differences`.
        rankings: one for each sparsity, see `statistics.ranking.rank`.
        style: the width, the decimals and the packages.
    """
    style = style or Style()
    grids = [scores.by_task(r, runs, style.form) for r in rankings if len(r.tables) > 1]
    for name, table_runs in runs.groupby("table", sort=False):
        for metric in metrics(table_runs):
            grids.append(scores.by_sparsity(table_runs, metric, style.form))
        grids += elsewhere.of_evaluations(table_runs, style.form)
        found = gaps.get(str(name))
        if found is not None and len(found):
            grids += scores.of_differences(found, table_runs, style.form)
    return head(style) + in_full(grids, style)


def head(style: Style) -> str:
    """Return the comment at the top, which names the packages."""
    packages = PACKAGES if style.siunitx else PACKAGES[:1]
    needs = " ".join(rf"\usepackage{{{package}}}" for package in packages)
    lines = [f"{FIRST_WORDS}. It needs {needs} in the preamble."]
    lines.append("% Copy the tables that you need, or input all of them. Sparsity is the fraction of weights removed.")
    return "\n".join(lines) + "\n\n"


def in_full(grids: Sequence[Grid], style: Style) -> str:
    """Return LaTeX of all tables, with labels that differ."""
    labels = unique_labels([grid.name for grid in grids])
    text = "\n".join(to_latex(grid, style, label) for grid, label in zip(grids, labels, strict=True))
    number = text.count(r"\begin{table")
    floats = ROOM.format(number) if number > SPARE else ""
    return floats + text


def metrics(runs: pd.DataFrame) -> list[str]:
    """Return the metrics of one table, the main one first."""
    main = str(runs["metric"].iloc[0])
    return [main, *sorted({metric for found in runs["metrics"] for metric in found} - {main})]
