"""What the tables and figures of docs/results/ share: the columns they read, and how a row is named and marked."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from prunebert.report.variants import METHOD_ORDER

MAIN_SPARSITY = 0.9  # tables of one sparsity show this one
NO_BETTER = 0.005  # a score less than half a point above the constant baseline counts as no better
SHOWN = ("smp", "movement", "gmp", "magnitude", "random")  # the methods of the README's picture and table
KEEP = "settings.keep_pretrained"
COLUMNS = ["label", "method", "task", "sparsity", "seed", "metric", "score", "majority_score", KEEP]
STEP_COLUMNS = ["method", "settings.fit.steps", KEEP]


def row_names(runs: pd.DataFrame) -> pd.Series:
    """Return each run's row: its method, and whether its weights stay frozen: `random (keep_pretrained=true)`.

    If several runs of a row then have the same task, sparsity and seed, its runs have their short labels.
    """
    kept = runs[KEEP].astype(str) == "True" if KEEP in runs else pd.Series(False, runs.index)
    names = runs["method"] + kept.map({True: " (keep_pretrained=true)", False: ""})
    repeated = runs.assign(name=names).duplicated(["name", "task", "sparsity", "seed"], keep=False)
    several = names.isin(names[repeated].unique())
    return names.where(~several, short_labels(runs["label"][several]))


def short_labels(labels: pd.Series) -> pd.Series:
    """Remove the settings from the labels, except switches that are on: `random (keep_pretrained=true)`.

    If two labels would become equal, all stay as they are.
    """
    names = {}
    for label in labels.unique():
        name, _, settings = label.removesuffix(")").partition(" (")
        switches = [setting for setting in settings.split(", ") if setting.endswith("=true")]
        names[label] = f"{name} ({', '.join(switches)})" if switches else name
    return labels.map(names) if len(set(names.values())) == len(names) else labels


def in_order(labels: Iterable[str]) -> list[str]:
    """Return labels in the order of their methods in every report."""
    return sorted(labels, key=lambda label: (METHOD_ORDER.index(label.partition(" ")[0]), label))


def no_better(runs: pd.DataFrame) -> pd.Series:
    """Return whether each run is no better than the constant baseline."""
    return runs["score"] < runs["majority_score"] + NO_BETTER


def prunes(runs: pd.DataFrame, label: str) -> bool:
    """Return whether a method removes something. One that does not (dense) has only runs at sparsity 0."""
    return bool((runs["sparsity"][runs["label"] == label] > 0).any())


def total_steps(runs: pd.DataFrame) -> pd.Series:
    """Return the number of steps that train the sub-network, rounded to tens.

    IMP is counted with three rounds of fit.steps each, although it has two at sparsity 0.5. Rounding turns 3 × 33 into
    100.
    """
    rounds = runs["method"].map(lambda m: 3 if m == "imp" else 1)
    return (runs["settings.fit.steps"] * rounds).round(-1).astype(int)


def markdown_row(cells: Iterable[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"
