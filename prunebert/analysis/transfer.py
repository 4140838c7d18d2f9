"""Masks of one task on others: the matrix of scores, source × target, and the overlap of the same masks.

A run that took its masks from another run counts (`masks_from` in result.json), however it was started. The control is
such a run whose mask was shuffled within every matrix (method=fixed_mask method.shuffled=true).
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prunebert.analysis import comparison

WAYS = {
    ("all", "pretrained"): "weights and head trained, from the pre-trained weights",
    ("all", "run"): "weights and head trained, from the source's weights",
    ("head", "pretrained"): "only the head trained, on the pre-trained weights",
    ("head", "run"): "only the head trained, on the source's weights",
}
AXES = ("fit", "distill", "augment")  # settings in which two matrices may differ
OPTIONS = ("head",)  # of the method, too
# Facts of a source other than method, task and seed, and how a label names them.
DIFFERENCES = {"sparsity": ", sparsity {:g}", **{axis: f", {axis} {{:.40}}" for axis in AXES}}
DIFFERENCES["settings"] = " (settings-{:.8})"


@dataclass(frozen=True)
class Cell:
    """The scores of one combination."""

    mean: float
    sd: float | None  # standard deviation over the runs, n - 1 in the denominator; None for one run
    n: int  # runs: seeds of the target, times those of the source

    @classmethod
    def of(cls, scores: Sequence[float]) -> Cell:
        """Return the cell of at least one score."""
        return cls(statistics.fmean(scores), statistics.stdev(scores) if len(scores) > 1 else None, len(scores))


@dataclass(frozen=True)
class Target:
    """A task on which masks were used."""

    name: str  # of the task; with a mark of the evaluated rows if two sets of rows share it
    metric: str


@dataclass(frozen=True)
class Matrix:
    """All runs of one way of training."""

    way: str
    sources: list[str]
    targets: list[Target]
    scores: dict[tuple[str, Target], Cell]  # by source and target
    shuffled: dict[tuple[str, Target], Cell]  # the same with shuffled masks
    dense: dict[Target, Cell]  # fine-tuned on the target without pruning
    constants: dict[Target, float]  # the constant baseline
    masks: dict[Path, str]  # one directory for each mask of a source -> the source


def matrices(runs: Iterable[tuple[Path, Mapping[str, Any]]]) -> list[Matrix]:
    """Return a matrix for each way of training, checkpoint, prunable set and budget; none without transferred masks.

    Args:
        runs: the directory and the result of each run. Runs of experiment=tune are left out. A run that was done
            twice counts once.
    """
    by_identity = {row.get("identity") or directory: (directory, row) for directory, row in runs}
    scored = [(directory, row) for directory, row in by_identity.values() if not row.get("tuning")]
    targets = _targets(row for _, row in scored)
    groups: dict[tuple[Any, ...], list[tuple[Path, Mapping[str, Any]]]] = {}
    for directory, row in scored:
        if isinstance(row.get("masks_from"), dict):
            groups.setdefault(_group(row), []).append((directory, row))
    dense = [row for _, row in scored if row["sparsity"] == 0 and not row.get("masks_from")]
    titles = _titles(list(groups))
    return [_matrix(titles[group], found, dense, targets) for group, found in groups.items()]


def is_transfer(row: Mapping[str, Any]) -> bool:
    """Return whether a run's method made no masks: it used those of another run or of a file (method=fixed_mask).

    Other methods may take masks too and are still themselves, as TAMT with the masks of an earlier run of its own.
    """
    return isinstance(row.get("masks_from"), dict) and "shuffled" in row["settings"]


def overlaps(
    masks: Mapping[Path, str], rows: Mapping[Path, dict[str, Any] | None], sources: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return the mean overlap beyond chance of every two sources, and why masks cannot be read.

    The mean is over all pairs of different masks. A source with one mask has NaN on the diagonal, and so has a pair
    that cannot be compared.

    Args:
        masks: directory of a run with the mask -> source.
        rows: by directory, the run's verified result; None to read it.
        sources: the order of rows and columns.

    Raises:
        BadInput: two masks were found on different weights, or have no matrix in common.
    """
    directories, values, messages = comparison.beyond_chance({path: rows[path] for path in masks})
    square = np.full((len(sources), len(sources)), np.nan)
    for i, a in enumerate(sources):
        for j, b in enumerate(sources):
            pairs = [
                values[x, y]
                for x, first in enumerate(directories)
                for y, second in enumerate(directories)
                if x != y and masks[first] == a and masks[second] == b and values[x, y] == values[x, y]
            ]
            if pairs:
                square[i, j] = statistics.fmean(pairs)
    return square, messages


def _matrix(
    way: str,
    found: list[tuple[Path, Mapping[str, Any]]],
    dense: list[Mapping[str, Any]],
    targets: Mapping[str, Target],
) -> Matrix:
    names = _sources([row for _, row in found])
    scores: dict[bool, dict[tuple[str, Target], list[float]]] = {False: {}, True: {}}
    constants: dict[Target, list[float]] = {}
    masks: dict[Path, str] = {}
    seen = set()
    for directory, row in found:
        source, target = names[_origin(row)], targets[_rows_of(row)]
        is_shuffled = bool(row["settings"].get("shuffled"))
        scores[is_shuffled].setdefault((source, target), []).append(row["score"])
        if row.get("majority_score") is not None:
            constants.setdefault(target, []).append(row["majority_score"])
        if not is_shuffled and _origin(row) not in seen:
            seen.add(_origin(row))
            masks[directory] = source
    columns = sorted({target for part in scores.values() for _, target in part}, key=lambda t: (t.name, t.metric))
    first = found[0][1]
    comparable = [row for row in dense if all(row[key] == first[key] for key in ("weights_hash", "fit", "augment"))]
    by_target: dict[Target, list[float]] = {}
    for row in comparable:
        by_target.setdefault(targets[_rows_of(row)], []).append(row["score"])
    return Matrix(
        way,
        sorted(set(names.values())),
        columns,
        {key: Cell.of(values) for key, values in scores[False].items()},
        {key: Cell.of(values) for key, values in scores[True].items()},
        {target: Cell.of(by_target[target]) for target in columns if target in by_target},
        {target: statistics.fmean(constants[target]) for target in columns if target in constants},
        masks,
    )


def _way(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return what was trained and from which weights. The methods that only take masks have other words for it."""
    settings = row["settings"]
    trained = settings.get("train") or ("head" if settings.get("keep_pretrained") else "all")
    return str(trained), str(settings.get("start") or "pretrained")


def _group(row: Mapping[str, Any]) -> tuple[Any, ...]:
    options = tuple(str(row["settings"].get(key)) for key in OPTIONS)
    return (_way(row), row["weights_hash"], row["prunable"], *(row[key] for key in AXES), *options)


def _titles(groups: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], str]:
    """Return the title of each group: the way, and the settings in which groups differ."""
    names = ("", "weights", "prunable", *AXES, *OPTIONS)
    varied = [i for i in range(1, len(names)) if len({group[i] for group in groups}) > 1]
    return {
        group: ", ".join(
            [WAYS.get(group[0], " from ".join(group[0])), *(f"{names[i]} {str(group[i])[:40]}" for i in varied)]
        )
        for group in groups
    }


def _origin(row: Mapping[str, Any]) -> str:
    """Return what identifies the run or the file of a row's masks."""
    origin = row["masks_from"]
    return str(origin.get("identity") or json.dumps(origin, sort_keys=True))


def _sources(rows: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return the label of each origin: method and task, and what else differs where several share them.

    Origins that differ only in the seed share a label. Two of one seed never do.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found[_origin(row)] = found.get(_origin(row), {}) | row["masks_from"]
    names = {key: _label(origin) for key, origin in found.items()}
    for fact, form in DIFFERENCES.items():
        values: dict[str, set[Any]] = {}
        for key, name in names.items():  # earlier versions recorded fewer facts
            values.setdefault(name, set()).update({found[key].get(fact)} - {None})
        for key, name in names.items():
            if len(values[name]) > 1 and found[key].get(fact) is not None:
                names[key] = name + form.format(found[key][fact])
    seeds = Counter((name, found[key].get("seed")) for key, name in names.items())
    repeated = {name for (name, _), count in seeds.items() if count > 1}
    return {
        key: f"{name} ({hashlib.sha256(key.encode()).hexdigest()[:8]})" if name in repeated else name
        for key, name in names.items()
    }


def _label(origin: Mapping[str, Any]) -> str:
    return str(origin["file"]) if "file" in origin else f"{origin.get('method')}, {origin.get('task')}"


def _rows_of(row: Mapping[str, Any]) -> str:
    """Return what identifies a target: its task, metric, evaluated rows, form and training rows.

    The form has what the command line may change of a task, such as task.max_length. Rows that were augmented are drawn
    anew for every seed, so they do not count.
    """
    data = row.get("data") or {}
    marks = data.get("fingerprint") or data.get("rows") or {}
    evaluated = {split: mark for split, mark in marks.items() if split != "train"}
    trained = None if data.get("augmented") else marks.get("train")
    return json.dumps([row["task"], row["metric"], evaluated, row.get("form") or {}, trained], sort_keys=True)


def _targets(rows: Iterable[Mapping[str, Any]]) -> dict[str, Target]:
    """Return the target of each `_rows_of`. Where several share task and metric, the name has what differs."""
    alike: dict[tuple[str, str], list[str]] = {}
    for key in dict.fromkeys(map(_rows_of, rows)):
        task, metric, *_ = json.loads(key)
        alike.setdefault((task, metric), []).append(key)
    found = {}
    for (task, metric), keys in alike.items():
        parts = {key: _parts(key) for key in keys}
        varied = [name for name in parts[keys[0]] if len({part.get(name) for part in parts.values()}) > 1]
        varied += sorted({name for part in parts.values() for name in part} - {*parts[keys[0]]})
        for key in keys:
            mark = ", ".join(parts[key][name] for name in varied if name in parts[key])
            found[key] = Target(f"{task} ({mark})" if mark else task, metric)
    return found


def _parts(key: str) -> dict[str, str]:
    """Return {what may differ between targets of one task: how a name states it}."""
    _, _, evaluated, form, trained = json.loads(key)
    hashed = {"rows": evaluated, "training-rows": trained}
    marks = {name: f"{name}-{hashlib.sha256(json.dumps(x).encode()).hexdigest()[:8]}" for name, x in hashed.items()}
    return {"rows": marks["rows"]} | {k: f"{k}={str(v)[:40]}" for k, v in form.items()} | {"": marks["training-rows"]}
