"""`prunebert info RUN`, the line a run ends with, and the table a sweep ends with."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import rich
from rich.markup import escape
from rich.table import Table

from prunebert.errors import BadInput
from prunebert.runs import artifacts, discover
from prunebert.system.console import arguments, counted, short, table_console

DENOMINATORS = {
    "sparsity_encoder": "encoder matrices",
    "sparsity_encoder_pooler": "+ pooler",
    "sparsity_encoder_pooler_embeddings": "+ word embeddings",
    "sparsity_model": "whole model",
}


def main(words: list[str]) -> None:
    """Show a finished run (asked, sparsity under every denominator, metrics, cost, files), or the table of a sweep."""
    parser = arguments("info", "What one finished run left behind, or the table of a sweep.")
    parser.add_argument("run", metavar="RUN", type=Path, help="directory of one run or of a sweep")
    root = artifacts.resolve_pointer(parser.parse_args(words).run)
    if not (root / artifacts.CONFIG).is_dir() and artifacts.runs(root):
        table(root)
        return
    row = artifacts.result(root)
    rich.print("[italic]configuration[/]")
    rich.get_console().print(artifacts.config(root), markup=False, highlight=False, soft_wrap=True)
    rich.print(f"[bold]{row['method']}[/] · {row['task']} · {row['model']} · seed {row['seed']} · fit={row['fit']}")
    plain = {k: json.dumps(v) for k, v in row["settings"].items() if not isinstance(v, dict)}
    budget = ", ".join(f"{k} {v}" for k, v in row["settings"]["fit"].items() if v is not None and not k.startswith("_"))
    _print("asked for", {"sparsity": row["sparsity"], **plain, "fit": budget, "distill": row["distill"]})
    topology = artifacts.topology(root)
    found = {words: f"{row[key]:.6f}" for key, words in DENOMINATORS.items()}
    if "sparsity_effective" in topology:
        found["effective: masked matrices, weights on no path removed too"] = f"{topology['sparsity_effective']:.6f}"
    _print("sparsity measured (fraction removed)", found)
    metrics = {
        name: f"{value:.4f}  (constant answer {row['majority'][name]:.4f})" for name, value in row["metrics"].items()
    }
    _print("metrics", metrics)
    cost = ("trained_parameters", "steps", "seconds", "seconds_per_step", "peak_memory_bytes", "device")
    _print("cost", {k: f"{row[k]:,}" if isinstance(row[k], int) else row[k] for k in cost})
    kinds = topology.get("kinds", {})
    _print(
        "remaining weights by kind",
        {kind: f"{entry['remaining']:.2%} of {entry['size']:,}" for kind, entry in kinds.items()},
    )
    _print("files (bytes)", {name: f"{size:,}" for name, size in artifacts.file_sizes(root).items()})
    rich.get_console().print(f"repeat with: {row['command']}", markup=False, highlight=False, soft_wrap=True)


def _print(title: str, rows: dict[str, Any]) -> None:
    rich.print(f"[italic]{title}[/]")
    table = Table(show_header=False, box=None, padding=(0, 2))
    for key, value in rows.items():
        table.add_row(escape(key), escape(str(value)))
    rich.print(table)


def measured(row: dict[str, Any]) -> float:
    """The sparsity measured under the denominator that the run's target refers to."""
    return row[f"sparsity_{row['prunable']}"]


def line(row: dict[str, Any], directory: Path) -> str:
    """One run in one line."""
    return (
        f"{row['method']} on {row['task']}: {row['metric']} {row['score']:.4f} (constant answer "
        f"{row['majority_score']:.4f}), sparsity {measured(row):.4f} of {row['prunable']}, {row['seconds']:.0f} s, "
        f"in {short(directory)}"
    )


def table(root: Path) -> int:
    """Print every run below `root`, the unfinished ones in plain sight; returns how many did not finish."""
    rows, failed = [], []
    for directory in artifacts.runs(root):
        try:
            rows.append((directory, artifacts.result(directory)))
        except BadInput:
            failed.append(directory)
    names = {row["metric"] for _, row in rows}
    score = names.pop() if len(names) == 1 else "score"
    axes = ("task", "model", "fit", "distill", "sparsity", "seed")
    varying = [k for k in axes if len({str(row[k]) for _, row in rows}) > 1]
    shown = Table(title=escape(f"{counted(len(rows), 'finished run')} in {short(root)}"), title_justify="left")
    shown.add_column("method", style="bold")
    for column in varying:
        shown.add_column("asked" if column == "sparsity" else column)
    for column in ("sparsity measured", score, "constant answer", "seconds"):
        shown.add_column(column, justify="right")
    shown.add_column("directory", overflow="fold")
    for directory, row in rows:
        numbers = [
            f"{measured(row):.4f}",
            f"{row['score']:.4f}",
            f"{row['majority_score']:.4f}",
            f"{row['seconds']:.1f}",
        ]
        shown.add_row(
            row["method"],
            *(escape(str(row[k])) for k in varying),
            *numbers,
            escape(str(os.path.relpath(directory, root))),
        )
    console = table_console()
    console.print(shown)
    if rows:
        console.print(
            f"look at one of them: prunebert info {shlex.quote(short(rows[-1][0]))}", markup=False, soft_wrap=True
        )
        console.print(
            f"report on all of them: prunebert report {shlex.quote(short(root))}", markup=False, soft_wrap=True
        )
    for directory in failed:
        console.print(
            f"did not finish: {short(directory)}: {discover.last_words(directory)}", markup=False, soft_wrap=True
        )
    return len(failed)
