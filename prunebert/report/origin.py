"""Mark what comes from the rows of a results table whose runs are not at hand, and say from which table it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from prunebert.report.executions import Repeat
from prunebert.system.console import counted, short

MARK = "‡"
NAMED = 3  # tables, devices or versions that a sentence names


def described(run: Mapping[str, Any]) -> str:
    """Return where a run is. For the row of a table: which table, and that the run is not at hand."""
    if run["has_files"]:
        return short(run["directory"])
    if run["own_run"]:
        return f"a row of {run['source']}, which agrees with its run in {short(run['own_run'])}; the run was not read"
    return f"run not at hand: a row of {run['source']}; its directory was {run['directory']}"


def marked(runs: pd.DataFrame) -> set[tuple[str, str, float]]:
    """Return the table, label and sparsity of each cell whose mean contains rows of results tables.

    It is empty where all runs are such rows, because then `note` says so once.
    """
    rows = runs[~runs["has_files"]]
    if len(rows) == len(runs):
        return set()
    return set(rows[["table", "label", "sparsity"]].itertuples(index=False, name=None))


def note(runs: pd.DataFrame) -> str:
    """Return the sentence below a table of means that explains the mark, or "" if there is nothing to explain."""
    rows = runs[~runs["has_files"]]
    if rows.empty:
        return ""
    tables = _listed(rows["source"])
    if len(rows) == len(runs):
        return f"All means are over rows of {tables}. Their runs {_absent(rows)}."
    return f"{MARK} The mean contains rows of {tables}, whose runs {_absent(rows)}."


def sentence(runs: pd.DataFrame) -> str:
    """Return the sentence at the top of the page where every run is the row of a table, or else ""."""
    if runs.empty or runs["has_files"].any():
        return ""
    text = f"Every run here is a row of {_listed(runs['source'])}. The runs {_absent(runs)}"
    return f"{text}, so masks, topology and predictions are missing."


def share(runs: pd.DataFrame) -> str:
    """Return the sentence below a figure or a table without marks; "" if no run is the row of a results table."""
    rows = runs[~runs["has_files"]]
    if rows.empty:
        return ""
    which = "All runs are rows" if len(rows) == len(runs) else f"{len(rows):,} of {len(runs):,} runs are rows"
    return f"{which} of {_listed(rows['source'])}, which {_absent(rows)}."


def counted_rows(runs: pd.DataFrame) -> str:
    """Return how many of the runs are rows of results tables; "" if none is."""
    rows = runs[~runs["has_files"]]
    if rows.empty:
        return ""
    share = f"{len(rows):,} of {counted(len(runs), 'run')}"
    return f"rows of {_listed(rows['source'])}, whose runs {_absent(rows)}: {share}"


def repeated(repeats: list[Repeat]) -> str:
    """Say how far the scores of experiments differ that were executed more than once; "" if there are none."""
    if not repeats:
        return ""
    gaps = [abs(pair.other["score"] - pair.kept["score"]) for pair in repeats]
    runs = counted(len({pair.kept["identity"] for pair in repeats}), "run")
    was = "was" if len({pair.kept["identity"] for pair in repeats}) == 1 else "were"
    text = f"{runs} {was} executed again, with the same settings, data, weights and seed"
    if max(gaps) == 0:
        scores = "All scores are the same"
    elif len(gaps) == 1:
        scores = f"The scores differ by {gaps[0]:.4f}"
    else:
        scores = f"The scores differ by {max(gaps):.4f} at most, and by {sum(gaps) / len(gaps):.4f} on average"
    kept, others = [pair.kept for pair in repeats], [pair.other for pair in repeats]
    same_versions = len({_versions(facts) for facts in kept + others}) == 1
    name = device if same_versions else machine
    machines = [_listed(map(name, executions), " and ") for executions in (kept, others)]
    where = f"all on {machines[0]}"
    if machines[0] != machines[1]:
        where = f"{machines[0]} in the tables, {machines[1]} again"
    return f"{text}. {scores} ({where})."


def machine(facts: Mapping[str, Any]) -> str:
    """Return the device and the versions that an execution used: "cpu, 1 thread with torch 2.10, prunebert 0.1"."""
    return " with ".join(filter(None, [device(facts), _versions(facts)]))


def device(facts: Mapping[str, Any]) -> str:
    """Return the device that an execution used."""
    return facts["device"] or "an unknown device"


def _absent(rows: pd.DataFrame) -> str:
    """Say why the runs of rows are missing: they are not at hand, or they are where the rows say and were not read."""
    confirmed = rows["own_run"].notna()
    if confirmed.all():
        return "were not read"
    return "were not read, or are not at hand" if confirmed.any() else "are not at hand"


def _versions(facts: Mapping[str, Any]) -> str:
    versions = facts["row"].get("versions")
    found = versions if isinstance(versions, dict) else {}
    return ", ".join(f"{package} {found[package]}" for package in ("torch", "prunebert") if package in found)


def _listed(values: Iterable[Any], last: str = ", ") -> str:
    names = list(dict.fromkeys(str(value) for value in values))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return last.join(names[:NAMED]) + more
