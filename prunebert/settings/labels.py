"""The labels of a run's row, which say what was asked for, and warnings about words that nothing reads."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from prunebert.settings import task_name


def search(words: list[str]) -> list[str]:
    """Of Hydra's own words the one that a command needs again: the search path, where a user's own code is found."""
    return [w for w in words if w.startswith("hydra.searchpath=")]


def prunes(method: dict[str, Any], as_written: str) -> bool:
    """Whether a method removes weights: its resolved configuration names a sparsity or a prunable set, or its YAML, as
    written, refers to ${sparsity}.
    """
    return "prunable" in method or "sparsity" in method or "${sparsity}" in as_written


def labels(fields: dict[str, Any], choices: dict[str, str], words: list[str], pruned: bool) -> dict[str, Any]:
    """What a row records besides measurements.

    Args:
        fields: the whole configuration, resolved.
        choices: config group -> the option that was chosen.
        words: the words of the command that repeats the run.
        pruned: whether the method removes weights (`prunes`).
    """
    method = fields["method"]
    return {
        "method": choices["method"],
        "task": task_name.of(fields["task"], choices["task"], words),
        "fit": choices["fit"],
        "distill": choices["distill"] if "distill" in method else "none",
        "augment": choices["augment"],
        "sparsity": float(fields["sparsity"]) if pruned else 0.0,
        "prunable": method.get("prunable", "encoder"),
        "settings": {key: value for key, value in method.items() if not key.startswith("_")},
        "command": "prunebert " + shlex.join(words),
    }


def unused(fields: dict[str, Any], choices: dict[str, str], pruned: bool) -> Iterator[str]:
    """A warning for each word that the method does not read."""
    name, method = choices["method"], fields["method"]
    if choices["distill"] != "none" and "distill" not in method:
        yield f"method={name} takes no teacher: distill={choices['distill']} is not used"
    if pruned and fields["prunable"] != "paper" and "prunable" not in method:
        yield f"method={name} takes no prunable: prunable={fields['prunable']} is not used"
