"""Read the runs of a grid (method x task x sparsity x seed) whose topology is compared."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebert.analysis import degree_null, overlap
from prunebert.analysis.chance import ANY, draw_of
from prunebert.analysis.overlap import Urn
from prunebert.errors import BadInput
from prunebert.masks.maskfile import Packed
from prunebert.runs import artifacts, identity
from prunebert.system.countdown import track

Key = tuple[str, str, float, int]  # method, task, sparsity, seed
MIDDLE = 0.9  # the sparsity nearest to it stands for the papers' 10 % of remaining weights
SCOPES = ("all", "encoder")


@dataclass(frozen=True)
class Run:
    """The masks of one run."""

    mask: Packed
    kinds: Mapping[str, str]  # by parameter name

    def groups(self, group_of: Callable[[str, str], str | None]) -> dict[str, tuple[int, int, int]]:
        """Return kept weights, size and number of matrices of each group.

        Args:
            group_of: gives a matrix's group from its layer and kind; None leaves it out.
        """
        found: dict[str, tuple[int, int, int]] = {}
        for name, shape in self.mask.shapes.items():
            group = group_of(overlap.layer_of(name), self.kinds[name])
            if group is not None:
                kept, size, count = found.get(group, (0, 0, 0))
                found[group] = kept + self.mask.kept[name], size + math.prod(shape), count + 1
        return found


@dataclass
class Study:
    """The runs of one model and one prunable set."""

    runs: dict[Key, Run]
    transferred: list[dict[str, Any]] = field(default_factory=list)  # results of runs on the masks of others
    dense: list[dict[str, Any]] = field(default_factory=list)  # results of runs that removed nothing
    model: str = ""
    prunable: str = ""
    left_out: dict[str, int] = field(default_factory=dict)  # how many runs, by reason
    commits: Counter[str] = field(default_factory=Counter)  # how many runs are of each commit
    _urns: dict[tuple[Key, Key], dict[str, Urn]] = field(default_factory=dict)
    _random: dict[tuple[Key, str], degree_null.Sampled] = field(default_factory=dict)

    def values(self, axis: int) -> list[Any]:
        """Return the sorted values of an axis of the keys."""
        return sorted({key[axis] for key in self.runs})

    def cell(self, method: str, sparsity: float) -> dict[str, dict[int, Run]]:
        """Return the runs of a method at a sparsity, by task and seed."""
        found: dict[str, dict[int, Run]] = {}
        for key in sorted(self.runs):
            if (key[0], key[2]) == (method, sparsity):
                found.setdefault(key[1], {})[key[3]] = self.runs[key]
        return found

    def urns(self, a: Key, b: Key, scope: str = "all") -> dict[str, Urn]:
        """Return the counts of two runs' masks in each matrix of a scope: all, or those of the encoder's layers."""
        a, b = sorted((a, b))
        if (a, b) not in self._urns:
            matrices = overlap.pair(self.runs[a].mask, self.runs[b].mask)["matrices"]
            self._urns[a, b] = {n: Urn(m["size"], *m["kept"], m["shared"]) for n, m in matrices.items()}
        return {n: urn for n, urn in self._urns[a, b].items() if scope == "all" or overlap.layer_of(n).isdigit()}

    def given_degrees(self, a: Key, b: Key) -> dict[str, Any]:
        """Return `degree_null.measures` of the masks of two seeds, in the encoder's layers."""
        urns = self.urns(a, b, "encoder")
        self._random = {key: drawn for key, drawn in self._random.items() if key[0][:3] == a[:3]}  # the others are done
        numbers = {key: number for number, key in enumerate(sorted(self.runs))}
        for key, name in itertools.product((a, b), urns):
            if (key, name) not in self._random:
                mask = self.runs[key].mask
                seed = (numbers[key], name)
                self._random[key, name] = degree_null.sample(mask.bits[name], mask.shapes[name], draw_of(mask), seed)
        expected = [degree_null.expected(self._random[a, name], self._random[b, name]) for name in urns]
        kept = sum(u.a for u in urns.values()), sum(u.b for u in urns.values())
        return degree_null.measures(expected, kept, sum(u.s for u in urns.values()))


def one_urn(urns: Iterable[Urn]) -> Urn:
    """Return the counts of all matrices together."""
    return Urn(*map(sum, zip(*urns, strict=True)))


def beyond_chance(urns: Sequence[Urn]) -> float | None:
    """Return the overlap beyond chance of independent urns together. With equal counts in one urn it is Cohen's κ."""
    value: float | None = overlap.measures(urns, [1.0] * len(urns))["beyond_chance"]  # the spread is not read
    return value


def read(folders: Sequence[Path]) -> Study:
    """Read all finished runs below some folders.

    Raises:
        BadInput: there is no finished run with masks, one is damaged, two are of one cell with different settings, or
            they are of several models or prunable sets.
    """
    study, left_out = Study({}), Counter()
    first: dict[tuple[str, ...], Path] = {}  # model and prunable set
    cells: dict[tuple[str, str, float], tuple[str, Path]] = {}
    seen: dict[str, Path] = {}
    directories: dict[Key, Path] = {}
    for root in track([root for folder in folders for root in artifacts.finished_runs(folder)], "reading masks"):
        row = artifacts.result(root)
        if row.get("identity") and seen.setdefault(row["identity"], root) != root:
            left_out["done again"] += 1
            continue
        if row.get("tuning"):
            left_out["made to choose learning rates"] += 1
            continue
        study.commits[str(row.get("git_commit") or "")] += 1
        if not row["sparsity"]:
            study.dense.append(row)
            continue
        first.setdefault((row["model"], row["weights_hash"], row["prunable"]), root)
        if len(first) > 1:
            (a, where_a), (b, where_b) = first.items()
            raise BadInput(
                f"{where_b}: model {b[0]} and prunable={b[2]}, but {where_a} has model {a[0]} and prunable={a[2]}; "
                "name the runs of one model and one prunable set"
            )
        if isinstance(row.get("masks_from"), dict):
            study.transferred.append(row)
            continue
        mask = artifacts.packed_masks(root, row)
        if draw_of(mask) != ANY:
            left_out["masks with a pattern"] += 1
            continue
        key = (row["method"], row["task"], round(float(row["sparsity"]), 6), int(row["seed"]))
        settings = identity.without_seed(row)
        other, directory = cells.setdefault(key[:3], (settings, root))
        if other != settings or key in directories:
            where = f"{key[0]} on {key[1]} at sparsity {key[2]:g} with seed {key[3]}"
            reason = "has other settings than" if other != settings else "is the same as"
            raise BadInput(
                f"{root}: {where} {reason} {directories.get(key, directory)}; name folders with one run of each seed"
            )
        directories[key] = root
        matrices = artifacts.topology(root, row, ("matrices",))["matrices"]
        study.runs[key] = Run(mask, {n: matrices[n]["kind"] for n in mask.shapes})
    if not study.runs:
        raise BadInput(f"{' '.join(map(str, folders))}: no finished run there has masks of its own")
    study.model, _, study.prunable = next(iter(first))
    study.left_out = dict(left_out)
    return study
