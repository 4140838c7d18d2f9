"""Where the runs of a results.csv keep their weights, in numbers: budget.csv and overlap.csv beside it.

python scripts/where_weights_stay.py results/main/results.csv OUT [EARLIER]       the runs' directories begin at OUT

EARLIER: a folder with an earlier results.csv, budget.csv and overlap.csv, for runs whose directories are not at hand: a
budget is then the mean over its runs and new ones (`runs` says of how many), and an overlap, which pairs of masks have,
the one over more pairs.
budget.csv: the remaining fraction by task, method, sparsity and kind of matrix, a mean over seeds.
overlap.csv: what the masks of two methods, or of one, share beyond chance on a task at a sparsity (0: chance, 1: one
mask holds the other), a mean over pairs of runs with different seeds whose masks are at hand; over `all` prunable
matrices, and over those of the `encoder` alone: two masks may share no more than that both drop the embeddings that no
batch reads.
"""

import itertools
import sys
from pathlib import Path

import pandas as pd
from results_table import short

from prunebert.analysis import overlap
from prunebert.runs import artifacts

COLUMNS = ["label", "task", "sparsity", "seed", "directory"]
BUDGET, OVERLAP = ["task", "label", "sparsity", "kind"], ["task", "sparsity", "a", "b"]


def budgets(runs: pd.DataFrame, base: Path) -> pd.DataFrame:
    """task, label, sparsity, kind, remaining, runs."""
    rows = []
    for run in runs.itertuples():
        kinds = artifacts.topology(base / run.directory)["kinds"]
        rows += [(run.task, run.label, run.sparsity, kind, x["remaining"]) for kind, x in kinds.items()]
    found = pd.DataFrame(rows, columns=[*BUDGET, "remaining"])
    by = found.groupby(BUDGET, sort=False)
    return by.mean().assign(runs=by.size()).reset_index()


def pooled(found: pd.DataFrame, earlier: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """The means of budgets found and those of earlier ones, which are over the runs `before`.

    Raises ValueError where the earlier mean is over another number of runs.
    """
    missing = before.groupby(["task", "label", "sparsity"]).size().rename("missing").reset_index()
    earlier = earlier.merge(missing, on=["task", "label", "sparsity"])
    if (earlier["runs"] != earlier["missing"]).any():
        raise ValueError("an earlier budget is the mean of other runs than the earlier results")
    both = pd.concat([found, earlier[found.columns]])
    both["remaining"] *= both["runs"]
    both = both.groupby(BUDGET, sort=False)[["remaining", "runs"]].sum().reset_index()
    both["remaining"] /= both["runs"]
    return both.sort_values(["task", "sparsity"], kind="stable")


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
    found = pd.DataFrame(rows, columns=[*OVERLAP, "all", "encoder"])
    by = found.groupby(OVERLAP)
    return by.mean().assign(pairs=by.size()).reset_index()


def _beyond(matrices: dict) -> float | None:
    """As one urn."""
    urns = [overlap.Urn(m["size"], *m["kept"], m["shared"]) for m in matrices.values()]
    found: float | None = overlap.measures([overlap.Urn(*map(sum, zip(*urns, strict=True)))])["beyond_chance"]
    return found


def main(results: Path, base: Path, earlier: Path | None = None) -> None:
    """Write both files, the second if there are masks. Raises BadInput for a run that is neither at hand nor in
    `earlier`."""
    runs = pd.read_csv(results, usecols=[*COLUMNS, "identity"])
    runs["label"] = short(runs["label"])
    runs = runs[runs["sparsity"] > 0]
    known = set(pd.read_csv(earlier / "results.csv", usecols=["identity"])["identity"]) if earlier else set()
    before = runs["identity"].isin(known)
    here = [(base / d / artifacts.MASKS).is_file() for d in runs["directory"]]
    budget, shared = budgets(runs[~before], base), overlaps(runs[here], base)
    if earlier:
        budget = pooled(budget, pd.read_csv(earlier / "budget.csv"), runs[before])
        both = pd.concat([shared, pd.read_csv(earlier / "overlap.csv")]).sort_values("pairs", kind="stable")
        shared = both.drop_duplicates(OVERLAP, keep="last").sort_values(OVERLAP, kind="stable")
    for name, found in (("budget", budget), ("overlap", shared)):
        if found.empty:  # no two runs' masks are at hand
            continue
        found.round(4).to_csv(results.with_name(f"{name}.csv"), index=False, lineterminator="\n")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python scripts/where_weights_stay.py RESULTS.CSV OUT [EARLIER]")
    main(*map(Path, sys.argv[1:]))
