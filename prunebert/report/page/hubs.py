"""Show whether runs have the same hubs: a figure and tables, for each model and sparsity."""

from __future__ import annotations

from functools import partial

import pandas as pd

from prunebert.report.collect import Trouble
from prunebert.report.figures.hubs import draw_hubs
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.mapped import choose_sparsities, not_mapped
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study, nearest
from prunebert.report.page.tables import Cell, Table, number
from prunebert.report.statistics import hubs
from prunebert.report.statistics.hubs import CHECKPOINT, MAIN, METHODS, SEEDS, TASKS, Hubs
from prunebert.system.console import counted

MAX_COMPARED = 48  # runs of a model and sparsity; of more, only the lowest seeds of each variant are compared
OFTEN = 8  # units that the page names
TEXT = (
    "A degree is the number of weights that a unit keeps, and hubs are the units with the highest degrees. A unit is a "
    "dimension of the residual stream, an attention head or a feed-forward neuron. Each number is Spearman's rank "
    "correlation of the degrees of two runs, within a layer for heads and neurons: 1 for the same order, 0 for none. "
    "Top(|W|) keeps the largest pre-trained weights, as many of each matrix. If two runs agree only because both "
    "follow these weights, “without Top(|W|)” is near 0."
)
CAPTION = (
    "Rank correlation of the degrees between runs of one method with other seeds, with other tasks and with other "
    "methods, and with the largest pre-trained weights. A mark is the mean of a method over all such pairs."
)
COLUMNS = [
    *("units", "method", SEEDS, TASKS, METHODS, CHECKPOINT, f"{SEEDS}, without Top(|W|)"),
    *(f"top 1 % in common, {SEEDS}", "by chance"),
]


def section(asked: Study, draw: Draw, troubles: list[Trouble]) -> Section:
    """Return the section with a part for each model; without parts if fewer than two runs recorded hubs."""
    pruned = asked.runs[(asked.runs["sparsity"] > 0) & asked.runs["has_files"]]
    models = list(pruned.groupby("model", sort=False))
    parts = []
    for model, runs in models:
        drawn = choose_sparsities(sorted(runs["sparsity"].unique()), len(models))
        inner = [p for s in drawn for p in _part(str(model), s, runs[runs["sparsity"] == s], draw, troubles)]
        left_out = sorted({*runs["sparsity"]} - {*drawn})
        chosen = nearest([float(part.heading) for part in inner])
        text = not_mapped(left_out) if left_out else ""
        if inner:
            parts.append(Part(str(model), parts=[Part(text=text, parts=inner, choice="Sparsity", chosen=chosen)]))
    return Section("Hubs", "hubs", [Part(text=TEXT), *parts] if parts else [])


def _part(model: str, sparsity: float, runs: pd.DataFrame, draw: Draw, troubles: list[Trouble]) -> list[Part]:
    cells = runs[["table", "variant"]].drop_duplicates()
    each = max(1, MAX_COMPARED // len(cells))
    compared = runs.sort_values("seed", kind="stable").groupby(["table", "variant"]).head(each).sort_values("order")
    positions, found, messages = hubs.read(compared.head(MAX_COMPARED))
    troubles += [Trouble("not among the hubs", f"{model} at {sparsity:g}", message) for message in messages]
    compared = compared.iloc[positions]
    pairs = hubs.pairs(compared, found)
    if not pairs.loc[pairs["relation"] != CHECKPOINT, "correlation"].notna().any():
        return []
    means = hubs.means(pairs)
    inner = []
    if means.loc[means["set"].isin(MAIN), "correlation"].notna().any():
        title = f"{model}, sparsity {sparsity:g}: hubs"
        figure = drawing(
            f"hubs {model} {sparsity:g}",
            f"{model}, sparsity {sparsity:g}. {CAPTION}",
            partial(draw_hubs, means, title=title),
        )
        inner.append(Part(figure=draw(figure)))
    note = f"Means over pairs of {counted(len(compared), 'run')}."
    if len(compared) < len(runs):
        note += f" There are {len(runs)} runs; those with the lowest seeds are compared, if they recorded hubs."
    inner.append(Part(table=table(means[means["set"].isin(MAIN)], note)))
    kinds = means[~means["set"].isin(MAIN)]
    inner.append(Part(folded="Rows and columns of each kind of matrix", table=table(kinds, note)))
    layers = by_layer(compared, found)
    if layers.rows:
        inner.append(Part(folded="By layer", table=layers))
    inner.append(Part(folded="The units that are most often hubs", table=often(compared, found)))
    return [Part(f"{sparsity:g}", parts=inner)]


def table(means: pd.DataFrame, note: str) -> Table:
    """Return a row for each set of units and method. means: rows of `hubs.means`."""
    rows = []
    for (name, label), cells in means.groupby(["set", "label"], sort=False):
        line = cells.set_index("relation")
        if line["correlation"].isna().all():
            continue

        def value(relation: str, column: str = "correlation", line: pd.DataFrame = line) -> Cell:
            return rounded(line[column].get(relation))

        correlations = [value(relation) for relation in (SEEDS, TASKS, METHODS, CHECKPOINT)]
        others = [value(SEEDS, column) for column in ("without", "shared", "chance")]
        rows.append([Cell(str(name)), Cell(str(label), kind="name"), *correlations, *others])
    order = {name: i for i, name in enumerate(dict.fromkeys([*MAIN, *(row[0].text for row in rows)]))}
    rows.sort(key=lambda row: order[row[0].text])
    shown = [i for i in range(len(COLUMNS)) if i < 2 or any(row[i].text != "–" for row in rows)]
    return Table([COLUMNS[i] for i in shown], [[row[i] for i in shown] for row in rows], note)


def rounded(value: float | None) -> Cell:
    """Return a cell with two decimals. + 0 turns -0.00 into 0.00."""
    return number(value if value is None else round(value, 2) + 0, "{:.2f}")


def by_layer(runs: pd.DataFrame, found: list[Hubs]) -> Table:
    """Return a row for each layer: the mean rank correlation over other seeds, of heads and of neurons."""
    columns = {name: hubs.by_layer(runs, found, name) for name in MAIN if name != MAIN[0]}
    layers = sorted({layer for column in columns.values() for layer in column})
    columns = {name: column for name, column in columns.items() if column}
    rows = [[Cell(str(layer), layer), *(rounded(column.get(layer)) for column in columns.values())] for layer in layers]
    return Table(["layer", *columns], rows, f"Rank correlation, {SEEDS}; the mean over all methods and tasks.")


def often(runs: pd.DataFrame, found: list[Hubs]) -> Table:
    """Return a row for each set of units and method: the units that are hubs in most of its runs."""
    rows = []
    for name in MAIN:
        for label, part in runs.reset_index(drop=True).groupby("short_label", sort=False):
            units = hubs.often([found[i] for i in part.index], name, OFTEN)
            text = ", ".join(f"{unit} ({count} of {len(part)})" for unit, count in units)
            if text:
                rows.append([Cell(name), Cell(str(label), kind="name"), Cell(text, kind="long")])
    note = "Of the ten units of a run with the highest z. Heads and neurons: layer.unit; all are counted from 0."
    return Table(["units", "method", "most often among the top ten (runs)"], rows, note)
