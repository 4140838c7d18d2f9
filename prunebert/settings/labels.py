"""What a run was asked for, as its row tells it, and what of it nothing will read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any


def search(words: list[str]) -> list[str]:
    """Of Hydra's own words the one that a command needs again: where code of one's own is found."""
    return [w for w in words if w.startswith("hydra.searchpath=")]


def prunes(method: dict[str, Any], as_written: str) -> bool:
    """Whether a method's configuration, resolved and as it is written, says how much is removed."""
    return "prunable" in method or "sparsity" in method or "${sparsity}" in as_written


def labels(fields: dict[str, Any], choices: dict[str, Any], words: list[str], pruned: bool) -> dict[str, Any]:
    """What stands in the row besides what is measured. choices: the option of every group."""
    method = fields["method"]
    return {
        **{group: choices[group] for group in ("method", "task")},
        "fit": choices["fit"],
        "distill": choices["distill"] if "distill" in method else "none",
        "augment": choices["augment"],
        "sparsity": float(fields["sparsity"]) if pruned else 0.0,
        "prunable": method.get("prunable", "encoder"),
        "settings": {k: v for k, v in method.items() if not k.startswith("_")},
        "command": "prunebert " + shlex.join(words),
    }


def unused(fields: dict[str, Any], choices: dict[str, Any], pruned: bool) -> Iterator[str]:
    """A line for each word that the method does not read."""
    name, method = choices["method"], fields["method"]
    if choices["distill"] != "none" and "distill" not in method:
        yield f"method={name} takes no teacher: distill={choices['distill']} is not used"
    if pruned and fields["prunable"] != "paper" and "prunable" not in method:
        yield f"method={name} takes no prunable: prunable={fields['prunable']} is not used"
