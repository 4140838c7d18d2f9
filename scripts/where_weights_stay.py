"""Where the runs of a results.csv keep their weights, in numbers: budget.csv and overlap.csv beside it.

python scripts/where_weights_stay.py results/main/results.csv OUT       the runs' directories begin at OUT

budget.csv: the remaining fraction by task, method, sparsity and kind of matrix, a mean over seeds.
overlap.csv: what the masks of two methods, or of one, share beyond chance on a task at a sparsity (0: chance, 1: one
mask holds the other), a mean over pairs of runs with different seeds; over `all` prunable matrices, and over those of
the `encoder` alone: two masks may share no more than that both drop the embeddings that no batch reads.
"""

import itertools
import sys
from pathlib import Path

import pandas as pd
from results_table import short

from prunebert import artifacts, overlap

COLUMNS = ["label", "task", "sparsity", "seed", "directory"]


def budgets(runs: pd.DataFrame, base: Path) -> pd.DataFrame:
    """task, label, sparsity, kind, remaining."""
    rows = []
    for run in runs.itertuples():
        kinds = artifacts.topology(base / run.directory)["kinds"]
        rows += [(run.task, run.label, run.sparsity, kind, x["remaining"]) for kind, x in kinds.items()]
    found = pd.DataFrame(rows, columns=["task", "label", "sparsity", "kind", "remaining"])
    return found.groupby(["task", "label", "sparsity", "kind"], sort=False, as_index=False).mean()


def overlaps(runs: pd.DataFrame, base: Path) -> pd.DataFrame:
    """task, sparsity, a, b, all, encoder, pairs."""
    rows = []
    for (task, sparsity), cell in runs.groupby(["task", "sparsity"]):
        masks = [(r.label, r.seed, artifacts.packed_masks(base / r.directory)) for r in cell.itertuples()]
        for (a, seed_a, mask_a), (b, seed_b, mask_b) in itertools.combinations(masks, 2):
            if seed_a != seed_b:
                each = overlap.pair(mask_a, mask_b)["matrices"]
                both = [_beyond(each), _beyond({n: m for n, m in each.items() if overlap.layer_of(n).isdigit()})]
                rows.append((task, sparsity, *sorted((a, b)), *both))
    found = pd.DataFrame(rows, columns=["task", "sparsity", "a", "b", "all", "encoder"])
    by = found.groupby(["task", "sparsity", "a", "b"])
    return by.mean().assign(pairs=by.size()).reset_index()


def _beyond(matrices: dict) -> float | None:
    """As one urn."""
    urns = [overlap.Urn(m["size"], *m["kept"], m["shared"]) for m in matrices.values()]
    found: float | None = overlap.measures([overlap.Urn(*map(sum, zip(*urns, strict=True)))])["beyond_chance"]
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/where_weights_stay.py RESULTS.CSV OUT")
    results, base = map(Path, sys.argv[1:])
    runs = pd.read_csv(results, usecols=COLUMNS)
    runs["label"] = short(runs["label"])
    runs = runs[runs["sparsity"] > 0]
    for name, found in (("budget", budgets(runs, base)), ("overlap", overlaps(runs, base))):
        found.round(4).to_csv(results.with_name(f"{name}.csv"), index=False, lineterminator="\n")
