"""Show how well the units of sub-networks are connected: spectral gaps beside those of dense and random masks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from prunebert.report.collect import Trouble
from prunebert.report.figures import spectral
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.mapped import choose_sparsities
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study, nearest
from prunebert.report.page.tables import Cell, Table, number

TEXT = (
    "A mask is a bipartite graph: its units are the inputs and the outputs of a matrix, its edges the kept weights. "
    "σ₁ and σ₂ are the two largest singular values of the mask. A large gap between them means that only many removed "
    "weights would separate the units into two parts. The numbers cannot tell which of two masks scores higher: random "
    "masks nearly meet the Ramanujan bound (Hoang et al., ICLR 2023). Compare each number with that of random masks."
)
NOTE = (
    "The gap is (σ₁ - σ₂) / σ₁. Weighted: the absolute values of the kept weights, at the end of the run, in place of "
    "ones. Random: masks that keep as many weights of each matrix, at random. Bound: Ramanujan's, for the average "
    "degrees of the mask; where bound - σ₂ is below 0, the mask does not meet it. Means over the matrices of the "
    "layers, and over the seeds."
)
CAPTION = (
    "σ₂ of each mask, divided by that of a random mask that keeps as many weights, by layer and kind of matrix. "
    "Weighted: the absolute values of the kept weights in place of ones. Above 1, some units share more of their "
    "weights than by chance. Values are means over the seeds. All figures share one scale."
)
WORDS = {"unweighted": "", "weighted": "weighted "}


def section(asked: Study, draw: Draw, troubles: list[Trouble]) -> Section:
    """Return the section with a part for each table; without parts if no pruned run has spectra.

    troubles: what cannot be read is appended here.
    """
    parts: list[Part] = []
    for name, runs in asked.tables:
        runs = runs[runs["has_files"]]
        pruned = runs[runs["sparsity"] > 0]
        dense, messages = spectral.means(runs[runs["sparsity"] == 0])
        by_sparsity = []
        for sparsity in choose_sparsities(sorted(pruned["sparsity"].unique()), len(asked.tables)):
            label_means, more = spectral.means(pruned[pruned["sparsity"] == sparsity])
            messages += more
            if not any(spectral.is_drawn(grids) for grids in label_means.values()):
                continue
            title = f"{name}, sparsity {sparsity:g}"
            draw_figure = partial(spectral.draw_spectra, label_means, table=title)
            figure = drawing(f"spectra {name} {sparsity:g}", f"{title}: {CAPTION}", draw_figure)
            inner = [Part(table=table(dense | label_means)), Part(figure=draw(figure))]
            by_sparsity.append(Part(f"{sparsity:g}", parts=inner))
        troubles += [Trouble("not among the spectra", name, message) for message in messages]
        if by_sparsity:
            chosen = nearest([float(part.heading) for part in by_sparsity])
            tabs = [Part(parts=by_sparsity, choice="Sparsity", chosen=chosen)]
            parts.append(Part(folded=name, parts=tabs) if parts else Part(heading=name, parts=tabs))
    return Section("How well units are connected", "spectra", [Part(text=TEXT), *parts] if parts else [])


def table(label_means: dict[str, dict[str, np.ndarray]]) -> Table:
    """Return a row for each label. label_means: see `figures.spectral.means`."""
    columns = ["method"]
    for words in WORDS.values():
        columns += [f"{words}gap", f"{words}gap, random", f"{words}σ₂ ÷ random"]
    rows = []
    for label, grids in label_means.items():
        names = [f"{which} {name}" for which in WORDS for name in ("gap", "random gap", "ratio")]
        values = [_mean(grids.get(name)) for name in (*names, "difference of bound")]
        forms = ["{:.3f}", "{:.3f}", "{:.2f}"] * len(WORDS) + ["{:+z.2f}"]
        rows.append([Cell(label, kind="name"), *map(number, values, forms)])
    return Table([*columns, "bound - σ₂"], rows, NOTE)


def _mean(grid: np.ndarray | None) -> float | None:
    """Return the mean of the numbers in a grid; None without any."""
    known = pd.Series([] if grid is None else grid.ravel(), dtype=float).dropna()
    return float(known.mean()) if len(known) else None
