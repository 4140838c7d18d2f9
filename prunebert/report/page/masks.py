"""Show where weights are left, how the allocation changes with sparsity, and how far masks overlap."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from prunebert.errors import BadInput
from prunebert.report.collect import Trouble
from prunebert.report.figures import allocation, maps
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.mapped import choose_sparsities, not_mapped
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study, nearest
from prunebert.system.console import counted

MAX_SINGLE = 24  # runs; a larger overlap matrix shows means over the seeds instead of single runs
MAX_COMPARED = 48  # runs; of more, only the lowest seeds of each variant are compared


def left_section(asked: Study, draw: Draw, troubles: list[Trouble]) -> Section:
    """Return the section on the remaining weights: maps and allocation, of each table; the first is open."""
    found = []
    for name, runs in asked.tables:
        pruned = _pruned(runs)
        mapped = choose_sparsities(sorted(pruned["sparsity"].unique()), len(asked.tables))
        maps_parts = [
            part for s in mapped for part in _density(name, s, pruned[pruned["sparsity"] == s], draw, troubles)
        ]
        inner = [_by_sparsity(maps_parts, _not_mapped(pruned, mapped))] if maps_parts else []
        inner += _allocation(name, pruned, draw, troubles)
        found.append((name, inner))
    return Section("Where weights are left", "left", _folded_after_the_first(found))


def overlap_section(asked: Study, draw: Draw, troubles: list[Trouble]) -> Section:
    """Return the section on the overlap of masks, of each table; the first is open."""
    found = []
    for name, runs in asked.tables:
        pruned = _pruned(runs)
        mapped = choose_sparsities(sorted(pruned["sparsity"].unique()), len(asked.tables))
        inner = [part for s in mapped for part in _overlap(name, s, pruned[pruned["sparsity"] == s], draw, troubles)]
        found.append((name, [_by_sparsity(inner, _not_mapped(pruned, mapped))] if inner else []))
    return Section("Overlap of masks", "overlap", _folded_after_the_first(found))


def _pruned(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["sparsity"] > 0) & runs["has_files"]]


def _folded_after_the_first(found: list[tuple[str, list[Part]]]) -> list[Part]:
    """Return a part for each table that has something: the first under its heading, further ones folded."""
    shown = [(name, parts) for name, parts in found if parts]
    return [Part(heading=name, parts=p) if not i else Part(folded=name, parts=p) for i, (name, p) in enumerate(shown)]


def _by_sparsity(parts: list[Part], text: str) -> Part:
    """Show one of the figures at a time; the headings of `parts` are sparsities."""
    return Part(text=text, parts=parts, choice="Sparsity", chosen=nearest([float(part.heading) for part in parts]))


def _not_mapped(pruned: pd.DataFrame, mapped: list[float]) -> str:
    """Name the sparsities without maps; "" if there are none."""
    left_out = sorted({*pruned["sparsity"]} - {*mapped})
    return not_mapped(left_out) if left_out else ""


def _density(name: str, sparsity: float, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    layer_means, outside_means, messages = maps.remaining(runs)
    troubles += [Trouble("not in the density map", f"{name} at {sparsity:g}", message) for message in messages]
    if not layer_means:
        return []
    caption = f"{name}, sparsity {sparsity:g}: the fraction of weights that remains, by layer and kind of matrix. Each"
    caption += (
        " value is the mean over the runs. All figures share one scale. Below a panel: what is pruned outside the"
    )
    figure = drawing(
        f"density {name} {sparsity:g}",
        f"{caption} layers.",
        partial(maps.draw_density, layer_means, outside_means, table=f"{name}, sparsity {sparsity:g}"),
    )
    return [Part(f"{sparsity:g}", figure=draw(figure))]


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
        figure = drawing(
            f"budget {by} {name}", caption, partial(allocation.draw_allocation, table, shown, by=by, table=name)
        )
        parts.append(Part(figure=draw(figure)))
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
    figure = drawing(
        f"overlap {name} {sparsity:g}",
        caption,
        partial(maps.draw_overlap, labels, values, table=f"{name}, sparsity {sparsity:g}", diagonal=diagonal),
    )
    return [Part(f"{sparsity:g}", figure=draw(figure))]
