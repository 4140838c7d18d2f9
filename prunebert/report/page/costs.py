"""Show what the methods cost: trained parameters, time, memory and disk."""

from __future__ import annotations

from functools import partial

from prunebert.report.figures import costs
from prunebert.report.page import tables
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study

OPEN = 4  # tables whose figure is open; those of others are folded
TEXT = (
    "Compare time and memory only on one device that is idle otherwise. On a CPU, peak memory is the peak of the whole "
    "process. In a sweep it includes all earlier runs. On disk are the masks, the trained weights and the head."
)


def section(asked: Study, draw: Draw) -> Section:
    """Return the section: a chart over all tables, then a figure and a folded table for each."""
    parts = [Part(text=TEXT, chart="pareto")]
    for i, (name, runs) in enumerate(asked.tables):
        caption = f"{name}: a tick for each run, a bar for the mean over its runs at all sparsities."
        figure = draw(drawing(f"cost {name}", caption, partial(costs.draw_costs, runs, table=name)))
        inner = [Part(figure=figure), Part(folded="The numbers", table=tables.costs(runs))]
        parts.append(Part(heading=name, parts=inner) if i < OPEN else Part(folded=name, parts=inner))
    return Section("What it costs", "cost", parts)
