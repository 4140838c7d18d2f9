"""Warn where a score is not a held-out score: which tasks share rows, and which tasks' data a model was trained on.

The facts are data: the key `overlaps` of a task's or a model's YAML, {other task or corpus: why}. They change nothing
that is computed and no run's identity. `info` and `report` read prunebert's own YAML files by name, so that they warn
about finished runs too; a run, a dry run and `evaluate` also read what a YAML of the user's says.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Overlaps = dict[str, str]  # another task or corpus -> why


def evaluated_data(task: dict[str, Any]) -> str:
    """Return what a configured task scores: its name, or for masked language modelling its corpus's.

    A corpus that is a file of the user's has no name that a YAML could know.
    """
    corpus = task.get("corpus")
    if isinstance(corpus, dict) and corpus.get("file"):
        return "a file"
    if isinstance(corpus, dict) and "name" in corpus:
        return str(corpus["name"])
    return str(task.get("seed_name") or task["name"])


def trained_data(row: dict[str, Any]) -> str:
    """Return the name by which overlaps know the task of a finished run. A name that the user gave is a label only."""
    return str((row.get("form") or {}).get("name") or row["task"])


def of_result(row: dict[str, Any]) -> list[str]:
    """Return why the scores of a finished run may not be held-out scores.

    These are the sentences that the run recorded, and what is known today about its model and task.
    """
    recorded = [str(note) for note in row.get("overlaps") or []]
    data = trained_data(row)
    known = [] if data == "mlm" else of_model(row["model"], data)  # of mlm only the run knows the corpus
    return list(dict.fromkeys([*recorded, *known]))


def of_model(model: str, evaluated: str, node: dict[str, Any] | None = None) -> Iterator[str]:
    """Yield a sentence if the model was trained on data of the evaluated task.

    Args:
        model: the model's name: an option of `model=`, or a checkpoint that one of them names.
        evaluated: a task or a corpus.
        node: the composed configuration of the model, or none.
    """
    if why := _overlaps("model", model, node).get(evaluated):
        yield f"model={model} has seen data of {evaluated}: {why}; its scores may not be held-out scores"


def of_tasks(trained: str, evaluated: str, node: dict[str, Any] | None = None) -> Iterator[str]:
    """Yield a sentence if two different tasks share rows. Either may say so.

    Args:
        trained: the task that a run was trained on.
        evaluated: the task that it is scored on.
        node: the composed configuration of the evaluated task, or none.
    """
    if trained == evaluated:
        return
    why = _overlaps("task", trained).get(evaluated) or _overlaps("task", evaluated, node).get(trained)
    if why:
        yield (
            f"task={evaluated} shares data with task={trained}, which was trained on: {why}; the scores may not be "
            "held-out scores"
        )


def of_rows(trained: dict[str, Any], evaluated: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each evaluated split that has the very rows of the training data.

    Args:
        trained: Task.facts() of the task that was trained on.
        evaluated: Task.facts() of the task that is scored on.
    """
    rows = (trained.get("fingerprint") or {}).get("train")
    for split, fingerprint in (evaluated.get("fingerprint") or {}).items():
        if split != "train" and rows is not None and fingerprint == rows:
            yield f"the rows of {split} are those of the training data; the scores are not held-out scores"


def _overlaps(group: str, name: str, node: dict[str, Any] | None = None) -> Overlaps:
    """Return what is said about an option; a YAML that is not prunebert's own speaks for itself."""
    own = declared(group)
    short = name.partition("/")[2] if name.count("/") == 1 and not name.startswith((".", "/")) else name
    if name in own or short in own:
        return own.get(name) or own.get(short) or {}
    return (node or {}).get("overlaps") or {}


@cache
def declared(group: str) -> dict[str, Overlaps]:
    """Return {name: overlaps} of prunebert's own options of a group; a model also by its checkpoint's name."""
    found: dict[str, Overlaps] = {}
    for file in sorted(files("prunebert.conf").joinpath(group).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            node = yaml.safe_load(file.read_text("utf-8")) or {}
            overlaps = node.get("overlaps") or {}
            found.setdefault(str(node.get("name")), overlaps)
            found[file.name.removesuffix(".yaml")] = overlaps
    return found
