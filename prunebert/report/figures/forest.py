"""Draw the differences to a baseline as a forest plot: an effect with its intervals on a line for each row."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunebert.choices import LOWER_IS_BETTER
from prunebert.drawing.labels import add_title
from prunebert.errors import visible
from prunebert.report.figures.style import WIDTH, Theme, look
from prunebert.report.statistics.format import LEVEL, p_text
from prunebert.system.console import counted
from prunebert.system.names import brief

MAX_LINES = 60  # of one figure
LETTERS = 34  # of a label's line
LINE, GAP = 0.145, 0.07  # inches: a line of text, and the space between two rows
STYLES = {"seeds": (3.2, 0.45), "examples": (1.0, 1.0)}  # line width and opacity of the intervals
SMALL = 6  # points
COLUMNS = {"by_seed": "seeds", "examples": "examples"}  # of p-values


def draw_forest(gaps: pd.DataFrame, *, table: str, metric: str, baseline: str, theme: Theme) -> Figure:
    """Draw each row's difference to the baseline, with the 95 % intervals over seeds and over examples.

    Rows are grouped by sparsity. A marker is filled where the corrected test separates the row from the baseline. This
    is the test over seeds where there is one, otherwise that over examples. Of more than `MAX_LINES` rows, the first
    are drawn, and the figure says how many are not. Where the baseline has several variants, a row names its own.

    Args:
        gaps: see `differences.differences`; at least one row, all of one table and one baseline.
        table: the name of the table, for the title.
        metric: the metric's name.
        baseline: the baseline, as it was requested.
        theme: the figure's colours.
    """
    shown = gaps.sort_values("sparsity", kind="stable").head(MAX_LINES)
    several = shown["against"].nunique() > 1  # variants of the baseline; each row has the one that it is compared with
    scale = 1 if metric in LOWER_IS_BETTER else 100
    figure = Figure()
    axes = figure.subplots()
    beside = axes.get_yaxis_transform()  # x in widths of the axes
    tested = [column for column in COLUMNS if shown[f"{column}_holm"].notna().any()]
    columns = dict(zip((1.02, 1.16), tested, strict=False))
    ticks, height = [], 0.0  # in inches, downwards
    for sparsity, rows in shown.groupby("sparsity"):
        ticks.append((height + LINE / 2, f"sparsity {sparsity:g}"))
        height += LINE + GAP
        for row in rows.to_dict("records"):
            name = brief(visible(str(row["short_label"])), 160) + (" †" if row["other_denominator"] else "")
            if several:
                name += f" against {brief(visible(str(row['against'])), 160)}"
            label = "\n".join(textwrap.wrap(name, LETTERS))
            space = LINE * (1 + label.count("\n"))
            ticks.append((height + space / 2, label))
            _draw_row(axes, row, height + space / 2, scale, theme.paper)
            for place, column in columns.items():
                text = _corrected(row[f"{column}_holm"])
                axes.text(place, height + space / 2, text, transform=beside, fontsize=SMALL, va="center")
            height += space + GAP
        height += GAP
    axes.set_yticks([position for position, _ in ticks], [label for _, label in ticks], fontsize=7)
    axes.set_ylim(height, -LINE)
    for (_, label), tick in zip(ticks, axes.yaxis.get_major_ticks(), strict=True):
        if label.startswith("sparsity "):
            tick.label1.set_fontweight("bold")
        tick.tick1line.set_visible(False)
    axes.axvline(0, color=theme.ink, linewidth=0.8, zorder=1)
    axes.grid(True, axis="x", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    better = "below 0 is better" if metric in LOWER_IS_BETTER else "above 0 is better"
    unit = "" if scale == 1 else ", points"
    notes = [f"{metric} minus that of {baseline}{unit}; {better}"]
    if shown["other_denominator"].any():
        notes.append("†: the two sparsities are fractions of different matrices")
    if left_out := len(gaps) - len(shown):
        notes.append(f"not drawn: {counted(left_out, 'more row')} of the table below")
    wrapped = "\n".join(line for note in notes for line in textwrap.wrap(brief(visible(note), 300), 80))
    axes.set_xlabel(wrapped)
    low, high = axes.get_xlim()
    side = "left" if -low < high else "right"  # of the zero line; there the name has room
    name = f" {brief(visible(baseline), 40)} "
    axes.text(0, -LINE / 2, name, ha=side, va="center", fontsize=SMALL)
    for place, column in columns.items():
        axes.text(place, -LINE / 2, f"p, {COLUMNS[column]}", transform=beside, fontsize=SMALL, va="center")
    handles = _legend(theme, shown)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=2.5)
    figure.set_figwidth(WIDTH)
    title = add_title(figure, f"{table}: differences to {brief(visible(baseline), 160)}")
    figure.set_figheight(title + height + LINE + 0.75 + LINE * (wrapped.count("\n") + 1))
    return figure


def _draw_row(axes: Axes, row: dict[str, Any], y: float, scale: float, paper: str) -> None:
    """Draw one row: its intervals, and its effect as a marker filled with its colour or with that of the paper."""
    colour, mark, *_ = look(row["method"])
    for over, (width, alpha) in STYLES.items():
        ends = [scale * row[f"{over}_low"], scale * row[f"{over}_high"]]
        axes.plot(ends, [y, y], color=colour, linewidth=width, alpha=alpha, zorder=2)
    face = colour if _is_separated(row) else paper
    shape = mark if mark in Line2D.filled_markers else "o"
    style: dict[str, Any] = {"markersize": 5, "markerfacecolor": face, "markeredgecolor": colour}
    axes.plot([scale * row["difference"]], [y], shape, zorder=3, **style)


def _corrected(p: float | None) -> str:
    return "–" if p is None or pd.isna(p) else p_text(p)


def _is_separated(row: dict[str, Any]) -> bool:
    """Return whether the corrected test separates the row: that over seeds if there is one, or else over examples."""
    corrected = [p for p in (row["by_seed_holm"], row["examples_holm"]) if p is not None and not pd.isna(p)]
    return bool(corrected) and corrected[0] < LEVEL


def _legend(theme: Theme, shown: pd.DataFrame) -> list[Line2D]:
    """Return the legend's entries: of the intervals that are drawn, and of both markers."""
    ink = theme.ink
    intervals = [
        Line2D([], [], color=ink, linewidth=width, alpha=alpha, label=f"95 % interval over {over}")
        for over, (width, alpha) in STYLES.items()
        if shown[f"{over}_low"].notna().any()
    ]
    markers: dict[str, Any] = {"color": ink, "marker": "s", "linestyle": ""}
    both = all(shown[f"{column}_holm"].notna().any() for column in COLUMNS)
    test = " over seeds; over examples where seeds are too few" if both else " after Holm's correction"
    return [
        *intervals,
        Line2D([], [], **markers, label=f"filled: p < {LEVEL:g}{test}"),
        Line2D([], [], **markers, markerfacecolor=theme.paper, label="open: not separated"),
    ]
