"""Fill the tables of a page from the results of a folder. A test compares the page with the results.

python scripts/results_table.py results/tiny docs/results/scores.md

The folder has the rows of `prunebert report`, a file for each task (results_files.py). These marks begin a table, and
`<!-- end -->` ends it:
    <!-- results/tiny scores -->           scores on each task at MAIN_SPARSITY
    <!-- results/tiny means -->            mean scores at each sparsity
    <!-- results/tiny shown -->            the same of the methods of the README's picture
    <!-- results/tiny claims -->           the papers' claims (results_claims.py)
    <!-- results/minilm_budget steps -->   scores after several numbers of steps
    <!-- results/tiny kept -->             what each kind of matrix keeps (results_masks.py)
    <!-- results/tiny overlap -->          what two masks share
    <!-- results/tiny_tuning tries -->     how learning rates were tuned (results_tries.py)
"""

import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd
from results_claims import claims_table
from results_files import read
from results_masks import kept_table, overlap_table
from results_rows import (
    COLUMNS,
    MAIN_SPARSITY,
    SHOWN,
    STEP_COLUMNS,
    markdown_row,
    no_better,
    prunes,
    row_names,
    total_steps,
)
from results_tries import tries_table

END = "<!-- end -->"


def task_table(runs: pd.DataFrame) -> str:
    """Return a table with a row per method and a column per task; the first row is the constant baseline.

    A cell has the score at MAIN_SPARSITY: mean ± standard deviation over seeds. A single run has no standard deviation.
    A † marks a cell in which at least one run is no better than the constant baseline.
    """
    runs = runs.assign(label=row_names(runs), marked=no_better(runs))
    tasks = sorted(runs["task"].unique())
    metric, constant = (runs.groupby("task")[c].first() for c in ("metric", "majority_score"))
    cells = runs.groupby(["label", "task", "sparsity"], sort=False)
    mean, sd, marked = cells["score"].mean(), cells["score"].std(), cells["marked"].any()

    def format_cell(cell: tuple[str, str, float]) -> str:
        if cell not in mean:
            return ""
        spread = "" if pd.isna(sd[cell]) else f" ± {sd[cell]:z.3f}"
        return f"{mean[cell]:z.3f}{spread}" + (" †" if marked[cell] else "")

    head = [f"at {MAIN_SPARSITY:g}", *(f"{task}, {metric[task]}" for task in tasks)]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    lines.append(markdown_row(["constant baseline", *(f"{constant[task]:z.3f}" for task in tasks)]))
    for label in runs["label"].drop_duplicates():
        sparsity = MAIN_SPARSITY if prunes(runs, label) else 0.0
        lines.append(markdown_row([label, *(format_cell((label, task, sparsity)) for task in tasks)]))
    return "\n".join(lines)


def mean_table(runs: pd.DataFrame, methods: Collection[str] = ()) -> str:
    """Return a table with a row per method and a column per sparsity; the first row is the constant baseline.

    A cell has the mean over the tasks with the most common metric, of each task's mean over seeds. It is empty if a run
    is missing on one of these tasks. A row without any mean is left out.

    Args:
        runs: the runs of all methods and tasks.
        methods: only these and dense; all if there is none.
    """
    runs = runs.assign(label=row_names(runs))
    sparsities = sorted(s for s in runs["sparsity"].unique() if s > 0)
    metric, constant = (runs.groupby("task")[c].first() for c in ("metric", "majority_score"))
    common_metric = metric.mode()[0]
    tasks = [task for task in metric.index if metric[task] == common_metric]
    mean = runs.groupby(["label", "task", "sparsity"], sort=False)["score"].mean()

    def format_mean(means: list[float | None]) -> str:
        return "" if None in means else f"{sum(means) / len(means):z.3f}"

    head = [f"mean {common_metric}", *(f"at {s:g}" for s in sparsities)]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    lines.append(
        markdown_row(["constant baseline", *[format_mean([constant[task] for task in tasks])] * len(sparsities)])
    )
    for label in runs["label"].drop_duplicates():
        shown = sparsities if prunes(runs, label) else [0.0] * len(sparsities)
        cells = [format_mean([mean.get((label, task, s)) for task in tasks]) for s in shown]
        if any(cells) and (not methods or label in ("dense", *methods)):
            lines.append(markdown_row([label, *cells]))
    return "\n".join(lines)


def shown_table(runs: pd.DataFrame) -> str:
    """Return the README's table: `mean_table` of the methods of its picture."""
    return mean_table(runs, SHOWN)


def steps_table(runs: pd.DataFrame) -> str:
    """Return a table with a row per method: its score after several numbers of steps, by task, sparsity and seed.

    Steps are those of the sub-network, see `total_steps`. A † is explained at `task_table`.
    """
    keep_pretrained = runs["settings.keep_pretrained"].map(lambda x: str(x) == "True")
    scores = zip(runs["score"], no_better(runs), strict=True)
    runs = runs.assign(
        name=runs["method"] + keep_pretrained.map({True: " (keep_pretrained=true)", False: ""}),
        steps=total_steps(runs),
        cell=[f"{score:z.3f}{' †' if marked else ''}" for score, marked in scores],
    )
    head, columns = ["method"], []
    for (task, sparsity, seed), _ in runs[runs["sparsity"] > 0].groupby(["task", "sparsity", "seed"]):
        same_part = (runs["task"] == task) & (runs["seed"] == seed) & runs["sparsity"].isin([0.0, sparsity])
        for steps, column in runs[same_part].groupby("steps"):
            head.append(f"{task} at {sparsity:g}, {steps:,} steps")
            columns.append(column.drop_duplicates("name").set_index("name")["cell"])
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for name in runs["name"].drop_duplicates():
        lines.append(markdown_row([name, *(column.get(name, "") for column in columns)]))
    return "\n".join(lines)


TABLES: dict[str, Callable[[pd.DataFrame], str]] = {  # of a folder's runs
    "scores": task_table,
    "means": mean_table,
    "shown": shown_table,
    "claims": claims_table,
    "steps": steps_table,
}
FOLDER_TABLES: dict[str, Callable[[Path], str]] = {  # of a folder's other files
    "kept": kept_table,
    "overlap": overlap_table,
    "tries": tries_table,
}


def begin_mark(folder: str | Path, table: str) -> str:
    """Return the mark that begins a table of results/NAME. `table` is one of TABLES or FOLDER_TABLES."""
    return f"<!-- results/{Path(folder).resolve().name} {table} -->"


def fill(page: str, folder: str | Path) -> str:
    """Return the page with each of its tables of these results replaced.

    Raises:
        ValueError: the page has no mark for these results.
    """
    names = [name for name in (*TABLES, *FOLDER_TABLES) if begin_mark(folder, name) in page]
    if not names:
        raise ValueError(f"there must be a mark such as {begin_mark(folder, 'scores')}")
    for name in names:
        make = FOLDER_TABLES.get(name)
        table = make(Path(folder)) if make else TABLES[name](read(folder, [*COLUMNS, *STEP_COLUMNS]))
        page = replace_table(page, table, begin_mark(folder, name))
    return page


def replace_table(page: str, table: str, begin: str) -> str:
    """Return the page with `table` between the mark `begin` and the next end.

    Raises:
        ValueError: one of the two marks is missing, or `begin` occurs twice.
    """
    before, begin_found, rest = page.partition(begin)
    _, end_found, after = rest.partition(END)
    if not (begin_found and end_found) or begin in rest:
        raise ValueError(f"there must be one {begin} and after it one {END}")
    return f"{before}{begin}\n{table}\n{END}{after}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/results_table.py RESULTS_FOLDER PAGE.MD")
    page_file = Path(sys.argv[2])
    page_file.write_text(fill(page_file.read_text("utf-8"), sys.argv[1]), "utf-8")
