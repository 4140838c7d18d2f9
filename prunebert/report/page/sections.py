"""Build the sections of the report: for each table of runs, its tables, tests and figures with their explanations."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from prunebert.errors import BadInput, visible
from prunebert.report import cells
from prunebert.report.collect import Collected, Trouble
from prunebert.report.figures import allocation, costs, curves, maps
from prunebert.report.figures.style import Drawing
from prunebert.report.page import comparisons, tables
from prunebert.report.page.page import Part, Picture, Section
from prunebert.report.published import numbers as published
from prunebert.report.statistics.paired import EXPLANATION
from prunebert.settings import overlaps
from prunebert.system.console import counted
from prunebert.system.names import brief

Draw = Callable[[Drawing], Picture]
MAX_SINGLE = 24  # runs; a larger overlap matrix shows means over the seeds instead of single runs
MAX_COMPARED = 120  # runs; of more, only the lowest seeds of each variant are compared
MAX_MAPPED = 8  # sparsities of a table for which the weights left and the overlaps are drawn
NOT_MAPPED = (
    f"The weights left and the overlaps are drawn at {MAX_MAPPED} sparsities at most. They are not drawn at {{}}. "
    "Give the report only the runs of a sparsity to see its maps."
)
MAX_SLUG = 120
READING = (
    "A cell shows the mean over seeds ± their standard deviation (n - 1), and the number of seeds in brackets. "
    "Sparsity is the fraction removed. Its row names the matrices that it is a fraction of. Bold is the best mean of a "
    "column, where tests separate it from all rows whose sparsity is a fraction of the same matrices. Runs share a row "
    "if they differ only in sparsity and seed. A row's name lists the settings in which it differs from the others; "
    "figure legends show only what distinguishes the lines. The constant baseline always answers the commonest "
    "training label, or the mean."
)

PUBLISHED = (
    "A published number stands beside a run only if model, task, metric, method, sparsity, its denominator and teacher "
    "are the same, and every setting of the method and of its budget. Seeds and devices may differ."
)
AGREEMENT = (
    "The settings of a number are those of fit=paper in prunebert's own conf/, changed as the source says. fit=paper "
    "also stands for a budget that a source does not give. Soft movement and L0 steer their penalty to the requested "
    "sparsity; the papers fix the penalty, and a number belongs to the sparsity that it gave."
)
OTHER_SETTINGS = (
    "These numbers have the run's model, task, metric, method, sparsity and kind of teacher. Its settings are others, "
    "so they are not compared. For each metric, the number of each source with the fewest differences is listed."
)


def table_section(
    name: str, runs: pd.DataFrame, gaps: pd.DataFrame, baselines: list[str], draw: Draw, troubles: list[Trouble]
) -> Section:
    """Return the section of one table: one task, model and evaluation data.

    Args:
        name: the table's name.
        runs: the runs of the table.
        gaps: see `prunebert.report.differences.differences`.
        baselines: what the rows are compared with.
        draw: draws a figure.
        troubles: what cannot be read is appended here.
    """
    metric, task = runs["metric"].iloc[0], runs["task"].iloc[0]
    cell_means = cells.cells(runs)
    lower = metric in cells.LOWER_IS_BETTER
    constant_scores = runs["majority_score"].dropna()
    text = f"{metric}{_evaluation_data(runs)}."
    if len(constant_scores):
        text += f" The constant baseline scores {constant_scores.iloc[0]:.4f}."
    text += "".join(f"\nWarning: {note}." for note in _overlap_notes(runs))
    parts = [Part("Scores", text, tables.scores(cell_means, lower))]
    for other in sorted({m for metrics in runs["metrics"] for m in metrics} - {metric}):
        table = tables.scores(cells.cells(runs, other), other in cells.LOWER_IS_BETTER)
        parts.append(Part(table=table, folded=f"The same for {other}"))

    def draw_of_table(figure: str, caption: str, drawing: Callable) -> Picture:
        return draw(_drawing(f"{figure} {name}", f"{name}: {caption}", drawing))

    parts += comparisons.parts(gaps, baselines, metric, task, draw_of_table)
    numbers = published.read_table()
    parts += _published(runs, numbers)
    points = published.of_variants(published.points(numbers, runs["model"].iloc[0], task, metric), runs)
    caption = f"{name}: {metric} against sparsity; mean and one standard deviation over seeds."
    if len(points):
        caption += " Published points: the shape shows the source, the colour the method. They are filled if a teacher"
        caption += (
            " was used, and drawn a little to the right of their sparsity. Thin faint lines are published curves of"
        )
        caption += " the methods that ran: dotted without a teacher."
    constant_score = constant_scores.iloc[0] if len(constant_scores) else math.nan
    curve = partial(
        curves.draw_scores,
        cell_means,
        points,
        table=name,
        metric=brief(visible(metric), 60),
        constant_score=constant_score,
    )
    parts.append(Part("Score against sparsity", figure=draw(_drawing(f"score {name}", caption, curve))))
    pruned = runs[(runs["sparsity"] > 0) & runs["has_files"]]
    mapped = _spread(sorted(pruned["sparsity"].unique()))
    for sparsity in mapped:
        parts += _density(name, sparsity, pruned[pruned["sparsity"] == sparsity], draw, troubles)
    parts += _allocation(name, pruned, draw, troubles)
    for sparsity in mapped:
        parts += _overlap(name, sparsity, pruned[pruned["sparsity"] == sparsity], draw, troubles)
    if len(mapped) < pruned["sparsity"].nunique():
        left_out = sorted({*pruned["sparsity"]} - {*mapped})
        parts.append(Part("Sparsities without maps", NOT_MAPPED.format(", ".join(f"{s:g}" for s in left_out))))
    caption = f"{name}: a tick for each run, a bar for the mean. Compare time and memory only on one, otherwise idle,"
    drawing = _drawing(f"cost {name}", f"{caption} device.", partial(costs.draw_costs, runs, table=name))
    text = "On a CPU, peak memory is the peak of the whole process. In a sweep it includes all earlier runs."
    parts.append(Part("Time and memory", text, tables.costs(runs), figure=draw(drawing)))
    text = "The sparsities are measured from the masks, under all four denominators."
    parts.append(Part("Every run and its command", text, tables.every_run(runs)))
    return Section(name, slug(name), parts)


def _spread(sparsities: list[float]) -> list[float]:
    """Return at most MAX_MAPPED of the sorted sparsities, evenly spread, with the first and the last."""
    if len(sparsities) <= MAX_MAPPED:
        return sparsities
    return [sparsities[round(i * (len(sparsities) - 1) / (MAX_MAPPED - 1))] for i in range(MAX_MAPPED)]


def trouble_section(collected: Collected, troubles: list[Trouble]) -> Section:
    """Return the section on runs that failed, are missing or were left out."""
    text = f"The tables contain {counted(len(collected.runs), 'run')}" + (
        "." if troubles else ", every one that was started."
    )
    table = tables.troubles(troubles) if troubles else None
    return Section("What failed or is missing", "missing", [Part(text=text, table=table)])


def reading_section() -> Section:
    """Return the section that explains how the numbers were made."""
    sources = "\n".join(f"{name}: {source}." for name, source in published.CITED.items())
    numbers = f"{PUBLISHED} {AGREEMENT} None of the published numbers was measured here.\n{sources}"
    parts = [Part("Tables", READING), Part("Tests", EXPLANATION), Part("Published numbers", numbers)]
    return Section("How to read this", "reading", parts)


def _overlap_notes(runs: pd.DataFrame) -> list[str]:
    """Return why scores may not be held-out scores, with the rows concerned if these are not all."""
    labels: dict[str, list[str]] = {}
    for row, label in zip(runs["row"], runs["label"], strict=True):
        for note in overlaps.of_result(row):
            labels.setdefault(note, []).append(label)
    shown = {note: ", ".join(dict.fromkeys(rows)) for note, rows in labels.items()}
    return [note if len(labels[note]) == len(runs) else f"{note} (of {shown[note]})" for note in labels]


def _evaluation_data(runs: pd.DataFrame) -> str:
    """Describe the evaluation data: " on 872 examples of validation", or "" if it is unknown."""
    data = runs["row"].iloc[0].get("data")
    splits = (data.get("rows") or {}) if isinstance(data, dict) else {}
    sizes = [
        f"{counted(n, 'example')} of {split}" for split, n in splits.items() if split != "train" and isinstance(n, int)
    ]
    return f" on {', '.join(sizes)}" if sizes else ""


def _published(runs: pd.DataFrame, numbers: pd.DataFrame) -> list[Part]:
    agreeing, differing = (
        tables.published_comparisons(runs, numbers),
        tables.published_with_other_settings(runs, numbers),
    )
    title = "Published results"
    parts = [Part(title, PUBLISHED, agreeing)] if agreeing.rows else []
    if not agreeing.rows:
        models = numbers[numbers.task == runs["task"].iloc[0]]["model"].unique()
        available = f"those for this task are of {', '.join(models)}" if len(models) else "there are none for this task"
        parts = [Part(title, f"No published number matches a run; {available}.")]
    if differing.rows:
        parts.append(Part(text=OTHER_SETTINGS, table=differing, folded="Published numbers with other settings"))
    return parts


def _density(name: str, sparsity: float, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    layer_means, outside_means, messages = maps.remaining(runs)
    troubles += [Trouble("not in the density map", f"{name} at {sparsity:g}", message) for message in messages]
    if not layer_means:
        return []
    caption = f"{name}, sparsity {sparsity:g}: the fraction of weights that remains, by layer and kind of matrix. Each"
    caption += (
        " value is the mean over the runs. All figures share one scale. Below a panel: what is pruned outside the"
    )
    drawing = _drawing(
        f"density {name} {sparsity:g}",
        f"{caption} layers.",
        partial(maps.draw_density, layer_means, outside_means, table=f"{name}, sparsity {sparsity:g}"),
    )
    return [Part(f"Weights left at {sparsity:g}", figure=draw(drawing))]


def _allocation(name: str, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    """Return how the allocation changes with sparsity, by kind of matrix and by layer."""
    parts = []
    for by in ("kinds", "layers"):
        table, messages = allocation.ratios(runs, by)
        if by == "kinds":  # both are read from the same file, so the messages are the same
            troubles += [Trouble("not in the allocation figure", name, message) for message in messages]
        shown, uniform = allocation.split_uniform(table)
        if not shown or table["part"].nunique() < 2:
            continue
        caption = f"{name}: the remaining fraction of each of the {by}, divided by that of all prunable weights,"
        caption += " against sparsity. Each value is the mean over seeds."
        if table["ratio"][table["label"].isin(shown)].min() < allocation.LOWEST_RATIO:
            caption += (
                f" Ratios below ×1/{1 / allocation.LOWEST_RATIO:g} are drawn at ×1/{1 / allocation.LOWEST_RATIO:g}."
            )
        caption += f" Uniform, not drawn: {', '.join(uniform)}." if uniform else ""
        drawing = _drawing(
            f"budget {by} {name}", caption, partial(allocation.draw_allocation, table, shown, by=by, table=name)
        )
        parts.append(Part(f"Allocation among the {by} against sparsity", figure=draw(drawing)))
    return parts


def _overlap(name: str, sparsity: float, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    location = f"{name} at {sparsity:g}"
    single = len(runs) <= MAX_SINGLE
    seeds_each = MAX_COMPARED // runs["variant"].nunique() if len(runs) > MAX_COMPARED else len(runs)
    lowest_seeds = runs.sort_values("seed", kind="stable").groupby("variant").head(max(1, seeds_each))
    compared = lowest_seeds.sort_values("order")
    try:
        indices, values, messages = maps.overlap_table(
            {Path(directory): row for directory, row in zip(compared["directory"], compared["row"], strict=True)}
        )
    except BadInput as error:
        troubles.append(Trouble("not in the report", location, f"overlap matrix: {error}"))
        return []
    troubles += [Trouble("not in the overlap matrix", location, message) for message in messages]
    if len(indices) < 2:
        return []
    shown = compared.iloc[indices]
    caption = (
        f"{location}: overlap of every two masks beyond chance: 1 for the same weights, 0 for as many common weights as"
        " chance gives, below 0 for fewer."
    )
    with_seeds = single and runs["seed"].nunique() > 1
    labels = shown["short_label"].tolist()
    if with_seeds:
        labels = [f"{label}, seed {seed}" for label, seed in zip(labels, shown["seed"], strict=True)]
    if not single:
        labels, values = maps.over_seeds(labels, values)
        caption += " Means over all pairs of runs; the diagonal compares the seeds of one row."
    diagonal = "a run with itself" if single else "other seeds of the same row"
    if len(compared) < len(runs):
        caption += f" Of {counted(len(runs), 'run')}, the {len(indices)} with the lowest seeds are compared."
    drawing = _drawing(
        f"overlap {name} {sparsity:g}",
        caption,
        partial(maps.draw_overlap, labels, values, table=f"{name}, sparsity {sparsity:g}", diagonal=diagonal),
    )
    return [Part(f"Overlap at {sparsity:g}", figure=draw(drawing))]


def _drawing(name: str, caption: str, draw: Callable) -> Drawing:
    return Drawing(slug(name), caption, draw)


def slug(text: str) -> str:
    """Turn a text into a file name or an anchor. Other letters than a-z are replaced by a hash of the text."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    if text.isascii() and len(name) <= MAX_SLUG:
        return name
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: MAX_SLUG - 9]}-{mark}".strip("-")
