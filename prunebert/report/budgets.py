"""Budgets: how the places where a method keeps its weights change as more is removed."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from prunebert.errors import BadInput
from prunebert.report.curves import sparsity_axis
from prunebert.report.maps import ACROSS, KINDS, SHORT
from prunebert.report.style import LINES, WIDTH, Theme
from prunebert.runs import artifacts

OUTSIDE = ("pooler", "embeddings")
EVEN = 0.02  # a budget this near to the uniform one everywhere is uniform
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#A6761D", "#E69F00", "#D55E00", "#999999", "#CC79A7")
FEWEST = 2**-6  # what is drawn of a part that keeps almost nothing


def ratios(runs: pd.DataFrame, by: str) -> tuple[pd.DataFrame, list[str]]:
    """Remaining fraction of each part ÷ that of all prunable weights: label, sparsity, part, ratio (mean over runs);
    and a line for each run whose topology.json does not tell it.

    by: "kinds", of matrices, or "layers", where pooler and embeddings are no layer and left out.
    """
    rows, unread = [], []
    for _, run in runs.iterrows():
        try:
            parts = artifacts.topology(Path(run["directory"]))["budget"][by]
            shares = {part: float(told["ratio"]) for part, told in parts.items() if not str(part).startswith("-")}
        except (BadInput, KeyError, TypeError, ValueError, AttributeError) as error:
            unread.append(f"the budget in topology.json of {run['directory']} cannot be read: {error}")
            continue
        rows += [(run["short"], run["sparsity"], part, ratio) for part, ratio in shares.items()]
    found = pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])
    return found.groupby(["label", "sparsity", "part"], sort=False)["ratio"].mean().reset_index(), unread


def uneven(found: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The labels at several sparsities whose budgets are not uniform, and those whose are."""
    several = found.groupby("label", sort=False)["sparsity"].nunique() > 1
    off = (found["ratio"] - 1).abs().groupby(found["label"], sort=False).max() > EVEN
    return [n for n in several.index if several[n] and off[n]], [n for n in several.index if several[n] and not off[n]]


def shift(found: pd.DataFrame, shown: list[str], theme: Theme) -> Figure:
    """A panel a label: sparsity to the right, the ratios upwards, both on scales that spread what is near the end."""
    parts = sorted(found["part"].unique(), key=_rank)
    clipped = found["ratio"][found["label"].isin(shown)].min() < FEWEST
    down, across = -(-len(shown) // ACROSS), min(ACROSS, max(len(shown), 2))
    figure = Figure(figsize=(WIDTH, 1.75 * down + 0.7))
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, label in zip(panels, shown, strict=False):
        own = found[found["label"] == label]
        for part, line in own.groupby("part", sort=False):
            line = line.sort_values("sparsity")
            axes.plot(line["sparsity"], line["ratio"].clip(lower=FEWEST), **_look(parts, str(part)))
        axes.axhline(1, color=theme.ink, linewidth=0.6)
        axes.set_title("\n".join(textwrap.wrap(label, 23)))
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda y, _: _times(y))
        if clipped:
            axes.yaxis.set_major_locator(LogLocator(4))  # the lowest ratio drawn is one of its ticks
        axes.grid(True, linewidth=0.5)
    sparsity_axis(panels[0], sorted(found["sparsity"].unique()))
    panels[0].set_xlabel("")
    for axes in panels[max(len(shown) - across, 0) : len(shown)]:
        axes.xaxis.set_tick_params(labelbottom=True)  # there may be none below it
        axes.set_xlabel("sparsity")
    for axes in panels[len(shown) :]:
        axes.remove()
    figure.supylabel("remaining fraction ÷ that of all prunable weights", fontsize=8)
    lines = {str(line.get_label()): line for axes in panels[: len(shown)] for line in axes.get_lines()[:-1]}
    names = [name for name in map(_name, parts) if name in lines]
    figure.legend([lines[n] for n in names], names, loc="outside lower center", ncols=min(len(names), 8))
    return figure


def _times(ratio: float) -> str:
    told = f"×{ratio:g}" if ratio >= 1 else f"×1/{1 / ratio:g}"
    return f"≤ {told}" if ratio <= FEWEST else told


def _rank(part: str) -> tuple[int, int | str]:
    if part.isdigit():
        return 0, int(part)
    return (1, (*KINDS, *OUTSIDE).index(part)) if part in (*KINDS, *OUTSIDE) else (2, part)


def _name(part: str) -> str:
    return f"layer {part}" if part.isdigit() else dict(zip(KINDS, SHORT, strict=True)).get(part, part)


def _look(parts: list[str], part: str) -> dict[str, Any]:
    """Colour and line of a part, the same in every panel; layers from dark to light."""
    place = parts.index(part)
    if part.isdigit():
        colour: Any = colormaps["viridis"](place / max(len(parts), 2))
        return {"color": colour, "marker": ".", "label": _name(part)}
    line = LINES[place // len(COLOURS) % len(LINES)]
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": line, "marker": ".", "label": _name(part)}
