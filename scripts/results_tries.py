"""The table of how learning rates were tuned (results_table.py)."""

from __future__ import annotations

from pathlib import Path

import yaml
from results_rows import in_order, markdown_row


def tries_table(folder: Path) -> str:
    """Return a row per method: its number of tries, the rates that it took, and which of them were at an edge."""
    head = ["method", "tries", "rates", "score on held-out rows", "worst try", "best rate at an edge"]
    rows = {}
    for file in sorted(folder.glob("*.yaml")):
        for method, found in yaml.safe_load(file.read_text("utf-8"))["methods"].items():
            name = method if file.stem != "frozen" else f"{method} (keep_pretrained=true)"
            rates = ", ".join(f"{_short(key)} {value:g}" for key, value in found["rates"].items())
            edge = ", ".join(_short(key) for key in found.get("at_edge") or []) or "no"
            worst = min(entry["mean"] for entry in found["tried"])
            rows[name] = [str(len(found["tried"])), rates, f"{found['score']:.3f}", f"{worst:.3f}", edge]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    return "\n".join([*lines, *(markdown_row([name, *rows[name]]) for name in in_order(rows))])


def _short(key: str) -> str:
    return key.removeprefix("method.").removeprefix("fit.")
