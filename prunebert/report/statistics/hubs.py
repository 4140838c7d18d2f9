"""How alike the hubs of runs are: over seeds, tasks and methods, and beside the largest pre-trained weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebert.analysis import hubs
from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.system.countdown import track

MAIN = (hubs.STREAM, hubs.HEADS, hubs.NEURONS)
SEEDS, TASKS, METHODS, CHECKPOINT = "other seeds", "other tasks", "other methods", "Top(|W|)"
RELATIONS = (SEEDS, TASKS, METHODS, CHECKPOINT)
READ = ("hubs", "matrices", "heads")  # of topology.json

ByLayer = Mapping[int | None, np.ndarray]


@dataclass(frozen=True)
class Hubs:
    """The hubs of one run, by set of units."""

    ranks: dict[str, ByLayer]  # see `hubs.ranks`
    members: dict[str, ByLayer]  # see `hubs.membership`
    magnitude: dict[str, float | None]  # the rank correlation with Top(|W|)
    top: dict[str, list[dict[str, Any]]]  # the units that keep the most


def read(runs: pd.DataFrame) -> tuple[list[int], list[Hubs], list[str]]:
    """Read the hubs of runs.

    Returns:
        The positions of the runs that have hubs, their hubs, and why others cannot be read. A run of a version that
        recorded no hubs is left out without a message.
    """
    positions, found, messages = [], [], []
    sealed = [{**row, **seal} for row, seal in zip(runs["row"], runs["seal"], strict=True)]
    rows = list(zip(runs["directory"], sealed, strict=True))
    for position, (directory, row) in enumerate(track(rows, "reading hubs")):
        try:
            content = artifacts.topology(Path(directory), row, READ)
            if "hubs" not in content:
                continue
            run = _hubs(Path(directory), row, content)
        except BadInput as error:
            messages.append(str(error))
            continue
        positions.append(position)
        found.append(run)
    return positions, found, messages


def _hubs(directory: Path, row: Mapping[str, Any], content: Mapping[str, Any]) -> Hubs:
    try:
        places = {name: (matrix["layer"], matrix["kind"]) for name, matrix in content["matrices"].items()}
        heads = {places[name][1]: len(fractions) for name, fractions in content["heads"].items()}
        magnitude = {name: numbers["magnitude"] for name, numbers in content["hubs"]["sets"].items()}
        top = {name: numbers["top"] for name, numbers in content["hubs"]["sets"].items()}
        sets = hubs.of_packed(artifacts.packed_masks(directory, row), places.__getitem__, heads)
    except (KeyError, TypeError, AttributeError) as error:  # a file of another version
        raise BadInput(f"{directory}/topology.json does not describe the run's masks: {error!r}") from error
    return Hubs(
        {name: hubs.ranks(units) for name, units in sets.items()},
        {name: hubs.membership(units) for name, units in sets.items()},
        magnitude,
        top,
    )


def pairs(runs: pd.DataFrame, found: list[Hubs]) -> pd.DataFrame:
    """Compare every two runs that differ in seed, task or method, and every run with Top(|W|).

    Two runs of one table are other seeds if they have the same variant, and other methods, at any seeds, if not. Runs
    on different tasks with the same method and settings are other tasks. Their training data differ.

    Args:
        runs: a row for each run: short_label, method, facts, variant, table, task, order.
        found: their hubs.

    Returns:
        A row for each pair, set of units and run of the pair: set, relation, label, method, order, correlation,
        without (Top(|W|), see `hubs.without`), shared and chance (of the top 1 %, see `hubs.shared_top`).
    """
    lines = []
    rows = runs.to_dict("records")
    for (i, a), (j, b) in combinations(enumerate(rows), 2):
        relation = _relation(a, b)
        if not relation:
            continue
        for name in (name for name in found[i].ranks if name in found[j].ranks):
            common = hubs.mean_correlation(found[i].ranks[name], found[j].ranks[name])
            left = hubs.without(common, found[i].magnitude.get(name), found[j].magnitude.get(name))
            shared, chance = hubs.shared_top(found[i].members[name], found[j].members[name])
            numbers = {"correlation": common, "without": left, "shared": shared, "chance": chance}
            sides = {a["short_label"]: a, b["short_label"]: b}.values()  # a pair of one label counts once
            lines += [_of(one) | {"set": name, "relation": relation} | numbers for one in sides]
    for row, one in zip(rows, found, strict=True):
        lines += [_of(row) | {"set": n, "relation": CHECKPOINT, "correlation": r} for n, r in one.magnitude.items()]
    columns = ["label", "method", "order", "set", "relation", "correlation", "without", "shared", "chance"]
    table = pd.DataFrame(lines, columns=columns)
    return table.astype(dict.fromkeys(columns[5:], float))


def _of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": row["short_label"], "method": row["method"], "order": row["order"]}


def _relation(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    if a["table"] == b["table"]:
        return SEEDS if a["variant"] == b["variant"] else METHODS
    of_both = [(run["method"], {key: v for key, v in run["facts"].items() if key != "train"}) for run in (a, b)]
    return TASKS if a["task"] != b["task"] and of_both[0] == of_both[1] else ""


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Return the means of `pairs` for each set, label and relation, and the number `n` of correlations."""
    grouped = table.groupby(["set", "label", "relation"], sort=False)
    numbers = grouped[["correlation", "without", "shared", "chance"]].mean()
    numbers["n"] = grouped["correlation"].count()
    numbers[["method", "order"]] = grouped[["method", "order"]].min()
    return numbers.reset_index().sort_values("order", kind="stable").reset_index(drop=True)


def by_layer(runs: pd.DataFrame, found: list[Hubs], name: str) -> dict[int, float]:
    """Return the mean rank correlation over other seeds in each layer of a set; empty if no run has another seed."""
    products: dict[int, list[float]] = {}
    rows = runs.to_dict("records")
    for (i, a), (j, b) in combinations(enumerate(rows), 2):
        if _relation(a, b) == SEEDS:
            ours, theirs = found[i].ranks.get(name, {}), found[j].ranks.get(name, {})
            for layer in ours:
                if layer is not None and layer in theirs:
                    products.setdefault(layer, []).append(float(ours[layer] @ theirs[layer]))
    return {layer: float(np.mean(products[layer])) for layer in sorted(products)}


def often(found: Iterable[Hubs], name: str, count: int) -> list[tuple[str, int]]:
    """Return the units of a set that are among the listed top units of most runs, and of how many.

    A unit of a layer is written "layer.unit". Of equally many the earlier one.
    """
    counts = Counter(
        (entry.get("layer", -1), entry["unit"]) for run in found for entry in run.top.get(name, ()) if entry["z"] > 0
    )
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count]
    return [(f"{unit}" if layer < 0 else f"{layer}.{unit}", runs) for (layer, unit), runs in most]
