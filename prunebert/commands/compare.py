"""`prunebert compare RUN RUN…`: measure how much the masks of every two finished runs share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from prunebert.analysis import overlap
from prunebert.errors import BadInput
from prunebert.runs import artifacts, files
from prunebert.system.console import arguments, cell, out_folder, say, table_console

DESCRIPTION = """Measure how much the masks of every two finished runs share. The result is a table, compare.json and
compare.png.

Masks that cover different sets of matrices are compared on the matrices that both cover."""
MAX_ROWS = 60  # of the printed table; compare.json has all pairs


def main(argv: list[str]) -> None:
    """Compare runs, print the table, and write compare.json and compare.png. Earlier files in DIR are replaced."""
    parser = arguments("compare", DESCRIPTION)
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="directory of a run, or of a sweep for all its finished runs"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("compare"), help="folder for the two files, default: compare"
    )
    options = parser.parse_intermixed_args(argv)
    out = out_folder(options.out)
    runs = list({run.resolve(): run for root in options.runs for run in artifacts.finished_runs(root)}.values())
    comparison = overlap.comparison(runs)
    try:
        out.mkdir(parents=True, exist_ok=True)
        files.write(out, "compare.json", (json.dumps(comparison) + "\n").encode())
        files.write(out, "compare.png", picture(comparison))
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {error.strerror}") from error
    show(comparison)
    say(f"compare.json and compare.png are in {out}")


def picture(comparison: dict[str, Any]) -> bytes:
    """Return the content of compare.png."""
    import matplotlib

    from prunebert.commands import compare_figure

    with matplotlib.rc_context({"text.parse_math": False}):  # a $ in a name is no formula
        return compare_figure.png(comparison)


def show(comparison: dict[str, Any]) -> None:
    """Print a table of the pairs, largest overlap first, and what was left out."""
    pairs = sorted(comparison["pairs"], key=lambda p: -(p["beyond_chance"] or 0))
    title = f"Overlap of the masks of {len(comparison['labels'])} runs"
    table = Table(title=title, title_justify="left")
    for column in ("a", "b"):
        table.add_column(column, style="bold", overflow="fold")
    for column in ("Jaccard", "by chance", "beyond chance", "… given the allocations", "layer allocations r"):
        table.add_column(column, justify="right")
    for p in pairs[:MAX_ROWS]:
        numbers = [p[k] for k in overlap.MEASURES] + [p["within"]["beyond_chance"], p["layer_budget_correlation"]]
        names = (cell(comparison["labels"][p[k]]) for k in "ab")
        table.add_row(*names, *("–" if x is None else f"{x:.4f}" for x in numbers))
    table_console().print(table)
    if len(pairs) > MAX_ROWS:
        say(f"{len(pairs) - MAX_ROWS} more pairs with smaller overlap are in compare.json")
    if different := [p for p in pairs if any(p["only"])]:
        a, b = (comparison["labels"][different[0][k]] for k in "ab")
        only_a, only_b = different[0]["only"]
        say(
            f"{len(different)} of {len(pairs)} pairs cover different sets and are compared on the matrices that both "
            f"cover; matrices left out, for example: {only_a} of {a}, {only_b} of {b}"
        )
    for run in comparison["left_out"]:
        say(f"left out, because it removed nothing or everything: {run}")
