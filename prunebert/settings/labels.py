"""The labels of a run's row, which say what was asked for."""

from __future__ import annotations

import re
import shlex
from typing import Any

from prunebert.errors import shown
from prunebert.settings import task_name, tuning

TUNED = re.compile(r",?'tuned://(?:[^'\\]|\\.)*'")  # in a search path, as tuned.with_search_path writes it


def search(words: list[str]) -> list[str]:
    """Of Hydra's own words the one that a command needs again: the search path, where a user's own code is found.

    What `tuned=FILE` added to it is left out, because that word adds it again.
    """
    paths = [TUNED.sub("", w) for w in words if w.startswith("hydra.searchpath=")]
    return [w for w in paths if w != "hydra.searchpath=[]"]


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
        **_tuning(fields),
        "fit": _fit(fields, choices["fit"], words),
        "distill": choices["distill"] if "distill" in method else "none",
        "augment": choices["augment"],
        "sparsity": float(fields["sparsity"]) if pruned else 0.0,
        "prunable": method.get("prunable", "encoder"),
        "settings": {key: value for key, value in method.items() if not key.startswith("_")},
        "command": "prunebert " + shlex.join(words),
    }


def _tuning(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's row says about tuning; nothing for a run that is scored on the evaluation data."""
    holdout, tune = fields["task"].get("tuning_holdout"), fields.get("tune")
    tried = {"try": tune["try"], "rates": tuning.keys_of(tune)} if tune else {}
    return {"tuning": {"holdout": holdout} | tried} if holdout is not None else {}


def _fit(fields: dict[str, Any], option: str, words: list[str]) -> str:
    """Return the option of `fit=`, and the values that the command line changed: "paper, steps=5"."""
    method = fields["method"]
    teacher = method.get("distill")
    read = {"fit": method.get("fit"), "mask_fit": method.get("mask_fit")}
    read["teacher_fit"] = teacher.get("fit") if isinstance(teacher, dict) else None
    changes = {}
    for key in (word.lstrip("+").partition("=")[0] for word in words):
        budget, _, name = key.partition(".")
        if name and isinstance(values := read.get(budget), dict) and not (name == "epochs" and values.get("steps")):
            changes[key.removeprefix("fit.")] = shown(values.get(name))
    return ", ".join([option, *(f"{name}={value}" for name, value in sorted(changes.items()))])
