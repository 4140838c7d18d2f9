"""Say what runs cannot show, as far as the data tell: too few seeds, one task, unknown tuning, missing runs."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml

from prunebert.report.findings.results import Results
from prunebert.report.findings.text import listed, name, word
from prunebert.report.page import tuning
from prunebert.report.statistics.ranking import ELSEWHERE
from prunebert.report.trouble import OFF_TARGET
from prunebert.runs.comparability import MIN_SEEDS
from prunebert.settings import overlaps
from prunebert.system.console import counted

LEVEL_OF_ONE = 0.05  # the level of one test, before any correction
ELSEWHERE_TRAINED = ("teacher", "mask-training")  # phases that do not train the sub-network on the task
ABSENT = ("did not finish", "missing", "not used")  # kinds of trouble of a run that is in no table


def limits(results: Results) -> list[str]:
    """Return what the runs cannot show, a sentence for each reason, with names marked as `text` describes.

    Args:
        results: the runs with their tests.
    """
    if not results.compares:
        return ["These runs chose learning rates. Their scores are optimistic, so they rank no methods."]
    return [
        *_seeds(results),
        *_tasks(results),
        *_metrics(results),
        *_rates(results),
        *_teachers(results),
        *_passes(results),
        *_denominators(results),
        *_missing(results),
        *_origins(results),
        *_data(results),
    ]


def _seeds(results: Results) -> list[str]:
    """Return whether the means have seeds enough for the test over seeds, and what so few can show."""
    pruned = results.runs[results.runs["sparsity"] > 0]
    if pruned.empty:
        return ["Nothing was pruned, so there is nothing to compare."]
    counts = pruned.groupby(["table", "label", "sparsity"], sort=False)["seed"].nunique()
    few = int((counts < MIN_SEEDS).sum())
    low, high = int(counts.min()), int(counts.max())
    lines = []
    if high < MIN_SEEDS:
        lines.append(
            f"No mean has more than {counted(high, 'seed')}, and the test over seeds needs {MIN_SEEDS}. So nothing "
            "here says that one method is better than another: new seeds may give another order."
        )
    elif few:
        part = f"{few:,} of {len(counts):,} means {'has' if few == 1 else 'have'}"
        lines.append(f"{part} fewer than {MIN_SEEDS} seeds, so no test over seeds.")
    smallest = 2.0 ** (1 - high)
    if high >= MIN_SEEDS and smallest > LEVEL_OF_ONE:
        most = counted(high, "seed")
        lines.append(
            f"With {most}{' at most' if low < high else ''}, significance rests on the t-test's assumption of normal "
            f"differences. A paired test without it reaches no p below {smallest:g}."
        )
    return lines


def _tasks(results: Results) -> list[str]:
    tasks = list(dict.fromkeys(results.runs["task"]))
    models = list(dict.fromkeys(str(m).rstrip("/").rpartition("/")[2] for m in results.runs["model"]))
    single = [
        f"one {noun} ({word(names[0])})" for noun, names in (("task", tasks), ("model", models)) if len(names) == 1
    ]
    if not single:
        return []
    others = {2: "other tasks and models", 1: "other tasks" if len(tasks) == 1 else "other models"}[len(single)]
    return [f"The runs are of {' and '.join(single)}. They do not show that an order holds for {others}."]


def _metrics(results: Results) -> list[str]:
    """Return which tables the best mean leaves out: namesakes, and those of another metric or model."""
    twins = [table for found in results.namesakes for table in found.tables[1:]]
    lines = []
    for found in results.namesakes:
        chief, *others = map(results.title, found.tables)
        lines.append(f"{found.reason[0].upper()}{found.reason[1:]}: {listed([chief, *others])}.")
        if found.tables[0] in results.overall.tables:
            lines.append(f"The best mean is of {chief}, and leaves out {listed(others)}.")
    left_out = [table for table, _ in results.tables if table not in [*results.overall.tables, *twins]]
    if not left_out:
        return lines
    tasks = listed([results.title(table) for table in left_out])
    verb = "has" if len(left_out) == 1 else "have"
    return [*lines, f"The best mean leaves out {tasks}, which {verb} another metric or model than the others."]


def _rates(results: Results) -> list[str]:
    """Return whether all methods had the same number of tries to find their rates, as far as the runs say."""
    methods = list(dict.fromkeys(results.runs.loc[results.runs["sparsity"] > 0, "method"]))
    tries = tuning.tries(results.tuning_runs) if len(results.tuning_runs) else {}
    if tries:
        lines = []
        by_method = {method: max(counts) for method, counts in tries.items()}
        if len(set(by_method.values())) > 1:
            listing = listed([f"{name(method)} {count}" for method, count in by_method.items()], most=len(by_method))
            lines.append(f"The methods had different numbers of tries of their learning rates: {listing}.")
        without = [method for method in methods if method not in tries]
        if without:
            verb = "has" if len(without) == 1 else "have"
            lines.append(f"{listed([name(method) for method in without])} {verb} no tuning run here.")
        return lines
    from_file = sum(" tuned=" in f" {command}" for command in results.runs["command"])
    fits = list(dict.fromkeys(str(fit) for fit in results.runs["fit"] if fit))
    unknown = "The runs that chose the learning rates are not among these"
    if from_file == len(results.runs):
        took = f"All runs took their rates from a file ({name('tuned=')})"
        return [f"{took}. {unknown}, so the numbers of tries cannot be compared."]
    some = f" {counted(from_file, 'run')} took rates from a file ({name('tuned=')})." if from_file else ""
    used = f" ({listed([name(f'fit={fit}') for fit in fits])})" if fits else ""
    return [f"{unknown}. Whether each method had as many tries cannot be seen{used}.{some}"]


def _teachers(results: Results) -> list[str]:
    """Return that only some of the pruned rows have a teacher."""
    rows = results.runs[results.runs["sparsity"] > 0].drop_duplicates("label")
    taught = rows[rows["distill"] != "none"]
    if not len(taught) or len(taught) == len(rows):
        return []
    untaught = set(rows["method"][rows["distill"] == "none"])
    names = [results.name(r.label) if r.method in untaught else name(r.method) for r in taught.itertuples()]
    names = list(dict.fromkeys(names))
    verb = "has" if len(names) == 1 else "have"
    return [f"Only {listed(names)} {verb} a teacher, and a difference to other rows may come from it."]


def _passes(results: Results) -> list[str]:
    """Return how many passes over the training rows the runs had at most, and how many the papers' budgets have."""
    pruned = results.runs[results.runs["sparsity"] > 0]
    methods = dict.fromkeys(pruned["method"])
    papers = [epochs for method in methods if (epochs := paper_epochs(method)) is not None]
    passes = [_passes_of(row, steps) for row, steps in zip(pruned["row"], pruned["steps"], strict=True)]
    if not papers or not passes or any(math.isnan(value) for value in passes):
        return []
    most, least = max(passes), min(passes)
    budgets = [paper_epochs(method) or 0 for method in pruned["method"]]
    fewer = sum(ours < paper for ours, paper in zip(passes, budgets, strict=True))
    if not fewer:
        return []
    which = "all of them" if fewer == len(passes) else f"{fewer:,} of them"
    ours = f"{least:.2g} to {most:.2g}" if f"{least:.2g}" != f"{most:.2g}" else f"{most:.2g}"
    theirs = f"{min(papers):g} to {max(papers):g}" if min(papers) < max(papers) else f"{min(papers):g}"
    noun = "pass" if ours == "1" else "passes"
    return [
        f"The {counted(len(passes), 'pruned run')} had {ours} {noun} over the training rows, and {which} fewer than "
        f"the paper's budget of the method ({name('fit=paper')}: {theirs}). So they do not repeat the papers' results."
    ]


def _passes_of(row: dict[str, Any], steps: float) -> float:
    """Return steps × batch size / training rows of a run; NaN if one of them is unknown.

    Steps of a teacher, and those of masks on plain text, are not counted where the run names its phases.
    """
    phases = row.get("phases")
    if isinstance(phases, dict) and all(isinstance(each, dict) for each in phases.values()):
        own = [each.get("steps") for phase, each in phases.items() if phase not in ELSEWHERE_TRAINED]
        steps = sum(own) if own and all(isinstance(each, int) for each in own) else steps
    fit, data = row["settings"].get("fit"), row.get("data")
    batch = fit.get("batch_size") if isinstance(fit, dict) else None
    count = data["rows"].get("train") if isinstance(data, dict) and isinstance(data.get("rows"), dict) else None
    if not isinstance(batch, int) or not isinstance(count, int) or count < 1:
        return math.nan
    return steps * batch / count


@cache
def paper_epochs(method: str) -> float | None:
    """Return the passes over the training rows in prunebert's `fit=paper` of a method, on a task without its own.

    None if prunebert has no such method.
    """
    conf = files("prunebert.conf")
    if f"{method}.yaml" not in {file.name for file in (conf / "method").iterdir()}:  # the name of a run may be any text
        return None
    usual = yaml.safe_load((conf / "fit" / "paper.yaml").read_text("utf-8"))["fit"]["epochs"]
    own = conf / "exceptions" / "method_fit" / "paper" / f"{method}.yaml"
    fit = (yaml.safe_load(own.read_text("utf-8")) or {}).get("fit") if own.is_file() else None
    epochs = fit.get("epochs", usual) if isinstance(fit, dict) else usual
    return float(epochs) if isinstance(epochs, int | float) else None


def _denominators(results: Results) -> list[str]:
    if results.main is None:
        return []
    rows = [row for row in results.main.rows if ELSEWHERE in {entry.mark for entry in row.cells.values()}]
    if not rows:
        return []
    verb = "is a fraction of other matrices and is" if len(rows) == 1 else "are fractions of other matrices and are"
    noun = "sparsity" if len(rows) == 1 else "sparsities"
    names = listed([results.name(row.label) for row in rows])
    return [f"The {noun} of {names} {verb} not comparable with the others."]


def _missing(results: Results) -> list[str]:
    """Return which combinations of row, task and sparsity have no run, and how many runs are in no table."""
    lines = []
    pruned = results.runs[results.runs["sparsity"] > 0]
    shape = [pruned[column].nunique() for column in ("label", "table", "sparsity")]
    full, there = math.prod(shape), len(pruned.drop_duplicates(["label", "table", "sparsity"]))
    if there < full:
        verb = "has" if full - there == 1 else "have"
        lines.append(f"{full - there:,} of {full:,} combinations of row, task and sparsity {verb} no run.")
    absent = Counter(trouble.kind for trouble in results.troubles if trouble.kind in ABSENT)
    if total := sum(absent.values()):
        verb = "is" if total == 1 else "are"
        lines.append(f"{counted(total, 'run')} {verb} missing, unfinished or damaged, and in no table.")
    return lines


def _origins(results: Results) -> list[str]:
    """Return that the runs are of several commits or devices, or have only their scores here."""
    runs, lines = results.runs, []
    kinds = [("commit", runs["git_commit"].nunique()), ("device", runs["device"].nunique())]
    several = [counted(number, noun) for noun, number in kinds if number > 1]
    if several:
        lines.append(f"The runs are of {' and '.join(several)}, so a difference may come from them.")
    if changed := sum(bool(row.get("git_dirty")) for row in runs["row"]):
        lines.append(f"{counted(changed, 'run')} used code with local changes, which no commit has.")
    if rows := int((~runs["has_files"].astype(bool)).sum()):
        which = "All runs are" if rows == len(runs) else f"{rows:,} of {len(runs):,} runs are"
        lines.append(f"{which} rows of a table without predictions, so the test over examples leaves them out.")
    return lines


def _data(results: Results) -> list[str]:
    """Return that scores may not be held-out scores, and that sparsities are not those that were requested."""
    runs, lines = results.runs, []
    if overlapping := sum(bool(overlaps.of_result(row)) for row in runs["row"]):
        which = "The scores of all runs" if overlapping == len(runs) else f"The scores of {counted(overlapping, 'run')}"
        lines.append(f"{which} may not be held-out scores; the report says why.")
    gaps = pd.Series((runs["measured"] - runs["sparsity"]).abs())
    if off := int((gaps > OFF_TARGET).sum()):
        verb = "has" if off == 1 else "have"
        lines.append(f"{counted(off, 'run')} {verb} another sparsity than requested, by more than half a point.")
    return lines
