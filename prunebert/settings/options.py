"""The config groups that a user chooses from, their options, and one line about each.

The line is the first comment of the option's YAML. Hydra is not needed, so that listing them is quick.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from prunebert.errors import bad_choice


class Group(NamedTuple):
    """A config group: `name=option` chooses one of its files."""

    name: str  # as a command line writes it
    plural: str  # as `prunebert list` calls it
    meaning: str


# exceptions/ and task/base belong to prunebert itself; the rest of hydra/ to Hydra.
GROUPS = (
    Group("method", "methods", "the pruning method"),
    Group("task", "tasks", "the data and the metrics"),
    Group("model", "models", "the pre-trained network"),
    Group("fit", "fits", "the training budget"),
    Group("distill", "distill", "the teacher's loss"),
    Group("augment", "augment", "new training texts"),
    Group("corpus", "corpus", "the plain text of method=tamt, sparse_transfer and task=mlm"),
    Group("impl", "impl", "the device"),
    Group("tracking", "tracking", "the tracker beside metrics.jsonl"),
    Group("experiment", "experiments", "a prepared sweep"),
    Group("hydra/launcher", "launchers", "several runs of a sweep at once"),
)


def find(name: str) -> Group:
    """Return the group of a name in the singular or the plural. Raises BadInput if there is none."""
    for group in GROUPS:
        if name in (group.name, group.plural):
            return group
    raise bad_choice("list", name, [group.plural for group in GROUPS])


@cache
def options(group: str) -> dict[str, str]:
    """Return {option: the first comment of its YAML} of a group, sorted."""
    folder = files("prunebert.conf").joinpath(group)
    found = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): _first_comment(found[name]) for name in sorted(found)}


def _first_comment(text: str) -> str:
    """Return the first line of a YAML file that is a comment for readers; empty if there is none."""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            return line.lstrip("# ").rstrip()
    return ""
