"""Draw how alike the hubs of runs are."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.drawing.labels import add_title
from prunebert.errors import visible
from prunebert.report.figures.legend import add_legend
from prunebert.report.figures.scales import MARGIN
from prunebert.report.figures.style import WIDTH, Theme, looks
from prunebert.report.statistics.hubs import MAIN, RELATIONS

ROW = 0.2  # inches of a method in a band
BAND = 0.35  # of a band, the room between two


def draw_hubs(means: pd.DataFrame, *, title: str, theme: Theme) -> Figure:
    """Draw a panel for each of MAIN: in a band for each relation a mark for each method, at its mean correlation.

    Args:
        means: of `statistics.hubs.means`.
        title: of the figure.
        theme: the figure's colours.
    """
    means = means[means["set"].isin(MAIN) & means["correlation"].notna()]
    shown = [name for name in MAIN if (means["set"] == name).any()]
    relations = [relation for relation in RELATIONS if (means["relation"] == relation).any()]
    labels = list(dict.fromkeys(means["label"]))
    method_looks = looks(means["method"])
    figure = Figure(figsize=(WIDTH, max(1.6, len(relations) * (0.3 + ROW * len(labels)) + 0.6)))
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    low = min(0.0, float(means["correlation"].min()))
    for axes, name in zip(panels, shown, strict=True):
        for band, relation in enumerate(relations):
            cells = means[(means["set"] == name) & (means["relation"] == relation)]
            for _, cell in cells.iterrows():
                offset = (labels.index(cell["label"]) + 0.5) / len(labels) - 0.5
                colour, mark, _ = method_looks[cell["method"]]
                axes.plot(cell["correlation"], band + offset * (1 - BAND), mark, color=colour)
            if band:
                axes.axhline(band - 0.5, color=theme.ink, linewidth=0.4)
        axes.axvline(0, color=theme.ink, linewidth=0.8)
        axes.set_xlim(low - MARGIN * (1 - low), 1 + MARGIN * (1 - low))
        axes.set_ylim(len(relations) - 0.5, -0.5)
        axes.set_title(name)
        axes.set_xlabel("rank correlation")
        axes.grid(True, axis="x", linewidth=0.4)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(relations)), relations)
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", label=visible(method))
        for method, (colour, mark, _) in method_looks.items()
    ]
    height = figure.get_figheight() + add_title(figure, title)
    figure.set_figheight(height + add_legend(figure, handles))
    return figure
