"""`prunebert info RUN`, the last line of a run, and the table at the end of a sweep."""

from __future__ import annotations

import json
import logging
import os
import shlex
from pathlib import Path
from typing import Any

from rich.table import Table

from prunebert.errors import BadInput
from prunebert.runs import artifacts, discover, reading, seal
from prunebert.runs.failures import Failure, Failures
from prunebert.settings import overlaps
from prunebert.system.console import arguments, cell, console, counted, say, say_block, short, table_console
from prunebert.system.countdown import track

log = logging.getLogger(__name__)
DENOMINATORS = {
    "sparsity_encoder": "encoder matrices",
    "sparsity_encoder_pooler": "+ pooler",
    "sparsity_encoder_pooler_embeddings": "+ word embeddings",
    "sparsity_model": "whole model",
}


DESCRIPTION = """Show a finished run: its configuration, sparsity under every denominator, metrics, cost and files.
Given a sweep, show the table of its runs."""


def main(argv: list[str]) -> None:
    """Show a finished run, or the table of a sweep."""
    parser = arguments("info", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", type=Path, help="directory of one run or of a sweep")
    root = artifacts.resolve_pointer(parser.parse_args(argv).run)
    if reading.is_folder(root) and not (root / artifacts.CONFIG).is_dir() and artifacts.runs(root):
        show_sweep(root)
        return
    row, topology = artifacts.result(root), artifacts.topology(root)
    sparsities = {name: f"{row[key]:.6f}" for key, name in DENOMINATORS.items()}
    if "sparsity_effective" in topology:
        name = "effective: masked matrices, with the weights on no path counted as removed"
        sparsities[name] = f"{topology['sparsity_effective']:.6f}"
    console().print("configuration", style="italic")
    say_block(artifacts.config(root))
    say(f"{row['method']} · {row['task']} · {row['model']} · seed {row['seed']} · fit={row['fit']}")
    method = {k: json.dumps(v) for k, v in row["settings"].items() if not isinstance(v, dict)}
    fit = row["settings"].get("fit")
    if isinstance(fit, dict):
        fit = ", ".join(f"{k} {v}" for k, v in fit.items() if v is not None and not k.startswith("_"))
    _print_section("settings", {"sparsity": row["sparsity"], **method, "fit": fit, "distill": row["distill"]})
    _print_section("sparsity measured (fraction removed)", sparsities)
    metrics = {
        name: f"{decimal(value)}  (constant baseline {decimal(row.get('majority', {}).get(name))})"
        for name, value in row["metrics"].items()
    }
    _print_section("metrics", metrics)
    for note in overlaps.of_result(row):
        say(f"  warning: {note}")
    cost = ("trained_parameters", "steps", "seconds", "seconds_per_step", "peak_memory_bytes", "device")
    _print_section("cost", {k: f"{row[k]:,}" if isinstance(row[k], int) else row[k] for k in cost})
    kinds = topology.get("kinds", {})
    _print_section(
        "remaining weights by kind",
        {kind: f"{entry['remaining']:.2%} of {entry['size']:,}" for kind, entry in kinds.items()},
    )
    damaged = seal.damaged(root, row)
    sizes = reading.file_sizes(root) | {name: 0 for name in damaged if not (root / name).exists()}
    _print_section(
        "files (bytes)", {name: f"{size:,}{'  damaged' if name in damaged else ''}" for name, size in sizes.items()}
    )
    for message in damaged.values():
        log.warning("%s", message)
    if "files" not in row:
        say("an earlier version wrote this run without hashes of its files, so only its masks can be verified")
    say(f"repeat with: {row['command']}")


def _print_section(title: str, rows: dict[str, Any]) -> None:
    console().print(title, style="italic")
    table = Table(show_header=False, box=None, padding=(0, 2))
    for key, value in rows.items():
        table.add_row(cell(key), cell(value))
    console().print(table)


def measured(row: dict[str, Any]) -> float:
    """Return the measured sparsity under the denominator of the run's target, which is its prunable set."""
    return row[f"sparsity_{row['prunable']}"]


def decimal(value: float | None) -> str:
    """Return a number with four digits; a dash for a number that was not finite."""
    return "–" if value is None else f"{value:.4f}"


def line(row: dict[str, Any], directory: Path) -> str:
    """Return one line about a finished run."""
    return (
        f"{row['method']} on {row['task']}: {row['metric']} {row['score']:.4f} "
        f"(constant baseline {decimal(row['majority_score'])}), sparsity {measured(row):.4f} of {row['prunable']}, "
        f"{row['seconds']:.0f} s, in {short(directory)}"
    )


def show_sweep(root: Path, failures: Failures | None = None) -> None:
    """Print a table of the finished runs below `root`, a line for each reason why others did not finish, and a line for
    each damaged run.

    failures: those that are known already. The unfinished runs below `root` are added.
    """
    failures = Failures() if failures is None else failures
    rows: list[tuple[Path, dict[str, Any]]] = []
    unfinished: list[Path] = []
    damaged: list[str] = []  # a message for each
    for directory in track(artifacts.runs(root), "reading runs"):
        try:
            rows.append((directory, artifacts.result(directory)))
        except BadInput as error:
            if artifacts.is_finished(directory):
                damaged.append(str(error))
            else:
                unfinished.append(directory)
    metrics = {row["metric"] for _, row in rows}
    score = metrics.pop() if len(metrics) == 1 else "score"
    axes = ("task", "model", "fit", "distill", "sparsity", "seed")
    varying = [k for k in axes if len({str(row[k]) for _, row in rows}) > 1]
    table = Table(title=cell(f"{counted(len(rows), 'finished run')} in {short(root)}"), title_justify="left")
    table.add_column("method", style="bold")
    for column in varying:
        table.add_column("target sparsity" if column == "sparsity" else column)
    for column in ("sparsity measured", score, "constant baseline", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("directory", overflow="fold")
    for directory, row in rows:
        numbers = [
            f"{measured(row):.4f}",
            f"{row['score']:.4f}",
            decimal(row["majority_score"]),
            f"{row['seconds']:.1f}",
        ]
        table.add_row(
            cell(row["method"]),
            *(cell(row[k]) for k in varying),
            *numbers,
            cell(os.path.relpath(directory, root)),
        )
    table_console().print(table)
    if rows:
        say(f"show one of them: prunebert info {shlex.quote(short(rows[-1][0]))}")
        say(f"report on all of them: prunebert report {shlex.quote(short(root))}")
    known = {directory for directories in failures.cells.values() for directory in directories}
    for directory in unfinished:
        last_line = discover.last_words(directory)
        if (name := os.path.relpath(directory, root)) not in known:
            failures.add(Failure(name, last_line.partition(" ERROR ")[2] or last_line))
    failures.show("did not finish")
    for reason in damaged:
        say(f"left out: {reason}")
