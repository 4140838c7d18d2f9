"""Compute where the runs of a folder of results keep their weights: budget.csv and overlap.csv in it.

python scripts/where_weights_stay.py results/tiny OUT [EARLIER]

OUT: the folder that the runs' directories are relative to.
EARLIER: a folder with earlier results, budget.csv and overlap.csv, for runs whose directories are gone. An
    allocation is then the mean over earlier and new runs. Of two overlaps, the one over more pairs is kept.

budget.csv: the remaining fraction by task, method, sparsity and kind of matrix, as a mean over seeds. Its column `runs`
    is the number of runs.
overlap.csv: the overlap beyond chance of the masks of two methods, or of one, by task and sparsity. 0 is chance; 1
    means that one mask contains the other. It is a mean over pairs of runs with different seeds whose masks exist. The
    column `all` is over all prunable matrices, `encoder` over those of the encoder. Two masks may share no more than
    the removal of those embeddings that no batch uses; `encoder` excludes this.
"""

import itertools
import sys
from pathlib import Path

import pandas as pd
from results_files import KEY, read
from results_rows import KEEP, row_names

from prunebert.analysis import overlap
from prunebert.runs import artifacts

COLUMNS = ["label", "task", "sparsity", "seed", "directory"]
ALLOCATION_KEY = ["task", "label", "sparsity", "kind"]
OVERLAP_KEY = ["task", "sparsity", "a", "b"]


def allocations(runs: pd.DataFrame, base: Path) -> pd.DataFrame:
    """Return the columns task, label, sparsity, kind, remaining and runs."""
    rows = []
    for run in runs.itertuples():
        kinds = artifacts.topology(base / run.directory)["kinds"]
        rows += [(run.task, run.label, run.sparsity, kind, entry["remaining"]) for kind, entry in kinds.items()]
    groups = pd.DataFrame(rows, columns=[*ALLOCATION_KEY, "remaining"]).groupby(ALLOCATION_KEY, sort=False)
    return groups.mean().assign(runs=groups.size()).reset_index()


def pool(new: pd.DataFrame, earlier: pd.DataFrame, earlier_runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over new and earlier runs.

    Args:
        new: allocations of the new runs.
        earlier: allocations of an earlier budget.csv.
        earlier_runs: the runs that `earlier` is a mean of.

    Raises:
        ValueError: an earlier mean is over another number of runs.
    """
    run_counts = earlier_runs.groupby(["task", "label", "sparsity"]).size().rename("run_count").reset_index()
    earlier = earlier.merge(run_counts, on=["task", "label", "sparsity"])
    if (earlier["runs"] != earlier["run_count"]).any():
        raise ValueError("an earlier budget is the mean of other runs than the earlier results")
    pooled = pd.concat([new, earlier[new.columns]])
    pooled["remaining"] *= pooled["runs"]
    pooled = pooled.groupby(ALLOCATION_KEY, sort=False)[["remaining", "runs"]].sum().reset_index()
    pooled["remaining"] /= pooled["runs"]
    return pooled.sort_values(["task", "sparsity"], kind="stable")


def overlaps(runs: pd.DataFrame, base: Path) -> pd.DataFrame:
    """Return the columns task, sparsity, a, b, all, encoder and pairs."""
    rows = []
    for (task, sparsity), cell in runs.groupby(["task", "sparsity"]):
        masks = [(r.label, r.seed, artifacts.packed_masks(base / r.directory)) for r in cell.itertuples()]
        for (a, seed_a, mask_a), (b, seed_b, mask_b) in itertools.combinations(masks, 2):
            if seed_a != seed_b:
                matrices = overlap.pair(mask_a, mask_b)["matrices"]
                encoder = {n: m for n, m in matrices.items() if overlap.layer_of(n).isdigit()}
                rows.append((task, sparsity, *sorted((a, b)), _beyond_chance(matrices), _beyond_chance(encoder)))
    groups = pd.DataFrame(rows, columns=[*OVERLAP_KEY, "all", "encoder"]).groupby(OVERLAP_KEY)
    return groups.mean().assign(pairs=groups.size()).reset_index()


def _beyond_chance(matrices: dict) -> float | None:
    """Return the overlap beyond chance, with all matrices as a single urn."""
    urns = [overlap.Urn(m["size"], *m["kept"], m["shared"]) for m in matrices.values()]
    measures = overlap.measures([overlap.Urn(*map(sum, zip(*urns, strict=True)))], [1.0])  # the spread is not read
    value: float | None = measures["beyond_chance"]
    return value


def main(results: Path, base: Path, earlier: Path | None = None) -> None:
    """Write budget.csv, and overlap.csv if there are masks of at least two seeds.

    Raises:
        BadInput: a run has no directory and is not in `earlier`.
    """
    runs = read(results, [*COLUMNS, "method", KEEP, KEY])
    runs["label"] = row_names(runs)
    runs = runs[runs["sparsity"] > 0]
    if all((base / directory / artifacts.TOPOLOGY).is_file() for directory in runs["directory"]):
        earlier = None  # all runs are at hand
    earlier_identities = read(earlier, [KEY])[KEY] if earlier else ()
    is_earlier = runs["identity"].isin(set(earlier_identities))
    has_masks = [(base / directory / artifacts.MASKS).is_file() for directory in runs["directory"]]
    allocation_table, overlap_table = allocations(runs[~is_earlier], base), overlaps(runs[has_masks], base)
    if earlier:
        allocation_table = pool(allocation_table, pd.read_csv(earlier / "budget.csv"), runs[is_earlier])
        both = pd.concat([overlap_table, pd.read_csv(earlier / "overlap.csv")]).sort_values("pairs", kind="stable")
        overlap_table = both.drop_duplicates(OVERLAP_KEY, keep="last").sort_values(OVERLAP_KEY, kind="stable")
    for name, table in (("budget", allocation_table), ("overlap", overlap_table)):
        if not table.empty:
            table.round(4).to_csv(results / f"{name}.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python scripts/where_weights_stay.py RESULTS_FOLDER OUT [EARLIER]")
    main(*map(Path, sys.argv[1:]))
