"""results.csv of `prunebert report` → the tables of a page, between their marks. A test holds page and runs together.

python scripts/results_table.py results/main/results.csv README.md

`<!-- results/main/results.csv -->` begins the table of scores, `<!-- results/main/results.csv claims -->` that of the
papers' claims, `<!-- end -->` ends each.
"""

import sys
from pathlib import Path

import pandas as pd
from scipy import stats

END = "<!-- end -->"
AT = 0.9  # the sparsity whose tasks are told one by one
FROZEN = "magnitude (keep_pretrained=true)"
CLAIMS = (  # this one's score is above that one's, at this sparsity
    ("smp", "soft_movement", 0.9),
    ("soft_movement", "movement", 0.9),
    ("movement", "l0", 0.9),
    ("l0", "magnitude", 0.9),
    ("abp", FROZEN, 0.5),
    ("tamt", "magnitude", 0.5),
    ("tamt", "magnitude", 0.8),
    *(("sparsebert", "dense", s) for s in (0.5, 0.8, 0.9, 0.97)),
)


def table(runs: pd.DataFrame) -> str:
    """A row a method: its score on each task at AT, mean ± standard deviation over seeds; then, at each sparsity, the
    mean of these means over the tasks, where it ran on all of them. A single seed has no deviation."""
    runs = runs.assign(label=_short(runs["label"]))
    tasks, sparsities = sorted(runs["task"].unique()), sorted(s for s in runs["sparsity"].unique() if s > 0)
    metric = runs.groupby("task")["metric"].first()
    over_seeds = runs.groupby(["label", "task", "sparsity"], sort=False)["score"]
    mean, sd = over_seeds.mean(), over_seeds.std()
    head = ["method", *(f"{t} at {AT:g}, {metric[t]}" for t in tasks), *(f"mean at {s:g}" for s in sparsities)]
    lines = [_row(head), _row(["---"] * len(head))]
    for label in runs["label"].drop_duplicates():
        pruned = bool((runs["sparsity"][runs["label"] == label] > 0).any())
        at = {t: (label, t, AT if pruned else 0.0) for t in tasks}
        cells = [_told(mean, sd, at[t]) for t in tasks]
        for s in sparsities:
            own = [mean.get((label, t, s if pruned else 0.0)) for t in tasks]
            cells.append("" if None in own else f"{sum(own) / len(own):.3f}")
        lines.append(_row([label, *cells]))
    return "\n".join(lines)


def claims(runs: pd.DataFrame) -> str:
    """A row a claim: the mean difference over the seeds in common on each task and over the tasks, in points; in how
    many pairs of runs of one task and seed it holds; and the p of Wilcoxon's signed-rank test, two-sided, over these
    pairs. Tasks and seeds without both are left out."""
    runs = runs.assign(label=_short(runs["label"]))
    tasks = sorted(runs["task"].unique())
    scores = runs.set_index(["label", "sparsity", "task", "seed"])["score"]
    head = ["score above", "at", *tasks, "mean", "holds in", "p"]
    lines = [_row(head), _row(["---"] * len(head))]
    for ours, theirs, sparsity in CLAIMS:
        if not {ours, theirs} <= {*runs["label"]}:
            continue
        gaps = (_of(scores, ours, sparsity) - _of(scores, theirs, sparsity)).dropna()
        if gaps.empty:
            continue
        by_task = gaps.groupby("task").mean()
        cells = [f"{100 * by_task[t]:+.1f}" if t in by_task else "" for t in tasks]
        p = stats.wilcoxon(gaps).pvalue if (gaps != 0).any() else 1.0
        told = [
            f"{100 * by_task.mean():+.1f}",
            f"{(gaps > 0).sum()} of {len(gaps)}",
            "< 0.001" if p < 1e-3 else f"{p:.3f}",
        ]
        lines.append(_row([f"{ours} over {theirs}", f"{sparsity:g}", *cells, *told]))
    return "\n".join(lines)


def _of(scores: pd.Series, label: str, sparsity: float) -> pd.Series:
    """By task and seed; of what removes nothing (dense) its only ones."""
    own = scores.xs(label, level="label")
    at = 0.0 if (own.index.get_level_values("sparsity") == 0).all() else sparsity
    return own[own.index.get_level_values("sparsity") == at].droplevel("sparsity")


def mark(results: str | Path, what: str = "") -> str:
    """Where a table of results/NAME/results.csv begins; what: "claims"."""
    return f"<!-- results/{Path(results).resolve().parent.name}/results.csv {f'{what} ' if what else ''}-->"


def filled(page: str, results: str | Path) -> str:
    """`page` with each table anew that it has marks for. Raises ValueError where it has none."""
    runs, tables = pd.read_csv(results), {mark(results): table, mark(results, "claims"): claims}
    there = [begin for begin in tables if begin in page]
    for begin in there or [mark(results)]:
        page = between(page, tables[begin](runs), begin)
    return page


def between(text: str, new: str, begin: str) -> str:
    """`text` with `new` between `begin` and the next end. Raises ValueError without them, or with two of `begin`."""
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not (found and end) or begin in rest:
        raise ValueError(f"there must be one {begin} and after it one {END}")
    return f"{before}{begin}\n{new}\n{END}{after}"


def _told(mean: pd.Series, sd: pd.Series, at: tuple[str, str, float]) -> str:
    if at not in mean:
        return ""
    return f"{mean[at]:.3f}" + ("" if pd.isna(sd[at]) else f" ± {sd[at]:.3f}")


def _short(labels: pd.Series) -> pd.Series:
    """Without the settings that tell variants apart, but for those that are on: `random (keep_pretrained=true)`. As
    they are where two would become the same."""
    names = {}
    for label in labels.unique():
        name, _, words = label.removesuffix(")").partition(" (")
        on = [word for word in words.split(", ") if word.endswith("=true")]
        names[label] = f"{name} ({', '.join(on)})" if on else name
    return labels.map(names) if len(set(names.values())) == len(names) else labels


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/results_table.py RESULTS.CSV PAGE.MD")
    page = Path(sys.argv[2])
    page.write_text(filled(page.read_text("utf-8"), sys.argv[1]), "utf-8")
