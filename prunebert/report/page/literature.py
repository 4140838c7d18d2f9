"""Collect the published curves and points that the interactive score chart draws, those of the static figure."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from prunebert.report import cells
from prunebert.report.figures import style
from prunebert.report.published import numbers as published

LINE_SYMBOLS = ("y-down", "y-up", "y-left", "y-right", "cross-thin", "line-ns")  # no method has these
SOURCE_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "hexagon")
Found = tuple[list[pd.DataFrame], pd.DataFrame]  # published curves, and the points outside of them


def find(runs: pd.DataFrame, numbers: pd.DataFrame) -> Found:
    """Return the published curves and points of one table's model, task and metric.

    Args:
        runs: the runs of the table.
        numbers: published.csv, see `published.numbers.read_table`.
    """
    run = runs.iloc[0]
    points = published.points(numbers, run["model"], run["task"], run["metric"])
    return published.split_curves(published.of_variants(points, runs), cells.cells(runs))


def traces(found: Found) -> list[dict[str, Any]]:
    """Return a line of the chart for each curve, and its points for each source.

    The colour shows the method. A line without a teacher is dotted.
    """
    lines, points = found
    drawn = [_trace(line.sort_values("sparsity"), "line", i) for i, line in enumerate(lines)]
    for i, (_, of_source) in enumerate(points.groupby("source", sort=False)):
        drawn.append(_trace(of_source, "points", i))
    return drawn


def _trace(numbers: pd.DataFrame, kind: str, number: int) -> dict[str, Any]:
    symbols = LINE_SYMBOLS if kind == "line" else SOURCE_SYMBOLS
    return {
        "kind": kind,
        "symbol": symbols[number % len(symbols)],
        "dash": "dot" if (numbers["kd"] == "no").all() else "solid",
        "colours": [style.look(method)[0] for method in numbers["method"]],
        "x": [position(sparsity) for sparsity in numbers["sparsity"]],
        "y": [float(score) for score in numbers["score"]],
        "text": [_words(point) for point in numbers.to_dict("records")],
    }


def _words(point: dict[str, Any]) -> str:
    """Return the source of a published number, with its method, sparsity and teacher."""
    teacher = "without a teacher" if point["kd"] == "no" else f"teacher: {point['kd']}"
    words = [f"published: {point['source']}", point["method"], *filter(None, point["variant"].split(";"))]
    return f"{', '.join(words)}; sparsity {point['sparsity']:g}, {point['score']:.4g}; {teacher}; {point['where']}"


def position(sparsity: float) -> float:
    """Return -log10(1 - s), the position on the figures' axis: .9 to .99 is as wide as 0 to .9."""
    return round(-math.log10(max(1 - sparsity, 1e-9)), 6) + 0.0
