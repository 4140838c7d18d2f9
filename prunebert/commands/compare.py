"""`prunebert compare RUN RUN…`: what the masks of every two finished runs share, as a table, JSON and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from prunebert.analysis import overlap
from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.system.console import arguments, say, table_console

DOES = """What the masks of every two finished runs share, as a table, JSON and a picture.

Masks over different sets are compared on the matrices that both have."""
SHOWN = 60  # rows of the printed table; compare.json has all


def main(words: list[str]) -> None:
    """Compare runs (a sweep stands for its finished ones); write to DIR, by default `compare`, over what is there."""
    parser = arguments("compare", DOES)
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="directory of a run, or of a sweep for all its"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("compare"), help="default: compare")
    asked = parser.parse_intermixed_args(words)
    out = asked.out
    runs = list({run.resolve(): run for root in asked.runs for run in artifacts.finished_runs(root)}.values())
    found = overlap.comparison(runs)
    try:
        out.mkdir(parents=True, exist_ok=True)
        files.write(out, "compare.json", (json.dumps(found) + "\n").encode())
        files.write(out, "compare.png", picture(found))
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {error.strerror}") from error
    show(found)
    say(f"compare.json and compare.png are in {out}")


def picture(found: dict[str, Any]) -> bytes:
    """compare.png."""
    from prunebert.commands import compare_figure

    return compare_figure.png(found)


def show(found: dict[str, Any]) -> None:
    """Print the pairs, those that overlap most first."""
    pairs = sorted(found["pairs"], key=lambda p: -(p["beyond_chance"] or 0))
    title = f"What the masks of {len(found['labels'])} runs share, pair by pair"
    table = Table(title=title, title_justify="left")
    for column in ("a", "b"):
        table.add_column(column, style="bold", overflow="fold")
    for column in ("Jaccard", "by chance", "beyond chance", "… given both budgets", "layer budgets r"):
        table.add_column(column, justify="right")
    for p in pairs[:SHOWN]:
        numbers = [p[k] for k in overlap.MEASURES] + [p["within"]["beyond_chance"], p["layer_budget_correlation"]]
        names = (escape(found["labels"][p[k]]) for k in "ab")
        table.add_row(*names, *("–" if x is None else f"{x:.4f}" for x in numbers))
    table_console().print(table)
    notes = [f"{len(pairs) - SHOWN} more pairs, which overlap less, are in compare.json"] if len(pairs) > SHOWN else []
    if partly := [p for p in pairs if any(p["only"])]:
        a, b = (found["labels"][partly[0][k]] for k in "ab")
        notes.append(
            f"masks over different sets, compared on the matrices both have: {len(partly)} of {len(pairs)} pairs "
            f"({a} leaves out {partly[0]['only'][0]}, {b} {partly[0]['only'][1]})"
        )
    notes += [f"left out, as it removed nothing or everything: {run}" for run in found["left_out"]]
    for note in notes:
        say(note)
