"""Compare what the runs of a table predict: loyalty to the dense run, agreement of every two runs, and exemplars."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebert.analysis import agreement
from prunebert.analysis.agreement import Loyalty
from prunebert.analysis.predictions import CLASS, LABELS, NUMBER, Answers, Reader
from prunebert.errors import BadInput
from prunebert.report.statistics import exemplars

OPTIONS = ("fit", "distill", "augment")  # a run is compared with the dense run that has most of them in common


@dataclass(frozen=True)
class Agreement:
    """How far every two runs predict the same, at one sparsity."""

    sparsity: float
    runs: pd.DataFrame  # the runs in the order of the squares; those of dense rows come first
    squares: dict[str, np.ndarray]  # see `agreement.squares`


@dataclass(frozen=True)
class Function:
    """What the runs of one table predict, compared. Without runs, nothing of them could be read."""

    kind: str  # see `predictions`; "" if no run was read
    runs: int  # how many were read
    has_tokens: bool  # whether a run predicts masked tokens, which are not compared
    dense: list[str]  # labels of the dense rows
    loyalty: pd.DataFrame  # a row per run that is compared with a dense run, see `_loyalty`
    ceilings: dict[str, tuple[Loyalty, int]]  # by label of a dense row: the loyalty of its seeds, and how many pairs
    agreements: list[Agreement]  # by sparsity
    exemplars: pd.DataFrame  # a row for each label and sparsity, see `exemplars.summary`; empty with too few seeds
    rows: pd.DataFrame  # a line for each exemplar: the content of exemplars.csv


def measure(
    runs: pd.DataFrame,
    sparsities: Sequence[float],
    unreadable: dict[Path, str],
    advance: Callable[[], None] = lambda: None,
) -> Function:
    """Read the predictions of every run of a table once, and compare them.

    Args:
        runs: the runs of one table.
        sparsities: those at which every two runs are compared.
        unreadable: why predictions cannot be read is added here, by the run's directory.
        advance: called after each run.
    """
    runs = runs[runs["has_files"]].sort_values("order", kind="stable")
    dense = _dense_labels(runs)
    is_dense = runs["label"].isin(dense)
    reference = {label: _reference(part, runs[is_dense]) for label, part in runs.groupby("label")}
    reader, found, loyalties, has_tokens = Reader(), {}, [], False
    by_label: dict[str, list[tuple[int, Answers]]] = {}
    for index, run in pd.concat([runs[is_dense], runs[~is_dense]]).iterrows():
        advance()
        try:
            answers = reader.read(run["directory"], run["metric"], {**run["row"], **run["seal"]})
        except BadInput as error:
            unreadable[run["directory"]] = str(error)
            continue
        if answers is None:
            has_tokens = True
            continue
        if run["label"] in dense:
            by_label.setdefault(run["label"], []).append((run["seed"], answers))
            found[index] = answers
        else:
            against = by_label.get(reference[run["label"]], [])
            measured = _loyalty(run, answers, against, reference[run["label"]])
            loyalties += [measured] if measured else []
            if against and not measured:
                unreadable[run["directory"]] = f"{run['directory']}: its rows are not those of its dense run"
            found[index] = replace(answers, probabilities=None)  # they are the largest part, and needed no more
    read = runs.loc[[index for index in runs.index if index in found]]
    cells, lines = _exemplars(read, found, reference, dense, reader)
    return Function(
        next(iter(found.values())).rows.kind if found else "",
        len(found),
        has_tokens,
        [label for label in dense if label in by_label],
        pd.DataFrame(loyalties),
        {label: agreement.ceiling(each) for label, each in by_label.items()},
        [each for sparsity in sparsities if (each := _agreement(read, found, dense, sparsity))],
        cells,
        lines,
    )


def _dense_labels(runs: pd.DataFrame) -> list[str]:
    """Return the rows of the table that are never pruned."""
    most = runs.groupby("label", sort=False)["sparsity"].max()
    return [str(label) for label in most.index[most == 0]]


def _reference(runs: pd.DataFrame, dense: pd.DataFrame) -> str:
    """Return the dense row to compare runs of one label with: with most OPTIONS in common, of several the first."""
    own = runs["facts"].iloc[0]
    common = [sum(facts.get(option) == own.get(option) for option in OPTIONS) for facts in dense["facts"]]
    return str(dense["label"].iloc[common.index(max(common))]) if common else ""


def _loyalty(run: pd.Series, answers: Answers, dense: list[tuple[int, Answers]], name: str) -> dict[str, Any]:
    """Return the loyalty of a run to its dense run, {} if no dense run has the same rows.

    The dense run of the same seed counts, if there is one, otherwise the mean over all seeds. `others` is the mean over
    dense runs of other seeds, which the ceiling may be compared with.
    """
    same, others = agreement.references(answers.rows, run["seed"], dense)
    if not same and not others:
        return {}
    own = {key: run[key] for key in ("label", "short_label", "method", "sparsity", "seed", "order")}
    to_others = agreement.loyalty(answers, others)
    found = agreement.loyalty(answers, same) if same else to_others
    return {
        **own,
        "dense": name,
        "same_seed": bool(same),
        **found._asdict(),
        **{f"others_{key}": value for key, value in to_others._asdict().items()},
    }


def _agreement(runs: pd.DataFrame, found: dict[Any, Answers], dense: list[str], sparsity: float) -> Agreement | None:
    is_dense = runs["label"].isin(dense)
    pruned = runs[~is_dense & (runs["sparsity"] == sparsity)]
    chosen = pd.concat([runs[is_dense], pruned])
    if not len(pruned) or len(chosen) < 2:
        return None
    return Agreement(sparsity, chosen, agreement.squares([found[index] for index in chosen.index]))


def _exemplars(
    runs: pd.DataFrame, found: dict[Any, Answers], reference: dict[str, str], dense: list[str], reader: Reader
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of the exemplars and a line for each of them."""
    cells, lines = [], []
    for (label, sparsity), part in runs.groupby(["label", "sparsity"], sort=False):
        theirs = [found[index] for index in runs.index[runs["label"] == reference[label]]]
        if label in dense or not theirs:
            continue
        ours = [found[index] for index in part.index if found[index].rows is theirs[0].rows]
        theirs = [each for each in theirs if each.rows is theirs[0].rows]
        kind = theirs[0].rows.kind
        if kind == NUMBER or min(len(ours), len(theirs)) < exemplars.MIN_SEEDS:
            continue
        numbers, places = exemplars.summary(ours, theirs)
        own = {key: part[key].iloc[0] for key in ("table", "label", "short_label", "sparsity", "order")}
        cells.append({**own, "dense": reference[label], "rows": len(places), **numbers})
        names = _class_names(part) if kind == CLASS else reader.names()
        names = [", ".join(json.loads(name)) for name in names] if kind == LABELS else names
        listed = exemplars.listed(ours, theirs, places, names)
        listed = listed.rename(columns={"label": "true_label"})
        of_cell = {"table": own["table"], "method": label, "sparsity": sparsity, "dense": reference[label]}
        lines.append(pd.DataFrame(of_cell, index=listed.index).join(listed))
    return pd.DataFrame(cells), pd.concat(lines, ignore_index=True) if lines else pd.DataFrame()


def _class_names(runs: pd.DataFrame) -> list[str]:
    """Return the names of the table's classes, which its runs share; [] if they have none."""
    data = runs["row"].iloc[0].get("data")
    names = data.get("labels") if isinstance(data, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []
