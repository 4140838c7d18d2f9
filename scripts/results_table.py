"""Fill the tables of a page from the results of a folder. A test compares the page with the results.

python scripts/results_table.py results/main docs/results/scores.md

The folder has the rows of `prunebert report`, a file for each task (results_files.py). These marks begin a table, and
`<!-- end -->` ends it:
    <!-- results/main scores -->    scores on each task at MAIN_SPARSITY
    <!-- results/main means -->     mean scores at each sparsity
    <!-- results/main claims -->    the papers' claims
    <!-- results/budget steps -->   scores after several numbers of steps; those of main's runs are added to budget's
"""

import sys
from pathlib import Path

import pandas as pd
from results_files import read

END = "<!-- end -->"
MAIN_OF = {"budget": "main"}  # folders whose runs with the main number of steps are in another folder
MAIN_SPARSITY = 0.9  # the table of tasks shows scores at this sparsity
NO_BETTER = 0.005  # a score less than half a point above the constant baseline counts as no better
COLUMNS = ["label", "method", "task", "sparsity", "seed", "metric", "score", "majority_score"]
STEP_COLUMNS = ["method", "settings.fit.steps", "settings.keep_pretrained"]
FROZEN = "magnitude (keep_pretrained=true)"
CLAIMS = (  # (a, b, s): the score of a is above that of b at the sparsity s
    ("smp", "soft_movement", 0.9),
    ("soft_movement", "movement", 0.9),
    ("movement", "l0", 0.9),
    ("l0", "magnitude", 0.9),
    ("abp", FROZEN, 0.5),
    ("tamt", "magnitude", 0.5),
    ("tamt", "magnitude", 0.8),
    *(("sparsebert", "dense", s) for s in (0.5, 0.8, 0.9, 0.97)),
)


def task_table(runs: pd.DataFrame) -> str:
    """Return a table with a row per method and a column per task; the first row is the constant baseline.

    A cell has the score at MAIN_SPARSITY: mean ± standard deviation over seeds. A single run has no standard deviation.
    A † marks a cell in which at least one run is no better than the constant baseline.
    """
    runs = runs.assign(label=row_names(runs), no_better=_no_better(runs))
    tasks = sorted(runs["task"].unique())
    metric, constant = (runs.groupby("task")[c].first() for c in ("metric", "majority_score"))
    cells = runs.groupby(["label", "task", "sparsity"], sort=False)
    mean, sd, no_better = cells["score"].mean(), cells["score"].std(), cells["no_better"].any()

    def format_cell(cell: tuple[str, str, float]) -> str:
        if cell not in mean:
            return ""
        spread = "" if pd.isna(sd[cell]) else f" ± {sd[cell]:.3f}"
        return f"{mean[cell]:.3f}{spread}" + (" †" if no_better[cell] else "")

    head = [f"at {MAIN_SPARSITY:g}", *(f"{task}, {metric[task]}" for task in tasks)]
    lines = [_row(head), _row(["---"] * len(head))]
    lines.append(_row(["constant baseline", *(f"{constant[task]:.3f}" for task in tasks)]))
    for label in runs["label"].drop_duplicates():
        sparsity = MAIN_SPARSITY if _prunes(runs, label) else 0.0
        lines.append(_row([label, *(format_cell((label, task, sparsity)) for task in tasks)]))
    return "\n".join(lines)


def mean_table(runs: pd.DataFrame) -> str:
    """Return a table with a row per method and a column per sparsity; the first row is the constant baseline.

    A cell has the mean over the tasks with the most common metric, of each task's mean over seeds. A method that did
    not run on all of these tasks has an empty cell.
    """
    runs = runs.assign(label=row_names(runs))
    sparsities = sorted(s for s in runs["sparsity"].unique() if s > 0)
    metric, constant = (runs.groupby("task")[c].first() for c in ("metric", "majority_score"))
    common_metric = metric.mode()[0]
    tasks = [task for task in metric.index if metric[task] == common_metric]
    mean = runs.groupby(["label", "task", "sparsity"], sort=False)["score"].mean()

    def format_mean(means: list[float | None]) -> str:
        return "" if None in means else f"{sum(means) / len(means):.3f}"

    head = [f"mean {common_metric}", *(f"at {s:g}" for s in sparsities)]
    lines = [_row(head), _row(["---"] * len(head))]
    lines.append(_row(["constant baseline", *[format_mean([constant[task] for task in tasks])] * len(sparsities)]))
    for label in runs["label"].drop_duplicates():
        shown = sparsities if _prunes(runs, label) else [0.0] * len(sparsities)
        lines.append(_row([label, *(format_mean([mean.get((label, task, s)) for task in tasks]) for s in shown)]))
    return "\n".join(lines)


def claims_table(runs: pd.DataFrame) -> str:
    """Return a table with a row per claim.

    A row has the mean difference on each task, in points, over the seeds that both methods have. It also has the number
    of tasks in which that mean is above 0, and the number of pairs of runs (same task and seed) in which the difference
    is. Tasks and seeds that one of the two lacks are left out. A † marks a difference in which at least one run is no
    better than the constant baseline.
    """
    runs = runs.assign(label=short_labels(runs["label"]), no_better=_no_better(runs))
    tasks = sorted(runs["task"].unique())
    runs = runs.set_index(["label", "sparsity", "task", "seed"])[["score", "no_better"]]
    head = ["score above", "sparsity", *tasks, "tasks in which it holds", "pairs of runs"]
    lines = [_row(head), _row(["---"] * len(head))]
    for ours, theirs, sparsity in CLAIMS:
        if not {ours, theirs} <= {*runs.index.get_level_values("label")}:
            continue
        sides = [_runs_of(runs, label, sparsity) for label in (ours, theirs)]
        pairs = pd.merge(*sides, left_index=True, right_index=True, suffixes=("", "_theirs"))
        if pairs.empty:
            continue
        gaps = pairs["score"] - pairs["score_theirs"]
        task_gaps = gaps.groupby("task").mean()
        no_better = (pairs["no_better"] | pairs["no_better_theirs"]).groupby("task").any()
        cells = [f"{100 * task_gaps[t]:+.1f}{' †' if no_better[t] else ''}" if t in task_gaps else "" for t in tasks]
        counts = [f"{(x > 0).sum()} of {len(x)}" for x in (task_gaps, gaps)]
        lines.append(_row([f"{ours} over {theirs}", f"{sparsity:g}", *cells, *counts]))
    return "\n".join(lines)


def steps_table(runs: pd.DataFrame, main_runs: pd.DataFrame) -> str:
    """Return a table with a row per method: its score after several numbers of steps, by task and sparsity.

    Steps are those of the sub-network, see `total_steps`. A † is explained at `task_table`.

    Args:
        runs: runs with other numbers of steps; they determine tasks, sparsities and seeds.
        main_runs: runs with the number of steps of the main results; those with the same seeds are added.
    """
    all_runs = pd.concat([main_runs, runs], ignore_index=True)
    keep_pretrained = all_runs["settings.keep_pretrained"].map(lambda x: str(x) == "True")
    scores = zip(all_runs["score"], _no_better(all_runs), strict=True)
    all_runs = all_runs.assign(
        name=all_runs["method"] + keep_pretrained.map({True: " (keep_pretrained=true)", False: ""}),
        steps=total_steps(all_runs),
        cell=[f"{score:.3f}{' †' if no_better else ''}" for score, no_better in scores],
    )
    other_runs = all_runs.iloc[len(main_runs) :]
    parts = other_runs[other_runs["sparsity"] > 0].groupby(["task", "sparsity", "seed"])
    head, columns = ["method"], []
    for (task, sparsity, seed), _ in parts:
        same_part = (all_runs["task"] == task) & (all_runs["seed"] == seed) & all_runs["sparsity"].isin([0.0, sparsity])
        for steps, column in all_runs[same_part].groupby("steps"):
            head.append(f"{task} at {sparsity:g}, {steps} steps")
            columns.append(column.drop_duplicates("name").set_index("name")["cell"])
    lines = [_row(head), _row(["---"] * len(head))]
    for name in other_runs["name"].drop_duplicates():
        lines.append(_row([name, *(column.get(name, "") for column in columns)]))
    return "\n".join(lines)


def with_main(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of a folder with several numbers of steps, and those of the main results that belong to it."""
    runs = read(folder, [*COLUMNS, *STEP_COLUMNS])
    main = MAIN_OF.get(Path(folder).resolve().name)
    return runs, read(Path(folder).parent / main, [*COLUMNS, *STEP_COLUMNS]) if main else runs[:0]


def total_steps(runs: pd.DataFrame) -> pd.Series:
    """Return the number of steps that train the sub-network, rounded to tens.

    IMP is counted with three rounds of fit.steps each, although it has two at sparsity 0.5. Rounding turns 3 × 33 into
    100.
    """
    rounds = runs["method"].map(lambda m: 3 if m == "imp" else 1)
    return (runs["settings.fit.steps"] * rounds).round(-1).astype(int)


def row_names(runs: pd.DataFrame) -> pd.Series:
    """Return each run's row: its method, unless another run of the method has the same task, sparsity and seed."""
    repeated = runs[runs.duplicated(["method", "task", "sparsity", "seed"], keep=False)]["method"].unique()
    return runs["method"].where(~runs["method"].isin(repeated), short_labels(runs["label"]))


def _no_better(runs: pd.DataFrame) -> pd.Series:
    """Return whether each run is no better than the constant baseline."""
    return runs["score"] < runs["majority_score"] + NO_BETTER


def _prunes(runs: pd.DataFrame, label: str) -> bool:
    """Return whether a method removes something. One that does not (dense) has only runs at sparsity 0."""
    return bool((runs["sparsity"][runs["label"] == label] > 0).any())


def _runs_of(runs: pd.DataFrame, label: str, sparsity: float) -> pd.DataFrame:
    """Return a method's runs at a sparsity, by task and seed. A method that removes nothing (dense) has only 0."""
    method_runs = runs.xs(label, level="label")
    sparsities = method_runs.index.get_level_values("sparsity")
    wanted = 0.0 if (sparsities == 0).all() else sparsity
    return method_runs[sparsities == wanted].droplevel("sparsity")


def begin_mark(folder: str | Path, table: str) -> str:
    """Return the mark that begins a table of results/NAME. `table` is "scores", "means", "claims" or "steps"."""
    return f"<!-- results/{Path(folder).resolve().name} {table} -->"


def fill(page: str, folder: str | Path) -> str:
    """Return the page with each of its tables of these results replaced.

    Raises:
        ValueError: the page has no mark for these results.
    """
    if (begin := begin_mark(folder, "steps")) in page:
        return replace_table(page, steps_table(*with_main(folder)), begin)
    runs = read(folder, COLUMNS)
    makers = {"scores": task_table, "means": mean_table, "claims": claims_table}
    tables = {begin_mark(folder, name): maker for name, maker in makers.items()}
    marks = [begin for begin in tables if begin in page]
    for begin in marks or [begin_mark(folder, "scores")]:
        page = replace_table(page, tables[begin](runs), begin)
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


def short_labels(labels: pd.Series) -> pd.Series:
    """Remove the settings from the labels, except switches that are on: `random (keep_pretrained=true)`.

    If two labels would become equal, all stay as they are.
    """
    names = {}
    for label in labels.unique():
        name, _, settings = label.removesuffix(")").partition(" (")
        switches = [setting for setting in settings.split(", ") if setting.endswith("=true")]
        names[label] = f"{name} ({', '.join(switches)})" if switches else name
    return labels.map(names) if len(set(names.values())) == len(names) else labels


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/results_table.py RESULTS_FOLDER PAGE.MD")
    page_file = Path(sys.argv[2])
    page_file.write_text(fill(page_file.read_text("utf-8"), sys.argv[1]), "utf-8")
