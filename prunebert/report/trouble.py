"""The problems that a reader of the tables must know about, and those that a look at all runs finds."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from prunebert.system.console import counted, short

OFF_TARGET = 0.005  # largest difference between requested and measured sparsity that is not reported
MAX_LISTED = 5  # runs that are off target and have a line each; more share one line
MAX_VALUES = 5  # commits or devices that are named
COMMIT, DEVICE = 7, 40  # characters that are shown of a commit and of a device


@dataclass(frozen=True)
class Trouble:
    """One problem that a reader of the tables must know about."""

    kind: str  # "did not finish", "missing", "not used", "contradictory", "replaced", "scores only", "off target", …
    location: str  # the directory, table row, sweep or cell
    reason: str


def location(run: pd.Series) -> str:
    """Return a run's directory. That of a table row may be on another machine, so it is not shortened."""
    return short(run["directory"]) if run["has_files"] else f"{run['directory']} (a row of {run['source']})"


def scores_only(runs: pd.DataFrame) -> list[Trouble]:
    """Return a trouble for each table of an earlier report."""
    reason = "the tables have only their scores and costs; masks, topology and predictions are not available"
    tables = runs[~runs["has_files"]].groupby("source", sort=False)
    return [Trouble("scores only", str(file), f"{counted(len(read), 'row')}: {reason}") for file, read in tables]


def off_target(runs: pd.DataFrame) -> list[Trouble]:
    """Return a trouble for each run whose measured sparsity is not the requested one; one for all if they are many."""
    gaps = (runs["measured"] - runs["sparsity"]).abs()
    found = runs[gaps > OFF_TARGET]
    listed = [
        Trouble("off target", location(run), f"requested {run['sparsity']:g}, measured {run['measured']:.4f}")
        for _, run in found.iterrows()
    ]
    if len(listed) <= MAX_LISTED:
        return listed
    worst = listed[int(gaps[found.index].to_numpy().argmax())]
    reason = f"the measured sparsity is not the requested one; farthest off is {worst.location}: {worst.reason}"
    return [Trouble("off target", f"{len(listed):,} of {counted(len(runs), 'run')}", reason)]


def mixed(runs: pd.DataFrame) -> list[Trouble]:
    """Return a trouble if there are cells whose seeds ran on different commits, and one for devices.

    The mean of such a cell mixes them.
    """
    cells = runs.groupby(["table", "label", "sparsity"], sort=False)
    troubles = []
    for column, name, letters in (("git_commit", "commits", COMMIT), ("device", "devices", DEVICE)):
        found = runs[cells[column].transform("nunique") > 1]
        if found.empty:
            continue
        table, label, sparsity = found[["table", "label", "sparsity"]].iloc[0]
        number = found.groupby(["table", "label", "sparsity"]).ngroups
        where = f"{table}: {label} at {sparsity:g}" if number == 1 else f"{number:,} of {cells.ngroups:,} cells"
        values = sorted({value[:letters] or "unknown" for value in found[column]})
        more = f" and {len(values) - MAX_VALUES:,} more" if len(values) > MAX_VALUES else ""
        shown = ", ".join(values[:MAX_VALUES])
        troubles.append(Trouble("mixed", where, f"the seeds of a cell ran on different {name}: {shown}{more}"))
    return troubles


def constant_baselines(runs: pd.DataFrame) -> list[Trouble]:
    """Return a trouble for each table whose runs have different scores of the constant baseline; one of them is shown.

    It comes from training labels, so runs on other training rows may have another one. So may an edited table.
    """
    troubles = []
    for table, scores in runs.groupby("table", sort=False)["majority_score"]:
        values = sorted({round(float(score), 9) for score in scores.dropna()})
        if len(values) > 1:
            shown = ", ".join(f"{value:.4f}" for value in values[:MAX_VALUES])
            more = f" and {len(values) - MAX_VALUES:,} more" if len(values) > MAX_VALUES else ""
            reason = f"the runs have different scores of the constant baseline: {shown}{more}; "
            reason += f"the report compares with {scores.dropna().iloc[0]:.4f}"
            troubles.append(Trouble("several baselines", str(table), reason))
    return troubles
