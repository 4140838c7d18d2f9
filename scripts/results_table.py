"""results.csv of `prunebert report` → the table of a page, between its two marks. A test holds the two together.

python scripts/results_table.py results/main/results.csv README.md
"""

import sys
from pathlib import Path

import pandas as pd

END = "<!-- end -->"
AT = 0.9  # the sparsity whose tasks are told one by one


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


def mark(results: str | Path) -> str:
    """Where the table of results/NAME/results.csv begins."""
    return f"<!-- results/{Path(results).resolve().parent.name}/results.csv -->"


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
    new = table(pd.read_csv(sys.argv[1]))
    page.write_text(between(page.read_text("utf-8"), new, mark(sys.argv[1])), "utf-8")
