"""A task's name in results, tables and figures."""

from __future__ import annotations

import re
from typing import Any

from prunebert.errors import BadInput, shown
from prunebert.settings import options

NAME = re.compile(r"\w[\w .+-]*")
LONGEST = 80  # characters


def of(node: dict[str, Any], option: str, words: list[str]) -> str:
    """Return the name of a configured task in results, tables and figures.

    A task that is scored on training rows, for tuning, is another one than the same task scored on its evaluation data.

    The arguments and errors are those of `_of_data`.
    """
    name = _of_data(node, option, words)
    return name if node.get("tuning_holdout") is None else f"{name}_tuning"


def _of_data(node: dict[str, Any], option: str, words: list[str]) -> str:
    """Return the name of a task's data: task.name, or else the stem of the user's data, or else the option.

    Published numbers and known overlaps of data belong to the names of prunebert's own tasks. Data that the
    user chooses, a file or a data set of the hub, therefore get none of these names.

    Args:
        node: the task's configuration.
        option: the option that `task=` chose.
        words: the words of the command line.

    Raises:
        BadInput: task.name has characters that files or tables cannot hold, or is the name of another task.
    """
    if not node.get("seed_name") and not any(word.lstrip("+").startswith("task.name=") for word in words):
        return option
    if not node.get("seed_name") and not node.get("train"):
        raise BadInput(f"task.name={shown(node.get('name'))}: only a task on your own file takes a name, as task=file")
    if node.get("name") is not None:
        refuse_bad(node, option)
        return str(node["name"])
    stem = _stem(node) or option
    return f"{stem}_{'hub' if node.get('path') else 'file'}" if stem in _others(option) else stem


def refuse_bad(node: dict[str, Any], option: str) -> None:
    """Raise BadInput for a task.name that files or tables cannot hold, or that is the name of another task."""
    name = node.get("name")
    if not (isinstance(name, str) and NAME.fullmatch(name) and len(name) <= LONGEST):
        allowed = f"letters, digits, spaces and . + - _, at most {LONGEST}, beginning with a letter or digit"
        raise BadInput(f"task.name={shown(name)}: allowed are {allowed}, e.g. task.name=sick")
    if name in _others(option):
        raise BadInput(f"task.name={name}: this is the name of another task; choose one such as my_{name}")


def _others(option: str) -> set[str]:
    return options.options("task").keys() - {option}


def _stem(node: dict[str, Any]) -> str:
    """Return the last part of where the rows come from, without its ending and with safe characters alone."""
    places = (node.get("path"), node.get("train"), node.get("data_dir"), (node.get("hub") or {}).get("path"))
    place = next((str(place) for place in places if place), "")
    last = re.split(r"[/\\]", place.rstrip("/\\"))[-1]
    stem = re.sub(r"(?i)\.(csv|tsv|jsonl?|parquet|conll|iob2?|bio|txt)$", "", last)
    return re.sub(r"[^\w.+-]+", "_", stem).strip("._-+")[:LONGEST]
