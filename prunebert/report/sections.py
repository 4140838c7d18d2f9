"""The report's sections: of every table of runs what is tabulated, tested and drawn, with the words that go with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from prunebert.errors import BadInput
from prunebert.report import budgets, cells, curves, examples, maps, published, tables
from prunebert.report.collect import Collected, Trouble
from prunebert.report.page import Part, Picture, Section
from prunebert.report.statistics import TOLD
from prunebert.report.style import Drawing
from prunebert.runs import artifacts

Draw = Callable[[Drawing], Picture]
MOST = 24  # runs in an overlap matrix one by one; of more there are means over the seeds
COMPARED = 120  # runs that are compared at all; of more the lowest seeds of each row
READING = (
    "A cell is the mean over seeds ± their standard deviation (n - 1), and the number of seeds in brackets. Sparsity "
    "is the fraction removed, of the matrices that its row names; bold is the best mean of its column among rows whose "
    "sparsity is a fraction of the same matrices. Rows are apart wherever more than sparsity and seed differs, and say "
    "in what; figures tell no more of it than sets their lines apart."
)


def of_table(
    name: str, runs: pd.DataFrame, gaps: pd.DataFrame, baseline: str | None, draw: Draw, troubles: list[Trouble]
) -> Section:
    """All about the runs of one task, model and evaluation data; gaps: of compare.differences. What cannot be read on
    the way goes to `troubles`."""
    metric, task = runs["metric"].iloc[0], runs["task"].iloc[0]
    found = cells.cells(runs)
    lower = metric in cells.LOWER_IS_BETTER
    rows = runs["row"].iloc[0].get("data")
    held = {k: v for k, v in (rows.get("rows") or {}).items() if k != "train"} if isinstance(rows, dict) else {}
    size = ", ".join(f"{count:,} examples of {split}" for split, count in held.items() if isinstance(count, int))
    majority = runs["majority_score"].dropna()
    always = f" The constant answer, the commonest or the mean, gives {majority.iloc[0]:.4f}." if len(majority) else ""
    parts = [Part("Scores", f"{metric}{' on ' + size if size else ''}.{always}", tables.scores(found, lower))]
    for other in sorted({m for each in runs["metrics"] for m in each} - {metric}):
        table = tables.scores(cells.cells(runs, other), other in cells.LOWER_IS_BETTER)
        parts.append(Part(table=table, folded=f"The same for {other}"))
    parts.append(_differences(gaps, baseline, metric, task))
    numbers = published.table()
    parts += _beside(runs, numbers)
    near = published.points(numbers, runs["model"].iloc[0], task, metric)
    caption = f"{name}: {metric} against sparsity; mean and a band of one standard deviation over seeds."
    if len(near):
        caption += " Published points: shape for the source, colour for the method, filled where a teacher helped; they"
        caption += " stand a little to the right of their sparsity."
    level = majority.iloc[0] if len(majority) else math.nan
    curve = partial(curves.scores, found, near, metric=metric, majority=level)
    parts.append(Part("Score against sparsity", figure=draw(_drawing(f"score {name}", caption, curve))))
    pruned = runs[(runs["sparsity"] > 0) & runs["files"]]
    for sparsity, some in pruned.groupby("sparsity"):
        parts += _density(name, float(str(sparsity)), some, draw, troubles)
    parts += _shift(name, pruned, draw, troubles)
    for sparsity, some in pruned.groupby("sparsity"):
        parts += _overlap(name, float(str(sparsity)), some, draw, troubles)
    caption = f"{name}: each run a tick, the mean a bar. Time and memory compare only on one, otherwise idle, device."
    drawing = _drawing(f"cost {name}", caption, partial(curves.costs, runs))
    told = "Peak memory on a CPU is that of the process so far, which in a sweep is all runs before it as well."
    parts.append(Part("Time and memory", told, tables.costs(runs), figure=draw(drawing)))
    told = "The sparsities are measured from the masks, under all four denominators."
    parts.append(Part("Every run and its command", told, tables.every_run(runs)))
    return Section(name, slug(name), parts)


def of_troubles(collected: Collected, troubles: list[Trouble]) -> Section:
    """What failed, what is missing, what was left out."""
    told = f"{len(collected.runs)} runs are in the tables" + ("." if troubles else ", every one that was started.")
    table = tables.troubles(troubles) if troubles else None
    return Section("What failed or is missing", "missing", [Part(text=told, table=table)])


def of_methods() -> Section:
    """How numbers were made."""
    cited = "\n".join(f"{name}: {source}." for name, source in published.CITED.items())
    numbers = (
        "Published numbers are shown beside a measured one only where model, task, metric, method and its variant, "
        "sparsity and what it is a fraction of, and teacher or none all agree; budgets (epochs, seeds) may still "
        f"differ and are told. None of them was measured here.\n{cited}"
    )
    heads = ("Tables", "Tests", "Published numbers")
    parts = [Part(head, text) for head, text in zip(heads, (READING, TOLD, numbers), strict=True)]
    return Section("How to read this", "reading", parts)


def _differences(found: pd.DataFrame, baseline: str | None, metric: str, task: str) -> Part:
    title = f"Differences to {baseline}" if baseline else "Differences to a baseline"
    if baseline is None:
        return Part(title, "No baseline: there is no run of magnitude, and no other was asked for (--baseline METHOD).")
    if found.empty:
        return Part(title, f"No other row has a sparsity at which there is a run of {baseline}.")
    told = (
        f"{metric} minus that of {baseline}, over the seeds that both have. Examples are compared by "
        f"{examples.unit(metric, task)}. Bold: below 0.05 after Holm's correction. The tests are explained under "
        "“How to read this”."
    )
    return Part(title, told, tables.differences(found))


def _beside(runs: pd.DataFrame, numbers: pd.DataFrame) -> list[Part]:
    table = tables.beside_published(runs, numbers)
    title = "Beside published results"
    if table.rows:
        return [Part(title, "Where all that is compared agrees; what remains different is the budget.", table)]
    known = numbers[numbers.task == runs["task"].iloc[0]]["model"].unique()
    told = f"for this task those at hand are of {', '.join(known)}" if len(known) else "none at hand are of this task"
    return [Part(title, f"No published number agrees with a run in all that must agree; {told}.")]


def _density(name: str, sparsity: float, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    means, rests, unread = maps.remaining(runs)
    troubles += [Trouble("not in the density map", f"{name} at {sparsity:g}", told) for told in unread]
    if not means:
        return []
    caption = (
        f"{name}, sparsity {sparsity:g}: the fraction of weights that remains, by layer and kind of matrix, mean over"
    )
    caption += " the runs; all panels on one scale. What is pruned outside the layers stands below its panel."
    drawing = _drawing(f"density {name} {sparsity:g}", caption, partial(maps.density, means, rests))
    return [Part(f"Weights left at {sparsity:g}", figure=draw(drawing))]


def _shift(name: str, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    """How budgets change with sparsity, by kind of matrix and by layer."""
    parts = []
    for by in ("kinds", "layers"):
        found, unread = budgets.ratios(runs, by)
        if by == "kinds":  # layers stand beside them in the same file
            troubles += [Trouble("not in the budgets", name, told) for told in unread]
        shown, even = budgets.uneven(found)
        if not shown or found["part"].nunique() < 2:
            continue
        caption = (
            f"{name}: the remaining fraction of each of the {by}, divided by that of all prunable weights, against "
        )
        caption += "sparsity, mean over seeds."
        low = found["ratio"][found["label"].isin(shown)].min() < budgets.FEWEST
        caption += f" What is below ×1/{1 / budgets.FEWEST:g} is drawn there." if low else ""
        caption += f" Uniform, not drawn: {', '.join(even)}." if even else ""
        drawing = _drawing(f"budget {by} {name}", caption, partial(budgets.shift, found, shown))
        parts.append(Part(f"Budget of the {by} against sparsity", figure=draw(drawing)))
    return parts


def _overlap(name: str, sparsity: float, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    where, readable = f"{name} at {sparsity:g}", []
    each = len(runs) <= MOST
    most = COMPARED // runs["variant"].nunique() if len(runs) > COMPARED else len(runs)
    some = runs.sort_values("seed", kind="stable").groupby("variant").head(max(1, most))
    for _, run in some.sort_values("order").iterrows():
        try:
            artifacts.packed_masks(Path(run["directory"]))
            readable.append(run)
        except BadInput as error:
            troubles.append(Trouble("not in the overlap matrix", where, str(error)))
    if len(readable) < 2:
        return []
    try:
        taken, values = maps.overlap_table([Path(run["directory"]) for run in readable])
    except BadInput as error:
        troubles.append(Trouble("not in the report", where, f"overlap matrix: {error}"))
        return []
    caption = (
        f"{where}: overlap of every two masks beyond chance; 1 the same weights, 0 what chance gives, below 0 fewer."
    )
    seeds = each and runs["seed"].nunique() > 1
    labels = [readable[i]["short"] + (f", seed {readable[i]['seed']}" if seeds else "") for i in taken]
    if not each:
        labels, values = maps.over_seeds(labels, values)
        caption += " Means over all pairs of runs; on the diagonal between the seeds of one row."
    diagonal = "a run with itself" if each else "other seeds of the same row"
    caption += "" if len(some) == len(runs) else f" Of {len(runs)} runs the {len(taken)} with the lowest seeds."
    drawing = _drawing(
        f"overlap {name} {sparsity:g}", caption, partial(maps.overlap, labels, values, diagonal=diagonal)
    )
    return [Part(f"Overlap at {sparsity:g}", figure=draw(drawing))]


def _drawing(name: str, caption: str, draw: Callable) -> Drawing:
    return Drawing(slug(name), caption, draw)


def slug(text: str) -> str:
    """A file name or an anchor."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:120]
