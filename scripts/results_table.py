"""results.csv of `prunebert report` → the tables of a page, between their marks. A test holds page and runs together.

python scripts/results_table.py results/main/results.csv README.md

`<!-- results/main/results.csv -->` begins the table of scores, `<!-- results/main/results.csv claims -->` that of the
papers' claims, `<!-- results/budget/results.csv steps -->` that of other numbers of steps, beside main's;
`<!-- end -->` ends each.
"""

import sys
from pathlib import Path

import pandas as pd

END = "<!-- end -->"
MAIN = "main/results.csv"
AT = 0.9  # the sparsity whose tasks are told one by one
NO_BETTER = 0.005  # half a point above the constant answer is still no better
COLUMNS = ["label", "task", "sparsity", "seed", "metric", "score", "majority_score"]
BUDGET = ["method", "settings.fit.steps", "settings.keep_pretrained"]
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
    """A row a method: its score on each task at AT, mean ± standard deviation over seeds (none of a single one); then,
    at each sparsity, the mean of these means over the tasks that have the most common metric, where it ran on all of
    them. A run that is no better than the constant answer, the first row, leaves a † in its cell.
    """
    runs = runs.assign(label=short(runs["label"]))
    tasks, sparsities = sorted(runs["task"].unique()), sorted(s for s in runs["sparsity"].unique() if s > 0)
    metric, constant = (runs.groupby("task")[c].first() for c in ("metric", "majority_score"))
    common = metric.mode()[0]
    alike = [t for t in tasks if metric[t] == common]
    by = runs.assign(lost=_lost(runs)).groupby(["label", "task", "sparsity"], sort=False)
    mean, sd, lost = by["score"].mean(), by["score"].std(), by["lost"].any()

    def told(at: tuple[str, str, float]) -> str:
        if at not in mean:
            return ""
        return f"{mean[at]:.3f}" + ("" if pd.isna(sd[at]) else f" ± {sd[at]:.3f}") + (" †" if lost[at] else "")

    def over(means: list[float | None]) -> str:
        return "" if None in means else f"{sum(means) / len(means):.3f}"

    head = ["method", *(f"{t} at {AT:g}, {metric[t]}" for t in tasks), *(f"mean {common} at {s:g}" for s in sparsities)]
    lines = [_row(head), _row(["---"] * len(head))]
    always = [over([constant[t] for t in alike])] * len(sparsities)
    lines.append(_row(["constant answer", *(f"{constant[t]:.3f}" for t in tasks), *always]))
    for label in runs["label"].drop_duplicates():
        pruned = bool((runs["sparsity"][runs["label"] == label] > 0).any())
        cells = [told((label, t, AT if pruned else 0.0)) for t in tasks]
        cells += [over([mean.get((label, t, s if pruned else 0.0)) for t in alike]) for s in sparsities]
        lines.append(_row([label, *cells]))
    return "\n".join(lines)


def claims(runs: pd.DataFrame) -> str:
    """A row a claim: the mean difference over the seeds in common on each task, in points, with a † where a run of
    either is no better than the constant answer; in how many tasks that mean is above 0; in how many pairs of runs
    of one task and seed the difference is. Tasks and seeds without both are left out.
    """
    runs = runs.assign(label=short(runs["label"]), lost=_lost(runs))
    tasks = sorted(runs["task"].unique())
    runs = runs.set_index(["label", "sparsity", "task", "seed"])[["score", "lost"]]
    head = ["score above", "at", *tasks, "tasks in which it holds", "pairs of runs"]
    lines = [_row(head), _row(["---"] * len(head))]
    for ours, theirs, sparsity in CLAIMS:
        if not {ours, theirs} <= {*runs.index.get_level_values("label")}:
            continue
        both = [_of(runs, label, sparsity) for label in (ours, theirs)]
        pairs = pd.merge(*both, left_index=True, right_index=True, suffixes=("", "_theirs"))
        if pairs.empty:
            continue
        gaps = pairs["score"] - pairs["score_theirs"]
        by_task, lost = gaps.groupby("task").mean(), (pairs["lost"] | pairs["lost_theirs"]).groupby("task").any()
        cells = [f"{100 * by_task[t]:+.1f}{' †' if lost[t] else ''}" if t in by_task else "" for t in tasks]
        counts = [f"{(x > 0).sum()} of {len(x)}" for x in (by_task, gaps)]
        lines.append(_row([f"{ours} over {theirs}", f"{sparsity:g}", *cells, *counts]))
    return "\n".join(lines)


def steps(runs: pd.DataFrame, usual: pd.DataFrame) -> str:
    """A row a method: its score after so many steps of what becomes the sub-network, on each task and at the sparsity
    of `runs`; those of the usual number are the same seed's in `usual`. A † as in the table of scores.
    """
    runs = pd.concat([usual, runs], ignore_index=True)
    kept = runs["settings.keep_pretrained"].map(lambda x: str(x) == "True")
    runs = runs.assign(
        name=runs["method"] + kept.map({True: " (keep_pretrained=true)", False: ""}),
        budget=all_steps(runs),
        cell=[f"{x:.3f}{' †' if lost else ''}" for x, lost in zip(runs["score"], _lost(runs), strict=True)],
    )
    own = runs.iloc[len(usual) :]
    parts = own[own["sparsity"] > 0].groupby(["task", "sparsity", "seed"])
    head, columns = ["method"], []
    for (task, sparsity, seed), _ in parts:
        here = runs[(runs["task"] == task) & (runs["seed"] == seed) & runs["sparsity"].isin([0.0, sparsity])]
        for budget, some in here.groupby("budget"):
            head.append(f"{task} at {sparsity:g}, {budget} steps")
            columns.append(some.drop_duplicates("name").set_index("name")["cell"])
    lines = [_row(head), _row(["---"] * len(head))]
    for name in own["name"].drop_duplicates():
        lines.append(_row([name, *(column.get(name, "") for column in columns)]))
    return "\n".join(lines)


def all_steps(runs: pd.DataFrame) -> pd.Series:
    """Of what becomes the sub-network. IMP's rounds share them, three of the same number (at 0.5 there are two), and 3
    of 33 are 100."""
    rounds = runs["method"].map(lambda m: 3 if m == "imp" else 1)
    return (runs["settings.fit.steps"] * rounds).round(-1).astype(int)


def _lost(runs: pd.DataFrame) -> pd.Series:
    return runs["score"] < runs["majority_score"] + NO_BETTER


def _of(runs: pd.DataFrame, label: str, sparsity: float) -> pd.DataFrame:
    """By task and seed; of what removes nothing (dense) its only ones."""
    own = runs.xs(label, level="label")
    at = 0.0 if (own.index.get_level_values("sparsity") == 0).all() else sparsity
    return own[own.index.get_level_values("sparsity") == at].droplevel("sparsity")


def mark(results: str | Path, what: str = "") -> str:
    """Where a table of results/NAME/results.csv begins; what: "claims"."""
    return f"<!-- results/{Path(results).resolve().parent.name}/results.csv {f'{what} ' if what else ''}-->"


def filled(page: str, results: str | Path) -> str:
    """`page` with each table anew that it has marks for. Raises ValueError where it has none."""
    if (begin := mark(results, "steps")) in page:
        both = (pd.read_csv(f, usecols=[*COLUMNS, *BUDGET]) for f in (results, Path(results).parents[1] / MAIN))
        return between(page, steps(*both), begin)
    runs, tables = pd.read_csv(results, usecols=COLUMNS), {mark(results): table, mark(results, "claims"): claims}
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


def short(labels: pd.Series) -> pd.Series:
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
