"""Find pruning-identified exemplars: rows whose most frequent prediction over the seeds changes with pruning.

The definition is that of Hooker et al. (2019). A vote is tied where two predictions are equally frequent. A tied row
has no most frequent prediction and is no exemplar.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from prunebert.analysis.predictions import Answers

MIN_SEEDS = 3  # of each side
MAX_SPLITS = 20  # splits of the dense seeds; of more, as many are drawn at random


class Vote(NamedTuple):
    """The most frequent prediction of each row over seeds, all arrays [rows]."""

    codes: np.ndarray  # the prediction; any of them where the vote is tied
    counts: np.ndarray  # how many seeds gave it
    tied: np.ndarray  # whether another prediction is as frequent


class Chance(NamedTuple):
    """Means over splits of the dense seeds, of votes over `seeds` seeds each."""

    seeds: int
    dense: float  # rows on which two votes over dense seeds differ
    pruned: float  # rows on which a vote over pruned seeds and one over dense seeds differ


def vote(codes: np.ndarray) -> Vote:
    """Return the vote over seeds. codes: [seeds, rows] predictions."""
    counts = np.stack([(codes == code).sum(0) for code in codes])
    first = counts.argmax(0)
    most, chosen = counts.max(0), np.take_along_axis(codes, first[None], 0)[0]
    return Vote(chosen, most, ((counts == most) & (codes != chosen)).any(0))


def differ(ours: Vote, theirs: Vote) -> np.ndarray:
    """Return where two votes differ and none of them is tied, bool [rows]."""
    return (ours.codes != theirs.codes) & ~ours.tied & ~theirs.tied


def chance(pruned: np.ndarray, dense: np.ndarray) -> Chance:
    """Return on how many rows votes of half the dense seeds differ, and as many pruned seeds from such a vote.

    Args:
        pruned: [seeds, rows] predictions.
        dense: [seeds, rows] predictions, of two seeds or more.
    """
    random = np.random.default_rng(0)
    size, seeds = min(len(dense) // 2, len(pruned)), range(len(dense))
    halves = [
        (ours, theirs)
        for ours in itertools.combinations(seeds, size)
        for theirs in itertools.combinations(sorted({*seeds} - {*ours}), size)
        if ours < theirs
    ]
    halves = _at_most(halves, random)
    subsets = _at_most(list(itertools.combinations(range(len(pruned)), size)), random)
    dense_votes = {half: vote(dense[list(half)]) for pair in halves for half in pair}
    pruned_votes = [vote(pruned[list(subset)]) for subset in subsets]
    among_dense = [differ(dense_votes[ours], dense_votes[theirs]).sum() for ours, theirs in halves]
    against_dense = [differ(ours, theirs).sum() for ours in pruned_votes for theirs in dense_votes.values()]
    return Chance(size, float(np.mean(among_dense)), float(np.mean(against_dense)))


def _at_most(splits: list[Any], random: np.random.Generator) -> list[Any]:
    if len(splits) <= MAX_SPLITS:
        return splits
    return [splits[i] for i in sorted(random.choice(len(splits), MAX_SPLITS, replace=False))]


def summary(pruned: Sequence[Answers], dense: Sequence[Answers]) -> tuple[dict[str, float], np.ndarray]:
    """Return the numbers of one row and sparsity, and which rows are exemplars, bool [rows].

    Args:
        pruned: its seeds, at least MIN_SEEDS.
        dense: the dense run's seeds on the same rows, at least MIN_SEEDS.

    Returns:
        exemplars, share: how many, and as a fraction of the rows; tied: rows without a vote.
        accuracy_dense, accuracy_pruned: on the exemplars, as means over the seeds; NaN without an exemplar.
        accuracy_dense_rest, accuracy_pruned_rest: the same on all other rows.
        seeds_pruned, seeds_dense; vote_seeds, by_chance, at_equal_seeds: see `Chance`.
    """
    ours, theirs = (np.stack([each.values for each in side]) for side in (pruned, dense))
    our_vote, their_vote = vote(ours), vote(theirs)
    found = differ(our_vote, their_vote)
    by_chance = chance(ours, theirs)
    numbers = {
        "exemplars": int(found.sum()),
        "share": float(found.mean()),
        "tied": int((our_vote.tied | their_vote.tied).sum()),
        "seeds_pruned": len(pruned),
        "seeds_dense": len(dense),
        "vote_seeds": by_chance.seeds,
        "by_chance": by_chance.dense,
        "at_equal_seeds": by_chance.pruned,
    }
    for name, side in (("dense", dense), ("pruned", pruned)):
        right = np.stack([each.right for each in side])
        numbers[f"accuracy_{name}"] = float(right[:, found].mean()) if found.any() else math.nan
        numbers[f"accuracy_{name}_rest"] = float(right[:, ~found].mean()) if not found.all() else math.nan
    return numbers, found


def listed(
    pruned: Sequence[Answers], dense: Sequence[Answers], found: np.ndarray, names: Sequence[str]
) -> pd.DataFrame:
    """Return a line for each exemplar: split, id, text (if the runs stored it), label, and the two votes.

    Args:
        pruned: as in `summary`.
        dense: as in `summary`.
        found: which rows are exemplars.
        names: the name of each code; a code beyond them is written as its number.
    """
    rows = dense[0].rows
    votes = {
        name: vote(np.stack([each.values for each in side])) for name, side in (("dense", dense), ("pruned", pruned))
    }
    lines = []
    for place in np.nonzero(found)[0].tolist():
        text = rows.text[place] if rows.text else ""
        line: dict[str, str | int] = {"split": rows.split[place], "id": rows.id[place], "text": text}
        line["label"] = name_of(rows.gold[place], names)
        for name, side in votes.items():
            line[f"{name}_prediction"] = name_of(int(side.codes[place]), names)
            line[f"{name}_votes"] = int(side.counts[place])
        lines.append(line)
    return pd.DataFrame(lines)


def name_of(value: object, names: Sequence[str]) -> str:
    """Return a prediction or a label as a text: a code by its name, several answers or labels with commas."""
    if isinstance(value, list):
        return ", ".join(dict.fromkeys(map(str, value)))
    return names[value] if isinstance(value, int) and value < len(names) else str(value)
