"""Compare the masks of every two of many runs: the content of compare.json."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from prunebert.analysis import shared, squares
from prunebert.analysis.overlap import MEASURES, layer_fractions
from prunebert.errors import BadInput
from prunebert.masks.maskfile import Packed
from prunebert.masks.pattern import NONE
from prunebert.runs import artifacts
from prunebert.system.countdown import track

AXES = ("method", "sparsity", "task", "fit", "distill", "augment", "prunable", "seed")
COMMON_AXES = ("sparsity", "task", "seed")  # every method has these settings; see `labels`
PATTERN = "pattern"  # of the masks, shown after the AXES
MAX_PAIRS = 50_000  # pairs listed one by one, as those of 316 runs; the square matrices have all pairs
ROWS = 32  # of the square matrices, computed at a time


@dataclass
class Read:
    """The runs that can be compared, and those that cannot."""

    rows: list[dict[str, Any]]  # directory, settings, counts and layers of each run
    headers: list[Packed]  # the masks without their bits
    masks: list[Packed] | None  # the masks, if they fit into one block
    sizes: list[int]  # of the masks in bytes
    left_out: list[str]  # runs that removed nothing or everything
    damaged: list[str]  # why each of these runs cannot be read
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # verified, of the runs in `rows`, by directory
    dense: dict[str, dict[str, Any]] = field(default_factory=dict)  # the same of those that removed nothing


def comparison(runs: list[Path], found: Collection[Path] = ()) -> dict[str, Any]:
    """Compare every pair of finished runs. This is the content of compare.json.

    The memory is bounded: two blocks of masks (`shared.BLOCK_BYTES`), 4 bytes for each matrix and ordered pair of runs,
    and about 700 bytes for each ordered pair. 1,000 runs of model=tiny take about 1 GB, 1,000 runs of BERT base less
    than 2 GB.

    Args:
        runs: the runs' directories.
        found: those that the user did not name. If one of them is damaged, it is left out.

    Returns:
        labels: a name for each run, see `labels`.
        runs: each run's directory, settings, pattern of the masks, counts and kept fraction of every layer ("layers").
        left_out: runs that removed nothing or everything. Their masks overlap every other mask as by chance.
        damaged: a line for each run that cannot be read and is left out.
        jaccard, expected_jaccard, beyond_chance, mean_jaccard, layer_budget_correlation: square matrices with a row and
            a column for each label.
        within: the square matrix of beyond_chance, given every matrix's allocation.
        order, linkage: see `cluster`. It is computed from beyond_chance.
        matrices: the names of all matrices.
        different_sets: how many pairs do not cover the same matrices, and one such pair.
        pairs: the numbers of `overlap.pair` for labels a < b, at most MAX_PAIRS, with the largest beyond_chance. Their
            "matrices" are lists in the order of the names, with null where a run lacks the matrix.
        pairs_not_listed: how many pairs are only in the square matrices.
        predictions, loyalty, dense_loyalty, without_predictions: see `function.beside`.

    Raises:
        BadInput: a run that the user named is damaged, fewer than two runs removed weights, two runs were found on
            different weights, or two have no matrix in common.
    """
    read, counts = _counted(dict.fromkeys(runs), found)
    rows = [squares.rows(counts, i, min(i + ROWS, len(read.rows))) for i in range(0, len(read.rows), ROWS)]
    square = {key: np.concatenate([block[key] for block in rows]) for key in (*MEASURES, "mean_jaccard")}
    square["layer_budget_correlation"] = squares.correlations(read.headers)
    within = np.concatenate([block["within_beyond_chance"] for block in rows])
    del rows
    overlaps = _nested(square["beyond_chance"])
    listed = _listed(square["beyond_chance"])
    pairs = [p for i in range(0, len(read.rows), ROWS) for p in _pairs(counts, i, listed, square)]
    from prunebert.analysis import function  # imports pandas

    return {
        "labels": labels(read.rows),
        "runs": read.rows,
        "left_out": read.left_out,
        "damaged": read.damaged,
        **{key: overlaps if key == "beyond_chance" else _nested(square[key]) for key in square},
        "within": _nested(within),
        **cluster(overlaps),
        "matrices": counts.names,
        "different_sets": _different_sets(counts),
        "pairs": pairs,
        "pairs_not_listed": len(read.rows) * (len(read.rows) - 1) // 2 - len(pairs),
        **function.beside(read.results, read.dense),
    }


def beyond_chance(runs: Mapping[Path, dict[str, Any] | None]) -> tuple[list[Path], np.ndarray, list[str]]:
    """Return the runs that can be compared, their square matrix of beyond_chance, and why runs cannot be read.

    Runs that removed nothing or everything are left out without a message. Raises BadInput as `comparison` does, but
    not for a damaged run.

    Args:
        runs: by directory, the run's verified result; None to read it.
    """
    read = _read(runs, runs)
    if len(read.rows) < 2:
        return [], np.empty((0, 0)), read.damaged
    counts = _count(read)
    blocks = [squares.rows(counts, i, min(i + ROWS, len(read.rows))) for i in range(0, len(read.rows), ROWS)]
    return (
        [Path(row["directory"]) for row in read.rows],
        np.concatenate([block["beyond_chance"] for block in blocks]),
        read.damaged,
    )


def _counted(runs: Mapping[Path, dict[str, Any] | None], found: Collection[Path]) -> tuple[Read, shared.Shared]:
    read = _read(runs, found)
    if len(read.rows) < 2:
        reasons = "".join(f"; {reason}" for reason in read.damaged[:3])
        raise BadInput(
            f"a comparison needs at least two finished runs that removed weights; found {len(read.rows)}{reasons}"
        )
    return read, _count(read)


def _read(runs: Mapping[Path, dict[str, Any] | None], found: Collection[Path]) -> Read:
    from prunebert.analysis.function import KEPT  # imports pandas

    read = Read([], [], [], [], [], [])
    for run in track(list(runs), "reading masks"):
        try:
            row = runs[run] or artifacts.result(run)
            mask = artifacts.packed_masks(run, row)
            if missing := [key for key in (*AXES, "model") if key not in row]:
                raise BadInput(f"{run}/{artifacts.RESULT} is damaged: it lacks {', '.join(missing)}")
            if not all(isinstance(row[key], str | int | float) for key in (*AXES, "model")):
                raise BadInput(f"{run}/{artifacts.RESULT} is damaged: a setting is neither text nor a number")
        except BadInput as error:
            if run not in found:
                raise
            read.damaged.append(str(error))
            continue
        counts = {"size": sum(map(math.prod, mask.shapes.values())), "kept": sum(mask.kept.values())}
        removed = 0 < counts["kept"] < counts["size"]
        if removed or counts["kept"] == counts["size"]:
            (read.results if removed else read.dense)[str(run)] = {key: row[key] for key in KEPT if key in row}
        if not removed:
            read.left_out.append(str(run))
            continue
        settings = {key: row[key] for key in (*AXES, "model")}
        settings[PATTERN] = mask.pattern
        read.rows.append({"directory": str(run), **settings, **counts, "layers": layer_fractions(mask, mask.bits)})
        read.headers.append(replace(mask, bits={}))
        read.sizes.append(sum(bits.nbytes for bits in mask.bits.values()))
        if read.masks is not None:
            read.masks.append(mask)
            if sum(read.sizes) > shared.BLOCK_BYTES:
                read.masks = None
    return read


def _count(read: Read) -> shared.Shared:
    _refuse_incomparable(read)
    masks, read.masks = read.masks, None
    directories = [Path(row["directory"]) for row in read.rows]
    return shared.count(
        read.headers,
        shared.split(read.sizes),
        lambda index: artifacts.packed_masks(directories[index]) if masks is None else masks[index],
    )


def _refuse_incomparable(read: Read) -> None:
    """Raise BadInput if two masks were found on different weights or have no matrix in common."""

    def refuse(i: int, j: int, reason: str) -> None:
        raise BadInput(f"{read.rows[i]['directory']} and {read.rows[j]['directory']}: {reason}")

    first_with: dict[str, int] = {}
    layouts: dict[frozenset[str], int] = {}
    for j, mask in enumerate(read.headers):
        if mask.weights_hash != read.headers[0].weights_hash:
            models = f"{read.headers[0].model} and {mask.model}"
            refuse(0, j, f"these masks were found on different weights ({models})")
        for name, shape in mask.shapes.items():
            i = first_with.setdefault(name, j)
            if read.headers[i].shapes[name] != shape:
                refuse(i, j, "these masks have no matrix in common")
        layouts.setdefault(frozenset(mask.shapes), j)
    for ours, i in layouts.items():
        for theirs, j in layouts.items():
            if ours.isdisjoint(theirs):
                refuse(min(i, j), max(i, j), "these masks have no matrix in common")


def _listed(overlaps: np.ndarray) -> np.ndarray:
    """Return which pairs are listed, bool [runs, runs], above the diagonal."""
    listed = np.triu(np.ones(overlaps.shape, bool), 1)
    if listed.sum() > MAX_PAIRS:
        above = np.nan_to_num(overlaps)[listed]
        chosen = np.zeros(above.size, bool)
        chosen[np.argsort(-above, kind="stable")[:MAX_PAIRS]] = True
        listed[listed] = chosen
    return listed


def _pairs(
    counts: shared.Shared, first: int, listed: np.ndarray, square: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return the numbers of the listed pairs whose first run is among the ROWS runs from `first`."""
    last = min(first + ROWS, len(listed))
    a, b = np.nonzero(listed[first:last])
    if not a.size:
        return []
    numbers = {key: _plain(values[a, b]) for key, values in squares.rows(counts, first, last).items()}
    matrices = {key: [_plain(x) for x in v[:, a, b].T] for key, v in squares.by_matrix(counts, first, last).items()}
    correlation = _plain(square["layer_budget_correlation"][a + first, b])
    ours, theirs = counts.present[a + first], counts.present[b]
    only = np.stack([(ours & ~theirs).sum(1), (theirs & ~ours).sum(1)], 1).tolist()
    pairs = []
    for k, (i, j) in enumerate(zip((a + first).tolist(), b.tolist(), strict=True)):
        total = {key: numbers[key][k] for key in ("size", "shared")}
        kept = [numbers["kept_a"][k], numbers["kept_b"][k]]
        base = {"size": total["size"], "kept": kept, "shared": total["shared"], "jaccard": numbers["jaccard"][k]}
        keys = ("expected_jaccard", "beyond_chance", "z")
        pairs.append(
            {"a": i, "b": j, **base, **{key: numbers[key][k] for key in keys}}
            | {"within": base | {key: numbers[f"within_{key}"][k] for key in keys}}
            | {"mean_jaccard": numbers["mean_jaccard"][k], "layer_budget_correlation": correlation[k], "only": only[k]}
            | {"matrices": {key: matrices[key][k] for key in MEASURES}}
        )
    return pairs


def _different_sets(counts: shared.Shared) -> dict[str, Any]:
    """Count the pairs whose runs do not cover the same matrices. `example` is (a, b, only in a, only in b), or null."""
    sizes = Counter(row.tobytes() for row in counts.present)
    runs = len(counts.present)
    number = (runs**2 - sum(n**2 for n in sizes.values())) // 2
    example = None
    if number:
        b = int(np.nonzero((counts.present != counts.present[0]).any(1))[0][0])
        only = counts.present[0] & ~counts.present[b], counts.present[b] & ~counts.present[0]
        example = [0, b, *(int(x.sum()) for x in only)]
    return {"pairs": number, "example": example}


def _nested(square: np.ndarray) -> list[list[float | None]]:
    return [_plain(row) for row in square]


def _plain(values: np.ndarray) -> list[Any]:
    """Return numbers as JSON has them, None for NaN."""
    return [None if x != x else x for x in values.tolist()]


def labels(rows: list[dict[str, Any]]) -> list[str]:
    """Return a name for every run: its method, then the settings that differ.

    A setting of COMMON_AXES is shown if any two runs differ in it. One of the other AXES is shown if two runs of one
    method differ in it. The pattern of the masks is shown where two runs differ in it, except for "none". Runs that
    still have the same name get their directory too.
    """

    def varies(axis: str) -> bool:
        values: dict[str, set[str]] = {}
        for row in rows:
            values.setdefault("" if axis in COMMON_AXES else str(row["method"]), set()).add(str(row[axis]))
        return any(len(group) > 1 for group in values.values())

    shown = [axis for axis in AXES[1:] if varies(axis)]
    names = [
        " ".join([str(row["method"]), *(f"seed {row[k]}" if k == "seed" else str(row[k]) for k in shown)])
        for row in rows
    ]
    patterns = [str(row.get(PATTERN, NONE)) for row in rows]
    if len({*patterns}) > 1:
        names = [x if pattern == NONE else f"{x} {pattern}" for x, pattern in zip(names, patterns, strict=True)]
    number = Counter(names)
    return [x if number[x] == 1 else f"{x} ({row['directory']})" for x, row in zip(names, rows, strict=True)]


def cluster(overlaps: list[list[float | None]]) -> dict[str, Any]:
    """Cluster runs by average linkage at the distance 1 - overlap. A null overlap has distance 1, as by chance.

    Returns:
        linkage: scipy's linkage matrix.
        order: the order of its leaves.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = [max(0.0, 1 - (x or 0.0)) for i, row in enumerate(overlaps) for x in row[i + 1 :]]
    tree = linkage(distance, "average", optimal_ordering=True)
    return {"order": leaves_list(tree).tolist(), "linkage": tree.tolist()}
