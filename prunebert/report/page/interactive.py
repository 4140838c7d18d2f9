"""Collect what the interactive charts of the page show: a small JSON of the runs, their curves and predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prunebert.choices import LOWER_IS_BETTER
from prunebert.errors import BadInput
from prunebert.report import origin
from prunebert.report.collect import Trouble
from prunebert.report.figures import scales, style
from prunebert.report.page import answers, literature, marks, training
from prunebert.report.published import numbers
from prunebert.report.variants import DENOMINATORS
from prunebert.system.console import counted, short
from prunebert.system.countdown import track

MAX_CURVES = 120  # runs of a table whose training is in the page
MAX_CURVES_IN_ALL = 480  # the same for the whole page
MAX_PREDICTIONS_IN_ALL = 240  # runs of the page whose predictions are read
PREDICTION_BYTES = 3 << 20  # of the page, for all predictions
KIND = "not in the charts"  # of a trouble


def payload(runs: pd.DataFrame, troubles: list[Trouble] | None = None) -> dict[str, Any]:
    """Return what the charts show, as plain JSON values without NaN. The same runs give the same value.

    Texts are as the runs have them; `page.render` escapes them.

    Args:
        runs: the runs of all tables, see `collect.Collected`.
        troubles: runs whose curves or predictions cannot be read are appended here. A reason that the list has already
            is not repeated.

    Returns:
        themes: the colours of the page's two themes, by name.
        tables: for each table its name, metric, direction and constant baseline, the ticks of its axis, and its
            published numbers.
        rows: for each row of a table its label, colour, symbol and line style.
        runs: for each fact of a run a list over all runs; `row` is an index into `rows`.
        training: see `training.curve`, for each table.
        predictions: see `answers.predictions`, for each table.
    """
    by_table = [part for _, part in runs.groupby("table", sort=False)]
    numbered = pd.concat(by_table).reset_index(drop=True) if by_table else runs
    groups = [part for _, part in numbered.groupby("table", sort=False)]
    rows = _rows(groups)
    unreadable: dict[Path, str] = {}
    published = numbers.read_table()
    content = {
        "themes": {t.name: {"paper": t.paper, "ink": t.ink, "grid": t.grid} for t in (style.LIGHT, style.DARK)},
        "tables": [_table(part, published) for part in groups],
        "rows": list(rows.values()),
        "runs": _runs(numbered, list(rows)),
        "training": _training(groups, unreadable),
        "predictions": _predictions(groups, unreadable),
    }
    if troubles is not None:
        known = {trouble.reason for trouble in troubles}
        troubles += [Trouble(KIND, short(d), reason) for d, reason in unreadable.items() if reason not in known]
    return content


def charts(content: dict[str, Any], table: str) -> set[str]:
    """Return the names of the charts, as `page.Part.chart` has them, that have something to show for a table.

    Args:
        content: what `payload` returned.
        table: the table's name.
    """
    number = [known["name"] for known in content["tables"]].index(table)
    predictions = content["predictions"][number]
    available = {
        "training": bool(content["training"][number]["curves"]),
        "confusion": "classes" in predictions,
        "disagreement": len(predictions["runs"]) > 1,
    }
    return {"score", *(name for name, shown in available.items() if shown)}


def _table(runs: pd.DataFrame, published: pd.DataFrame) -> dict[str, Any]:
    metric = runs["metric"].iloc[0]
    constant_scores = runs["majority_score"].dropna()
    found = literature.find(runs, published)
    ticks, ends = _axis(runs, found)
    return {
        "name": runs["table"].iloc[0],
        "metric": metric,
        "lower": metric in LOWER_IS_BETTER,
        "constant": _number(constant_scores.iloc[0] if len(constant_scores) else math.nan),
        "ticks": ticks,
        "ends": ends,
        "published": literature.traces(found),
    }


def _axis(runs: pd.DataFrame, found: literature.Found) -> tuple[list[list[Any]], list[float]]:
    """Return the ticks, each as a position and a text, and the ends of the static figure's sparsity axis."""
    pruned = runs[runs.groupby("label")["sparsity"].transform("max") > 0]
    published_curves, points = found
    shown = sorted({*(pruned if len(pruned) else runs)["sparsity"], *points["sparsity"]})
    axes = Figure().subplots()
    scales.sparsity_axis(
        axes, shown, [end for c in published_curves for end in (c["sparsity"].min(), c["sparsity"].max())]
    )
    position = literature.position
    texts = [label.get_text() for label in axes.get_xticklabels()]
    ticks = [[position(tick), text] for tick, text in zip(axes.get_xticks(), texts, strict=True)]
    return ticks, [position(end) for end in axes.get_xlim()]


def _rows(groups: list[pd.DataFrame]) -> dict[tuple[int, str], dict[str, Any]]:
    """Return the rows of all tables by table and label. Variants of a method differ in their line style."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for table, runs in enumerate(groups):
        variants: dict[str, int] = {}
        for label, row in runs.drop_duplicates("label").set_index("label", drop=False).iterrows():
            method = row["method"]
            variants[method] = variants.get(method, -1) + 1
            rows[table, str(label)] = {
                "table": table,
                "label": row["label"],
                "short": row["short_label"],
                "of": DENOMINATORS.get(row["denominator"], row["denominator"]),
                "level": not runs["sparsity"][runs["label"] == label].any(),
                **marks.look(method, variants[method]),
            }
    return rows


def _runs(runs: pd.DataFrame, rows: list[tuple[int, str]]) -> dict[str, list[Any]]:
    """Return the facts of the runs that the charts show, a list for each fact."""
    tables = {name: i for i, name in enumerate(runs["table"].unique())}
    indices = {key: i for i, key in enumerate(rows)}
    disk_bytes = runs["disk_bytes"] if "disk_bytes" in runs else pd.Series(math.nan, runs.index)
    measures = {
        "sparsity": runs["sparsity"],
        "score": runs["score"],
        "remaining": 1 - runs["measured"],
        "trained": runs["trained_parameters"],
        "seconds": runs["seconds"],
        "memory": runs["peak_memory_bytes"] / 2**30,
        "disk": disk_bytes / 1e6,
    }
    directories = [origin.described(run) for run in runs.to_dict("records")]
    texts = {"directory": directories, "command": runs["command"], "device": runs["device"]}
    return {
        "row": [indices[tables[table], label] for table, label in zip(runs["table"], runs["label"], strict=True)],
        "seed": [int(seed) for seed in runs["seed"]],
        **{name: [_number(value) for value in values] for name, values in measures.items()},
        **{name: list(values) for name, values in texts.items()},
    }


def _number(value: float) -> float | int | None:
    """Return a number with six significant digits, whole ones as they are; None for one that is not finite."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.6g}")


def lowest_seeds(runs: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most so many runs: the lowest seeds of every row and sparsity first."""
    with_files = runs[runs["has_files"]].sort_values(["seed", "order"], kind="stable")
    rank = with_files.groupby(["label", "sparsity"]).cumcount()
    return with_files.assign(rank=rank).sort_values(["rank", "order"], kind="stable").head(most)


def _training(groups: list[pd.DataFrame], unreadable: dict[Path, str]) -> list[dict[str, Any]]:
    """Return for each table the curves of its runs by the run's number, and a sentence on those that are left out."""
    found = []
    for runs in groups:
        most = max(1, min(MAX_CURVES, MAX_CURVES_IN_ALL // len(groups)))
        chosen = lowest_seeds(runs, most)
        read = _read(chosen, training.curve, unreadable)
        found.append({"curves": read, "note": _left_out(read, runs, "training curve")})
    return found


def _read(runs: pd.DataFrame, read: Callable, unreadable: dict[Path, str]) -> dict[str, Any]:
    """Return what `read(directory, row)` finds for each run, by the run's number, without runs that have nothing."""
    found = {}
    facts = (runs.index, runs["directory"], runs["row"], runs["seal"])
    for number, directory, row, sealed in track(zip(*facts, strict=True), "reading charts", len(runs), "runs"):
        try:
            if (value := read(directory, {**row, **sealed})) is not None:
                found[str(number)] = value
        except BadInput as error:
            unreadable[directory] = str(error)
    return found


def _left_out(shown: Iterable[Any], runs: pd.DataFrame, noun: str) -> str:
    """Return a sentence that says of which runs the page has something, or "" if it has it of all."""
    count = len(list(shown))
    if count == len(runs):
        return ""
    if not count:
        return f"The page has no {noun}, because no run here has one that can be read."
    return f"The page has {counted(count, noun)} for {counted(len(runs), 'run')}. The lowest seeds come first."


def _predictions(groups: list[pd.DataFrame], unreadable: dict[Path, str]) -> list[dict[str, Any]]:
    """Return the predictions of each table. Of the bytes and runs that are left, each table has an equal share."""
    found, bytes_left, runs_left = [], PREDICTION_BYTES, MAX_PREDICTIONS_IN_ALL
    for position, runs in enumerate(groups):
        share = len(groups) - position
        chosen = lowest_seeds(runs, max(2, runs_left // share))
        store = answers.Store(runs["metric"].iloc[0], answers.class_names(runs["row"]), bytes_left // share)
        _read(chosen, store.add, unreadable)
        content = store.content(chosen)
        content["note"] = store.note or _left_out(content["runs"], runs, "prediction file")
        bytes_left, runs_left = bytes_left - store.used, runs_left - len(content["runs"])
        found.append(content)
    return found
